# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine of a model on this machine: out of the cache, or built in a process of its own and put there."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...model.spec import ModelSpec
from ...pipeline.tensorrt_options import BuildOptions
from .build.process import build_in_process
from .build.request import build_request
from .cache.engine_cache import BuiltEngine, CachedEngine, EngineCache
from .cache.engine_key import EngineKey
from .cache.timings import timing_cache_path
from .cuda.gpu_info import GpuInfo, gpu_info
from .library.compat import TensorRt, load


def cached_engine(
    spec: ModelSpec, options: BuildOptions, *, device_index: int = 0, calibration_sha256: str = '',
    tensorrt: TensorRt | None = None, cache: EngineCache | None = None, timing_cache: bool = True,
    debug_log: bool = False,
    on_progress: Callable[[float | None, str], None] = lambda fraction, text: None,
    on_log: Callable[[str, str], None] = lambda severity, text: None, cancel: threading.Event | None = None,
    before_build: Callable[[], None] = lambda: None,
) -> CachedEngine:
    """Return the engine for `spec`, whose file is already in the precision of `options`.

    Arguments as for build_process.build_in_process; before_build is called where the cache has none, and what it raises
    is raised. The sidecar holds the report of builder.build_plan. Raises what the build raises, EngineError without a
    GPU, MissingDependencyError without TensorRT.
    """
    tensorrt = tensorrt or load()
    gpu = gpu_info(device_index)
    cache = cache or EngineCache()
    key = engine_key(spec, options, tensorrt, gpu, calibration_sha256)
    timings = timing_cache_path(
        cache.root, tensorrt.identity, gpu.name, gpu.compute_capability, spec.sha256) if timing_cache else None
    request = build_request(
        spec, options, device_index=device_index, tensorrt=tensorrt.name, timing_cache=timings,
        debug_log=debug_log)

    def build() -> BuiltEngine:
        before_build()
        return build_in_process(request, on_progress, on_log, cancel)

    return cache.get_or_build(
        key, spec.path.name, build, lambda text: on_log('info', text), cancel,
        lambda text: on_progress(None, text))


def engine_key(
    spec: ModelSpec, options: BuildOptions, tensorrt: TensorRt, gpu: GpuInfo, calibration_sha256: str = '',
) -> EngineKey:
    """Return the identity of the engine for `spec` on this GPU."""
    return EngineKey(
        spec.sha256, tensorrt.identity, gpu.name, gpu.compute_capability, gpu.multiprocessors, gpu.memory_mib, options,
        calibration_sha256)
