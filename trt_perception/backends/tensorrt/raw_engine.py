# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine of a network without preprocessing and decoding: from the cache, or built; then it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...closing import Closing
from ...errors import EngineError, PlanError
from ...model.unchanged import unchanged
from ...monitor import Monitor
from ...pipeline.raw import RawModel, RawOptions, TensorSpec
from ...pipeline.tensorrt_options import BuildOptions
from .build.process import build_in_process
from .build.request import BuildRequest, Shapes
from .cache.engine_cache import BuiltEngine, CachedEngine, EngineCache
from .cache.engine_key import EngineKey
from .cache.timings import timing_cache_path
from .cuda.gpu_info import gpu_info
from .library.compat import TensorRt, load_for
from .library.inspector import layers_from_records, precision_doubt, summarize
from .run.raw import RawEngineRunner


class RawEngine(Closing):
    """A DeviceBackend on TensorRT; `open` builds the engine if it is not in the cache."""

    def __init__(
        self, model: RawModel, options: RawOptions | None = None, monitor: Monitor | None = None,
        tensorrt: TensorRt | None = None, cache: EngineCache | None = None,
    ) -> None:
        """Store the arguments. tensorrt: None for the installed one; cache: None for that of the user."""
        self._model = model
        self._options = options or RawOptions()
        self._monitor = monitor or Monitor()
        self._tensorrt = tensorrt
        self._cache = cache or EngineCache()
        self._runner: RawEngineRunner | None = None
        self._provenance: dict[str, str] = {}
        self.device_index = self._options.run.device_index

    def open(self) -> None:
        """Find or build the engine and load it.

        Raises ModelError if TensorRT cannot read the file, EngineError, MissingDependencyError.
        """
        self.close()
        engine = self.engine()
        try:
            self._load(engine)
        except PlanError as error:
            if not engine.hit:
                raise
            self._monitor.log('warning', f'the cached engine cannot be loaded ({error}); building it again')
            self._cache.discard(engine)
            engine = self.engine()
            self._load(engine)
        doubt = precision_doubt(
            self._model.precision, summarize(layers_from_records(engine.sidecar['layers'])))
        if doubt:
            self._monitor.log('warning', doubt)
        self._provenance = {
            'engine': engine.digest, 'engine_from': 'cache' if engine.hit else f'build ({engine.reason})',
            'precision_effective': str(engine.sidecar.get('precision_effective', ''))}

    def engine(self) -> CachedEngine:
        """Return the engine for this GPU from the cache, or build and store it; raises as `open`."""
        model, options = self._model, self._build_options()
        library = self._tensorrt or load_for(options)
        gpu = gpu_info(self.device_index)
        library.require_options(options, gpu)
        key = EngineKey(
            model.sha256, library.identity, gpu.name, gpu.compute_capability, gpu.multiprocessors, gpu.memory_mib,
            options)
        request = BuildRequest(
            model.path, model.inputs[0].name, self._shapes(model.inputs[0]), options, self.device_index, library.name,
            timing_cache_path(
                self._cache.root, library.identity, gpu.name, gpu.compute_capability, model.sha256),
            self._monitor.debug_log,
            other_inputs=tuple((spec.name, self._shapes(spec)) for spec in model.inputs[1:]))
        return self._cache.get_or_build(key, model.path.name, lambda: self._built(request), self._monitor)

    def run(self, arrays: Sequence[np.ndarray], batch: int) -> list[np.ndarray]:
        """Return the outputs for arrays in host memory."""
        return self._opened().run(arrays, batch)

    def enqueue(
        self, inputs: Sequence[int], outputs: Sequence[int], batch: int, stream: int | None, wait: bool = False,
    ) -> None:
        """Queue a run on tensors on the GPU, and wait for it if requested."""
        self._opened().enqueue(inputs, outputs, batch, stream, wait)

    def device_of(self, address: int) -> int:
        """Return the index of the GPU that an address belongs to."""
        return self._opened().device_of(address)

    def borrow(self, size: int) -> int:
        """Return the address of `size` bytes on the GPU."""
        return self._opened().borrow(size)

    def give_back(self, address: int) -> None:
        """Let later calls of `borrow` return this memory."""
        runner = self._runner
        if runner is not None:
            runner.give_back(address)

    def download(self, address: int, array: np.ndarray) -> None:
        """Fill a contiguous array from the GPU."""
        self._opened().download(address, array)

    def describe(self) -> dict[str, str]:
        """Return the backend, its version, the device, and where the engine comes from."""
        return {**self._opened().describe(), **self._provenance}

    def close(self) -> None:
        """Free everything."""
        runner, self._runner = self._runner, None
        self._provenance = {}
        if runner is not None:
            runner.close()

    def _load(self, engine: CachedEngine) -> None:
        library = self._tensorrt or load_for(self._options.build)
        runner = RawEngineRunner(self._model, engine.plan, library, self._options.run)
        runner.open()
        self._runner = runner

    def _built(self, request: BuildRequest) -> BuiltEngine:
        model = self._model
        with unchanged(model.path, model.sha256, 'its engine was built') as check:
            def progress(text: str, done: float, total: float | None) -> None:
                check()
                self._monitor.progress(text, done, total)

            return build_in_process(request, replace(self._monitor, progress=progress))

    def _build_options(self) -> BuildOptions:
        model = self._model
        batch = (1, model.usual_batch, model.max_batch) if model.has_batch else (1, 1, 1)
        return replace(self._options.build, precision=model.precision, batch=batch)

    def _shapes(self, spec: TensorSpec) -> Shapes:
        model = self._model
        return spec.shape_for(1), spec.shape_for(model.usual_batch), spec.shape_for(model.max_batch)

    def _opened(self) -> RawEngineRunner:
        if self._runner is None:
            raise EngineError('the network is closed')
        return self._runner
