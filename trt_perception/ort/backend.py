# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..closing import Closing
from ..cores import usable_cores
from ..dependencies import require
from ..errors import EngineError, ModelError
from ..monitor import Monitor
from ..utf8_path import require_utf8
from .optimize_worker import EXACT_SUMS
from .optimized_model import file_in_memory, holds_lock_while_loading, operators_of, optimized_model
from .reasons import reason_of, remedy_of
from .size_inputs import completed

# ONNX Runtime logs fatal messages only. It raises errors as exceptions, and would print them too, with colours.
_SEVERITY_FATAL = 4


class OnnxRuntimeBackend(Closing):
    """Runs an ONNX file on the CPU.

    num_threads: threads for one inference, 0 for one on each physical core that the process may use; at most one on
        each processor
    monitor: its cancel ends `open` soon; None if `open` cannot be cancelled. With a monitor, those versions of ONNX
        Runtime that hold the GIL while they load a model do most of the loading in a child process. That takes a
        little longer
    source: called with the path in `open`; returns what is loaded, the path or the bytes of the model.
        By default the path
    inspected: whether `operators` is read. That takes the memory of the model once more while it is loaded
    exact_sums: compute sums of int8 products with instructions that do not saturate on this CPU (saturation.py). They
        are slower

    exact_sums: after `open`, whether it does. ONNX Runtime refuses it for layers whose activations are int8 too; these
        are exact without it
    operators: the operators that ONNX Runtime runs, by the name of the node, {} if they are not known
    """

    name = 'onnxruntime'

    def __init__(
        self, path: Path, num_threads: int = 0, monitor: Monitor | None = None,
        source: Callable[[Path], str | bytes] = str, inspected: bool = False, exact_sums: bool = False,
    ) -> None:
        self.exact_sums = exact_sums
        self.operators: dict[str, str] = {}
        self._inspected = inspected
        self._path = Path(path)
        self._source = source
        self._monitor = monitor
        self._num_threads = num_threads
        self._session: Any = None
        self._input_names: list[str] = []
        self._output_names: list[str] = []

    def open(self) -> None:
        """Load the model; ModelError if ONNX Runtime rejects it, EngineError if it was cancelled."""
        if self.exact_sums:
            with contextlib.suppress(ModelError):
                self._load()
            self.exact_sums = self._session is not None
        if self._session is None:
            self._load()
        self._input_names = [entry.name for entry in self._session.get_inputs()]
        self._output_names = [output.name for output in self._session.get_outputs()]

    def _load(self) -> None:
        ort = require('onnxruntime')
        options = ort.SessionOptions()
        # By default ONNX Runtime pins each thread to a processor. Then the thread waits for other programs there, and
        # pinning fails in a process that may not use all processors.
        wanted = self._num_threads or usable_cores()
        # If there are more threads than processors, they block each other while they spin: an inference takes minutes.
        options.intra_op_num_threads = min(wanted, os.cpu_count() or wanted)
        options.inter_op_num_threads = 1
        options.log_severity_level = _SEVERITY_FATAL
        # Threads spin within a frame, because waking them for each layer takes long. Between frames they stop spinning,
        # because the camera driver needs the cores.
        options.add_session_config_entry('session.intra_op.allow_spinning', '1')
        options.add_session_config_entry('session.force_spinning_stop', '1')
        if self.exact_sums:
            options.add_session_config_entry(*EXACT_SUMS)
        if self._monitor is not None and holds_lock_while_loading(ort.__version__):
            with optimized_model(
                    self._path, options.intra_op_num_threads, self._monitor, self.exact_sums) as optimized:
                if optimized is not None:
                    everything = options.graph_optimization_level
                    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
                    # If ONNX Runtime cannot read the file that it wrote, the model itself is still loaded below.
                    with contextlib.suppress(ModelError):
                        self._session = load_session(optimized, options, str(self._path))
                        if self._inspected:
                            self.operators = operators_of(optimized)
                    options.graph_optimization_level = everything
        if self._session is None and self._inspected:
            with file_in_memory() as file:
                if file is not None:
                    options.optimized_model_filepath = file.path
                    # A model whose optimised form cannot be written may still run: it is loaded below.
                    with contextlib.suppress(ModelError):
                        self._session = load_session(self._source(self._path), options, str(self._path))
                        self.operators = operators_of(file.path)
                    options.optimized_model_filepath = ''
        if self._session is None:
            self._session = load_session(self._source(self._path), options, str(self._path))

    @property
    def session(self) -> Any:
        """ONNX Runtime's session; EngineError if it is not open."""
        if self._session is None:
            raise EngineError('the ONNX Runtime session is not open')
        return self._session

    def failure(self, error: Exception) -> EngineError:
        """Return the error for a run of `session` that failed."""
        return _failure(error, self._path.name)

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; returns each output by name. EngineError if the run fails."""
        session = self.session
        inputs = completed({input_name: tensor}, self._input_names)
        outputs = run_session(session, self._output_names, inputs, self._path.name)
        return dict(zip(self._output_names, outputs))

    def describe(self) -> dict[str, str]:
        """Return backend, version and device, for diagnostics."""
        ort = require('onnxruntime')
        return {'backend': self.name, 'backend_version': ort.__version__, 'device': 'CPU'}

    def close(self) -> None:
        """Free the session."""
        self._session = None


def load_session(model: str | bytes, options: Any, name: str) -> Any:
    """Return ONNX Runtime's session of a model on the CPU; ModelError if it rejects the model.

    model: the path of a file, or the bytes of one; name: of the model, for error messages
    """
    ort = require('onnxruntime')
    if isinstance(model, str):
        require_utf8(model, 'ONNX Runtime')
    try:
        # Without fallback: it would print the error on stdout and try the same again.
        return ort.InferenceSession(model, options, providers=['CPUExecutionProvider'], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise ModelError(
            f'ONNX Runtime {ort.__version__} cannot load {name}: {reason_of(error)}{remedy_of(error)}') from error


def run_session(
    session: Any, outputs: Sequence[str], inputs: Mapping[str, np.ndarray], name: str,
) -> list[np.ndarray]:
    """Run a session of `load_session` once; EngineError, which calls the model `name`, if the run fails."""
    try:
        return list(session.run(list(outputs), dict(inputs)))
    except Exception as error:
        raise _failure(error, name) from error


def _failure(error: Exception, name: str) -> EngineError:
    return EngineError(f'ONNX Runtime failed on {name}: {reason_of(error)}')
