# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotate recordings on many machines with Ray: docs/fleet.md."""
