# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the pipeline for an engine: all on the GPU, or with OpenCV and NumPy before and after the engine."""

from __future__ import annotations

from collections.abc import Callable

from ....errors import EngineError
from ....model.spec import ModelSpec
from ....monitor import LogCallback
from ....pipeline.host import HostPipeline
from ....pipeline.interface import Pipeline, PostprocessSettings
from ....pipeline.tensorrt_options import RunOptions
from ..cache.kernel_cache import kernel_cubin
from ..cuda.runtime_api import device_at
from ..library.compat import TensorRt
from ..library.engine_log import WARNING
from .backend import TensorRtBackend
from .device_pipeline import DevicePipeline


def choose_pipeline(
    spec: ModelSpec, load_plan: Callable[[], bytes], tensorrt: TensorRt, options: RunOptions | None = None,
    settings: PostprocessSettings | None = None, precision_effective: str = '', log: LogCallback | None = None,
) -> Pipeline:
    """Return an unopened pipeline for the plan.

    It is a DevicePipeline. If the CUDA kernels cannot be compiled, it is a HostPipeline, which takes one frame at a
    time, and a warning is logged. The arguments are those of DevicePipeline. EngineError without a GPU.
    """
    options = options or RunOptions()
    capability = device_at(options.device_index).compute_capability
    try:
        kernel_cubin(capability, log)
    except EngineError as error:
        if log is not None:
            turns = ', and max_batch has no effect' if options.max_batch > 1 else ''
            log(WARNING, f'preprocessing and decoding run on the CPU, which is slower{turns}: {error}')
        return HostPipeline(spec, TensorRtBackend(spec, load_plan, tensorrt, options), settings)
    return DevicePipeline(spec, load_plan, tensorrt, options, settings, precision_effective, log)
