# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..closing import Closing
from ..cores import usable_cores
from ..dependencies import require
from ..errors import EngineError, ModelError
from ..monitor import Monitor
from .compilation import Compilation, compiled
from .compiled_model import CompiledModel, recipe
from .execution_types import ExecutionTypes, execution_types
from .reasons import reason_of, remedy_of


class OpenVinoBackend(Closing):
    """Runs an ONNX file on the CPU. Its input is uint8 pixels; the compiled model converts them.

    work: the model; its precision and num_threads are set here
    sha256: of the model, for the cache key
    precision: fp32, fp16 or int8; with fp16 and int8 the float layers run in bf16 or f16 if the CPU has one of them
    num_threads: threads for all inferences at the same time, 0 for one on each physical core that the process may use;
        at most one on each processor
    monitor: its cancel ends `open` soon
    check: raises ModelError if the model's files have changed
    streams: threads that may call `infer` at the same time
    """

    name = 'openvino'

    def __init__(
        self, work: Compilation, sha256: str, precision: str = 'fp32', num_threads: int = 0,
        monitor: Monitor | None = None, check: Callable[[], None] = lambda: None, streams: int = 1,
    ) -> None:
        self._work = work
        self._sha256 = sha256
        self._precision = precision
        self._num_threads = num_threads
        self._monitor = monitor or Monitor()
        self._check = check
        # OpenVINO shares the memory of `_content`.
        self._content: np.ndarray | None = None
        self._streams = streams
        self._compiled: Any = None
        self._outputs: list[tuple[frozenset[str], int]] = []
        # Of each thread: its request, and the array that is its input.
        self._of_thread = threading.local()
        self.types = ExecutionTypes({}, {})

    def open(self) -> None:
        """Load the model: compiled before and cached, or compiled now.

        Raises ModelError if OpenVINO rejects it, EngineError if it was cancelled.
        """
        openvino = require('openvino')
        name = Path(self._work.path).name
        self._monitor.check(f'loading {name}')
        core = openvino.Core()
        wanted = self._num_threads or usable_cores()
        work = replace(
            self._work.for_precision(self._precision, capabilities()),
            num_threads=min(wanted, os.cpu_count() or wanted), streams=self._streams)
        try:
            model = self._model(openvino, core, work)
        except RuntimeError as error:
            raise ModelError(
                f'OpenVINO {version()} cannot load {self._work.path}: {reason_of(error)}{remedy_of(error)}') from error
        self.types = execution_types(model.get_runtime_model())
        self._compiled = model
        self._outputs = [(frozenset(output.get_names()), index) for index, output in enumerate(model.outputs)]

    def _model(self, openvino: Any, core: Any, work: Compilation) -> Any:
        source = CompiledModel(work, recipe(work, self._sha256, openvino.get_version()), self._monitor, self._check)
        content, cached = source.content()
        while content is not None:
            try:
                model = core.import_model(openvino.Tensor(content, shared_memory=True), 'CPU', work.config)
                self._content = content
                return model
            except RuntimeError as error:
                if not cached:
                    break
                self._monitor.log(
                    'warning', f'the cached compiled model cannot be loaded ({reason_of(error)}); compiling it again')
                content, cached = source.content(use_cache=False)
        # The child process was not started, OpenVINO rejects the model, or it cannot import what it wrote.
        return compiled(core, work)

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; returns each output by name. The next call of this thread overwrites the returned arrays.

        input_name: not used, because the model has one input
        tensor: [1, height, width, channels] uint8, contiguous; 3 channels in the order BGR
        EngineError if the run fails.
        """
        if self._compiled is None:
            raise EngineError('the OpenVINO model is not open')
        mine = self._of_thread
        try:
            if getattr(mine, 'request', None) is None:
                mine.request, mine.pixels = self._compiled.create_infer_request(), None
            request = mine.request
            if tensor is not mine.pixels:
                # The same buffer is passed for each frame, so OpenVINO is told of it once.
                request.set_input_tensor(require('openvino').Tensor(tensor, shared_memory=True))
                mine.pixels = tensor
            # Other threads run meanwhile: both calls release the GIL.
            request.start_async()
            request.wait()
            return {
                name: request.get_output_tensor(index).data for names, index in self._outputs for name in names}
        except (RuntimeError, ValueError) as error:
            raise EngineError(f'OpenVINO failed on {Path(self._work.path).name}: {reason_of(error)}') from error

    def describe(self) -> dict[str, str]:
        """Return backend, version and device, and the types of the layers, for diagnostics."""
        require('openvino')
        types = self.types.text()
        return {
            'backend': self.name, 'backend_version': version(), 'device': 'CPU',
            **({'execution_types': types} if types else {})}

    def close(self) -> None:
        """Free the model."""
        self._of_thread = threading.local()
        self._compiled = None
        self._content = None
        self._outputs = []


def version() -> str:
    """Return OpenVINO's version, such as 2026.4.1."""
    return str(require('openvino').get_version()).partition('-')[0]


def capabilities() -> tuple[str, ...]:
    """Return what the CPU plugin can compute in here, such as BF16, FP16, FP32 and INT8."""
    return tuple(require('openvino').Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))
