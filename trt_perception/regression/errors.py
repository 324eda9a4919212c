# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room."""

from __future__ import annotations

from ..errors import PerceptionError


class CompareError(PerceptionError):
    """Two annotations cannot be compared, or one of them cannot be read."""
