# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Loads and runs models in memory on ONNX Runtime, to make and measure conversions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import EngineError, ModelError
from ..ort.backend import load_session, run_session
from ..ort.size_inputs import completed

_WHAT_TO_DO = (
    '; int8, and fp16 with calibration data, need a model that ONNX Runtime runs: export such a model, or use fp32, or '
    'fp16 without calibration data')
_SEVERITY_FATAL = 4
_MAX_PROTO_BYTES = 2**31 - 1


def serialized(model: Any, name: str) -> bytes:
    """Return the bytes of the model's ONNX file; ModelError, which calls the model `name`, if above 2 GB."""
    if model.ByteSize() > _MAX_PROTO_BYTES:
        raise ModelError(
            f'{name} would have {model.ByteSize() / 1e9:.1f} GB: expected at most 2 GB, the limit of an ONNX file '
            'without external data; external data is not supported here, use a smaller model')
    return bytes(model.SerializeToString())


def session_options() -> Any:
    """Return ONNX Runtime's options without logging: its errors are raised as exceptions."""
    options = require('onnxruntime').SessionOptions()
    options.log_severity_level = _SEVERITY_FATAL
    return options


def load(model: Any, options: Any, name: str) -> Any:
    """Return the session of an onnx.ModelProto or its bytes; ModelError, which calls it `name`, if loading fails."""
    content = model if isinstance(model, bytes) else serialized(model, name)
    try:
        return load_session(content, options, name)
    except ModelError as error:
        raise ModelError(f'{error}{_WHAT_TO_DO}') from error


def run(session: Any, outputs: Sequence[str], inputs: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    """Run a session once; EngineError if that fails."""
    try:
        return run_session(
            session, outputs, completed(dict(inputs), (entry.name for entry in session.get_inputs())), name)
    except EngineError as error:
        raise EngineError(f'{error}{_WHAT_TO_DO}') from error
