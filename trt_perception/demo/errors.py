# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's own error."""

from __future__ import annotations

from ..errors import PerceptionError


class DemoError(PerceptionError):
    """A step of the demo failed."""
