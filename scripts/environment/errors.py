# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The one error of the environment scripts."""


class SetupError(Exception):
    """The environment cannot be made; the message says why and what to do."""
