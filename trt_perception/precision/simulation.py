# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A backend for models in memory that computes Q/DQ literally."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import EngineError
from .running import load, run, serialized, session_options


class SimulationBackend:
    """Runs an onnx.ModelProto on ONNX Runtime: each Q/DQ pair rounds to int8, all arithmetic is in float.

    ONNX Runtime's int8 kernels are not used: on CPUs without VNNI they saturate, so the result would depend on this
    machine more than on the model.

    model_name: of the model, for error messages
    """

    name = 'simulation'

    def __init__(self, model: Any, model_name: str = 'the converted model') -> None:
        self._content = serialized(model, model_name)
        self._model_name = model_name
        self._session: Any = None
        self._output_names: list[str] = []

    def open(self) -> None:
        """Load the model; ModelError if ONNX Runtime rejects it."""
        options = session_options()
        options.add_session_config_entry('session.disable_quant_qdq', '1')
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self._session = load(self._content, options, self._model_name)
        self._output_names = [output.name for output in self._session.get_outputs()]

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; returns each output by name. EngineError if the run fails."""
        if self._session is None:
            raise EngineError('the ONNX Runtime session is not open')
        outputs = run(self._session, self._output_names, {input_name: tensor}, self._model_name)
        return dict(zip(self._output_names, outputs))

    def describe(self) -> dict[str, str]:
        """Return backend, version and device."""
        return {'backend': self.name, 'backend_version': require('onnxruntime').__version__, 'device': 'CPU'}

    def close(self) -> None:
        """Free the session."""
        self._session = None
