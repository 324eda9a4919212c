# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds an engine into the cache, as the node and `trt_perception build` do, on a machine without a GPU.

    python test/reliability/engine_job.py MODEL CALIBRATION_IMAGES PRECISION

Needs TensorRT for RTX. The engine is for a GPU that this machine does not have; everything else is as in the node.
"""

import sys

from trt_perception.backends.tensorrt import engine_source
from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo
from trt_perception.backends.tensorrt.engine_source import EngineSource
from trt_perception.model.spec import load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions


def main(model: str, images: str, precision: str) -> None:
    """Build, or take the engine from the cache."""
    engine_source.gpu_info = lambda index: GpuInfo('a card', '8.6', 28, 12288, integrated=False)
    source = EngineSource(
        load_model(model),
        PipelineOptions(
            'tensorrt', precision, calibration=CalibrationOptions(images, samples=16, method='mse'),
            build=BuildOptions(precision, compute_capabilities=('8.6',), optimization_level=0)),
        Monitor())
    source.engine(source.prepare())


if __name__ == '__main__':
    main(*sys.argv[1:])
