# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The error type of the environment scripts."""


class SetupError(Exception):
    """The environment cannot be created; the message says why and what to do."""
