# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a model while it is read, if its file does not say everything."""

from __future__ import annotations

from ..litert.backend import LiteRtBackend
from ..ort.backend import OnnxRuntimeBackend
from .onnx_file import OnnxSummary


def backend_of(summary: OnnxSummary) -> OnnxRuntimeBackend | LiteRtBackend:
    """Return the backend that reads this kind of file, not open."""
    return OnnxRuntimeBackend(summary.path) if summary.tflite is None else LiteRtBackend(summary.path)
