# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's options for running a model, on any backend."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..image.options import DEFAULT, ImageOptions
from .tensorrt_options import BuildOptions, RunOptions

DEVICES = ('auto', 'gpu', 'cpu')
PRECISIONS = ('fp32', 'fp16', 'int8')
# The end of an error about a network that would run in another precision.
STRICT_PRECISION = '; strict_precision is set: set another precision, or set strict_precision to false'
# The first method, auto, tries all others and uses the one with the smallest loss.
CALIBRATION_METHODS = ('auto', 'minmax', 'entropy', 'percentile', 'mse')
# An int8 network with lower agreement has lost too much accuracy: by default it is refused.
DEFAULT_INT8_AGREEMENT = 0.9


@dataclass(frozen=True)
class CalibrationOptions:
    """Frames of what the camera will see, and their use.

    source: a folder of images, a video or a rosbag2 for int8's ranges and for the accuracy gate; '' for no source
    topic: image topic of a bag, '' if it has only one
    samples: number of frames to calibrate with
    checking: number of other frames of the source, to measure the agreement on
    method: calibration method, one of CALIBRATION_METHODS
    images: how the frames are read; damaged ones are left out by default
    """

    source: str = ''
    topic: str = ''
    samples: int = 64
    checking: int = 24
    method: str = 'auto'
    images: ImageOptions = DEFAULT


@dataclass(frozen=True)
class PipelineOptions:
    """Options for running a model.

    backend: auto uses LiteRT for a .tflite file, TensorRT if it is installed and there is a GPU, OpenVINO if it is
        installed, otherwise ONNX Runtime
    precision: fp32, fp16 or int8; strict_precision: another precision is an error instead of a warning
    num_threads: CPU threads for one inference, 0 for one on each physical core that the process may use
    calibration: frames for int8's ranges and for the accuracy gate
    min_agreement: lowest agreement with ONNX Runtime fp32 on such frames, 0..1. The model is refused if its agreement
        is lower, or if nothing is found on the frames. None: 0.9 for int8, no gate for fp32 and fp16
    cameras: sources whose frames may run at the same time, or together
    concurrent_runs: threads that want to run frames at the same time, each with its part of num_threads; 0: what suits
        the backend, one for each camera on ONNX Runtime and OpenVINO, and one on TensorRT
    max_batch: frames that want to run together, if the model has a dynamic batch
        A pipeline says what it offers of both
    build, run: TensorRT's options; build.precision is the same as precision
    device: gpu warns if the model runs on the CPU; cpu uses no GPU; auto warns if the machine has a GPU that is not
        used for an ONNX file; strict_device: an error instead of these warnings
    """

    backend: str = 'auto'
    precision: str = 'fp32'
    strict_precision: bool = False
    num_threads: int = 0
    calibration: CalibrationOptions = field(default_factory=CalibrationOptions)
    min_agreement: float | None = None
    timing_cache: bool = True
    cameras: int = 1
    concurrent_runs: int = 0
    max_batch: int = 1
    build: BuildOptions = field(default_factory=BuildOptions)
    run: RunOptions = field(default_factory=RunOptions)
    device: str = 'auto'
    strict_device: bool = False

    @property
    def needed_agreement(self) -> float:
        """The lowest accepted agreement, 0 without a gate."""
        if self.min_agreement is not None:
            return self.min_agreement
        return DEFAULT_INT8_AGREEMENT if self.precision == 'int8' else 0.0
