# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a user may say about how a model is run, whatever runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import EngineError
from ..progress import ProgressCallback
from .tensorrt_options import BuildOptions, RunOptions

BACKENDS = ('auto', 'onnxruntime', 'tensorrt')
PRECISIONS = ('fp32', 'fp16', 'int8')
CALIBRATION_METHODS = ('auto', 'minmax', 'entropy', 'percentile', 'mse')
# Below this an int8 network has lost too much to be used unseen.
DEFAULT_INT8_AGREEMENT = 0.9


@dataclass(frozen=True)
class PipelineOptions:
    """How a model is run.

    backend: auto takes TensorRT where it and a GPU are there, else ONNX Runtime
    precision: fp32, fp16 or int8; strict_precision: fail where it is not met, instead of a warning
    num_threads: CPU threads of one inference, 0 for one on each usable core
    calibration_source: images, video or bag for int8's ranges and for the accuracy gate; '' for none
    calibration_topic: image topic of such a bag, '' where it has only one
    min_agreement: agreement with ONNX Runtime fp32 on frames of that source below which the model is refused, 0..1,
        as it is where nothing is found on the frames; None: 0.9 for int8, no gate for the others
    build, run: TensorRT's options; build.precision follows precision
    """

    backend: str = 'auto'
    precision: str = 'fp32'
    strict_precision: bool = False
    num_threads: int = 0
    calibration_source: str = ''
    calibration_topic: str = ''
    calibration_samples: int = 64
    calibration_method: str = 'auto'
    min_agreement: float | None = None
    timing_cache: bool = True
    build: BuildOptions = field(default_factory=BuildOptions)
    run: RunOptions = field(default_factory=RunOptions)

    @property
    def needed_agreement(self) -> float:
        """The agreement to reach, 0 where there is no gate."""
        if self.min_agreement is not None:
            return self.min_agreement
        return DEFAULT_INT8_AGREEMENT if self.precision == 'int8' else 0.0


@dataclass(frozen=True)
class Monitor:
    """Who follows the opening of a pipeline, which may build an engine for minutes.

    on_progress(fraction, text): how much is done, 0..1, None where that is unknown; on_log(severity, text): debug,
    info, warning or error. Both are called on the thread that opens. cancel: setting it ends the opening. debug_log:
    whether debug messages are wanted of an engine build too, tens of thousands.
    """

    on_progress: Callable[[float | None, str], None] = lambda fraction, text: None
    on_log: Callable[[str, str], None] = lambda severity, text: None
    cancel: threading.Event = field(default_factory=threading.Event)
    debug_log: bool = False

    def following(self, what: str) -> ProgressCallback:
        """Return what passes the progress of `what` on, and raises EngineError once `cancel` is set."""
        def progress(text: str, done: int, total: int | None) -> None:
            if self.cancel.is_set():
                raise EngineError(f'{what} was cancelled while {text}')
            self.on_progress(done / total if total else None, text)

        return progress
