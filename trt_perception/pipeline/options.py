# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a user may say about how a model is run, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .tensorrt_options import BuildOptions, RunOptions

PRECISIONS = ('fp32', 'fp16', 'int8')
# The first one tries all others and takes the one that loses least.
CALIBRATION_METHODS = ('auto', 'minmax', 'entropy', 'percentile', 'mse')
# Below this an int8 network has lost too much to be used unseen.
DEFAULT_INT8_AGREEMENT = 0.9


@dataclass(frozen=True)
class CalibrationOptions:
    """Frames of what the camera will see, and what is done with them.

    source: a folder of images, a video or a rosbag2 for int8's ranges and for the accuracy gate; '' for none
    topic: image topic of such a bag, '' if it has only one
    samples: frames to calibrate with; checking: other frames of the source, to measure the agreement on
    method: how ranges are found, one of CALIBRATION_METHODS
    """

    source: str = ''
    topic: str = ''
    samples: int = 64
    checking: int = 24
    method: str = 'auto'


@dataclass(frozen=True)
class PipelineOptions:
    """How a model is run.

    backend: auto takes TensorRT if it and a GPU are there, else ONNX Runtime
    precision: fp32, fp16 or int8; strict_precision: fail if it is not met, instead of a warning
    num_threads: CPU threads of one inference, 0 for one on each physical core that the process may use
    calibration: frames for int8's ranges and for the accuracy gate
    min_agreement: agreement with ONNX Runtime fp32 on such frames, 0..1. The model is refused if its agreement is
        lower, or if nothing is found on the frames. None: 0.9 for int8, no gate for the others
    build, run: TensorRT's options; build.precision follows precision
    """

    backend: str = 'auto'
    precision: str = 'fp32'
    strict_precision: bool = False
    num_threads: int = 0
    calibration: CalibrationOptions = field(default_factory=CalibrationOptions)
    min_agreement: float | None = None
    timing_cache: bool = True
    build: BuildOptions = field(default_factory=BuildOptions)
    run: RunOptions = field(default_factory=RunOptions)

    @property
    def needed_agreement(self) -> float:
        """The agreement to reach, 0 without a gate."""
        if self.min_agreement is not None:
            return self.min_agreement
        return DEFAULT_INT8_AGREEMENT if self.precision == 'int8' else 0.0
