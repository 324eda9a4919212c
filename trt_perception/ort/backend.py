# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..closing import Closing
from ..dependencies import require
from ..errors import EngineError, ModelError
from ..monitor import Monitor
from ..utf8_path import require_utf8
from .cpu import usable_cores
from .optimized_model import holds_lock_while_loading, optimized_model

# A process-wide ceiling of ONNX Runtime's own chatter: errors only, they come back as exceptions anyhow.
_SEVERITY_ERROR = 3


class OnnxRuntimeBackend(Closing):
    """Runs an ONNX file on the CPU.

    num_threads: threads one inference uses, 0 for one on each physical core that the process may use;
        at most one on each processor
    monitor: setting its cancel ends `open` soon. It makes the versions of ONNX Runtime that hold Python's lock while
        they load a model do most of that in another process, which takes a little longer; None if nobody can cancel
    """

    name = 'onnxruntime'

    def __init__(self, path: Path, num_threads: int = 0, monitor: Monitor | None = None) -> None:
        self._path = Path(path)
        self._monitor = monitor
        self._num_threads = num_threads
        self._session: Any = None
        self._output_names: list[str] = []

    def open(self) -> None:
        """Load the model; ModelError if ONNX Runtime refuses it, EngineError if it was cancelled."""
        ort = require('onnxruntime')
        options = ort.SessionOptions()
        # Left to itself, ONNX Runtime pins each thread to a processor: it then waits for whatever else runs there, and
        # a process that may not use all processors cannot do it at all.
        wanted = self._num_threads or usable_cores()
        # More than there are processors would spin in each other's way: an inference would take minutes.
        options.intra_op_num_threads = min(wanted, os.cpu_count() or wanted)
        options.inter_op_num_threads = 1
        options.log_severity_level = _SEVERITY_ERROR
        # Within a frame threads spin, since to wake one for each of a network's layers takes long; between frames they
        # would take the cores from the camera driver.
        options.add_session_config_entry('session.intra_op.allow_spinning', '1')
        options.add_session_config_entry('session.force_spinning_stop', '1')
        if self._monitor is not None and holds_lock_while_loading(ort.__version__):
            with optimized_model(self._path, options.intra_op_num_threads, self._monitor) as optimized:
                if optimized is not None:
                    everything = options.graph_optimization_level
                    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
                    # A file that it wrote but does not read is no fault of the model.
                    with contextlib.suppress(ModelError):
                        self._session = load_session(optimized, options, str(self._path))
                    options.graph_optimization_level = everything
        if self._session is None:
            self._session = load_session(str(self._path), options, str(self._path))
        self._output_names = [output.name for output in self._session.get_outputs()]

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; returns each output by name. EngineError if the run fails."""
        if self._session is None:
            raise EngineError('the ONNX Runtime session is not open')
        outputs = run_session(self._session, self._output_names, {input_name: tensor}, self._path.name)
        return dict(zip(self._output_names, outputs))

    def describe(self) -> dict[str, str]:
        """Return what ran, for diagnostics."""
        ort = require('onnxruntime')
        return {'backend': self.name, 'backend_version': ort.__version__, 'device': 'CPU'}

    def close(self) -> None:
        """Free the session."""
        self._session = None


def load_session(model: str | bytes, options: Any, name: str) -> Any:
    """Return ONNX Runtime's session of a model on the CPU; ModelError if it refuses it.

    model: the path of a file, or what is in one; name: what an error calls it
    """
    ort = require('onnxruntime')
    if isinstance(model, str):
        require_utf8(model, 'ONNX Runtime')
    try:
        return ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise ModelError(
            f'ONNX Runtime {ort.__version__} cannot load {name}: {_reason(error)}{_hint(error)}') from error


def run_session(
    session: Any, outputs: Sequence[str], inputs: Mapping[str, np.ndarray], name: str,
) -> list[np.ndarray]:
    """Run a session of `load_session` once; EngineError, which calls the model `name`, if that fails."""
    try:
        return list(session.run(list(outputs), dict(inputs)))
    except Exception as error:
        raise EngineError(f'ONNX Runtime failed on {name}: {_reason(error)}') from error


def _reason(error: Exception) -> str:
    """The first line of ONNX Runtime's message, without its status prefix."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(' : ', 2)[-1][:300]


def _hint(error: Exception) -> str:
    """What to do about it, where that is known."""
    if 'is not a registered function/op' in str(error):
        # EfficientNMS_TRT, as --end2end of YOLOv6 and YOLOv7 writes it, is the usual one.
        return '. That operator is no part of ONNX: export without it (for NMS in the network: no --end2end)'
    return ''
