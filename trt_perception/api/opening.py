# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception.open: a model file with options becomes an open Model."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backends.create import BACKENDS, create_pipeline
from ..catalogue.resolve import resolve_model, resolve_video
from ..errors import ParameterError, one_line
from ..model.heads.classification import ClassificationSettings
from ..model.heads.yolo import DetectionSettings
from ..model.normalisation import Overrides
from ..model.spec import ModelOptions, ModelSpec, load_model
from ..monitor import Monitor
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import CALIBRATION_METHODS, PRECISIONS, CalibrationOptions, PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions, RunOptions
from .checks import choice, number, size, text, whole
from .model import Model

_LOG = logging.getLogger('trt_perception')
_DETECTION = DetectionSettings()
_CLASSIFICATION = ClassificationSettings()
_PIPELINE = PipelineOptions()
_CALIBRATION = CalibrationOptions()
_RUN = RunOptions()


def open(
    model: str | os.PathLike[str],
    *,
    precision: str | None = None,
    backend: str = _PIPELINE.backend,
    labels: str | os.PathLike[str] = '',
    task: str = 'auto',
    head: str = 'auto',
    input_size: tuple[int, int] = (0, 0),
    preprocessing: Mapping[str, Any] | None = None,
    score_threshold: float = _DETECTION.score_threshold,
    iou_threshold: float = _DETECTION.iou_threshold,
    class_agnostic_nms: bool = _DETECTION.class_agnostic_nms,
    max_detections: int = _DETECTION.max_detections,
    top_k: int = _CLASSIFICATION.top_k,
    num_threads: int = _PIPELINE.num_threads,
    device_index: int = _RUN.device_index,
    strict_precision: bool = _PIPELINE.strict_precision,
    calibration_source: str | os.PathLike[str] = '',
    calibration_topic: str = _CALIBRATION.topic,
    calibration_samples: int = _CALIBRATION.samples,
    calibration_method: str = _CALIBRATION.method,
    min_agreement: float | None = None,
    fetch: bool = True,
) -> Model:
    """Open a model, ready to be called with images.

    The options have the names and the meaning of the node's parameters; `labels` is its labels_file.

    model: an ONNX file, or the name of a catalogue model
    precision: fp32, fp16 or int8; None runs the file as it is stored. int8 needs `calibration_source`
    backend: auto (TensorRT if a GPU, tensorrt and pycuda are there, else ONNX Runtime), onnxruntime or tensorrt
    labels: class names of a model without names in its metadata: a txt, json or yaml file, or coco or imagenet
    task, head: what the model does and the layout of its output, if the file does not tell
    input_size: width, height in pixels for a model with a dynamic input size
    preprocessing: what differs from the model's own: color_order (of the network's input), scale, mean, std,
        resize_mode, crop_fraction; x = (pixel * scale - mean) / std
    score_threshold: detections with a lower score are left out, 0..1
    iou_threshold: IoU above which the lower-scoring box of the same class is removed, 0..1
    class_agnostic_nms: remove overlapping boxes of different classes too
    max_detections: most detections of one image
    top_k: number of classes that a classifier reports
    num_threads: CPU threads of one inference, 0 for one on each physical core that the process may use
    device_index: which GPU (TensorRT)
    strict_precision: raise EngineError if the network does not run in `precision`, instead of a warning
    calibration_source: a folder of images, a video or a bag; int8 is calibrated with it, and the accuracy is checked
        with it
    calibration_topic: image topic of a bag with several
    calibration_samples: number of frames to calibrate with
    calibration_method: auto, minmax, entropy, percentile or mse
    min_agreement: least agreement with ONNX Runtime fp32 on frames of `calibration_source`, 0..1; 0 for no check;
        None: 0.9 for int8, no check for the others
    fetch: download a catalogue model that is missing; False raises FetchError instead

    The first `open` of a model may take minutes if an engine is built or int8 is calibrated; both are kept for the next
    time. Warnings and progress go to the logger 'trt_perception'.

    Raises ModelError (no such file, not a supported model), LabelsError, CalibrationError, EngineError (the backend
    does not load or run the model), FetchError, ParameterError (an option has a value that is not allowed) or
    MissingDependencyError. All are PerceptionErrors.

    >>> with trt_perception.open('detector.onnx', precision='fp16', backend='tensorrt') as model:
    ...     found = model(image)
    """
    # All options are checked before a model is fetched or read.
    settings = PostprocessSettings(
        DetectionSettings(
            score_threshold=number('score_threshold', score_threshold, 0.0, 1.0),
            iou_threshold=number('iou_threshold', iou_threshold, 0.0, 1.0),
            class_agnostic_nms=class_agnostic_nms, max_detections=whole('max_detections', max_detections, 1)),
        ClassificationSettings(top_k=whole('top_k', top_k, 1)))
    model_options = ModelOptions(
        task=task, head=head, labels=text('labels', labels), input_size=size(input_size),
        preprocessing=_overrides(preprocessing))
    chosen = _Chosen(
        precision=None if precision is None else choice('precision', precision, PRECISIONS),
        backend=choice('backend', backend, BACKENDS), input_size=model_options.input_size,
        num_threads=whole('num_threads', num_threads, 0), device_index=whole('device_index', device_index, 0),
        strict_precision=strict_precision,
        calibration=CalibrationOptions(
            source=text('calibration_source', calibration_source), topic=calibration_topic,
            samples=whole('calibration_samples', calibration_samples, 1),
            method=choice('calibration_method', calibration_method, CALIBRATION_METHODS)),
        min_agreement=None if min_agreement is None else number('min_agreement', min_agreement, 0.0, 1.0))
    phases = _LoggedPhases()
    spec = load_model(resolve_model(text('model', model), fetch=fetch, progress=phases), model_options)
    if spec.labels_warning:
        _LOG.warning('%s', spec.labels_warning)
    if chosen.calibration.source:
        source = resolve_video(chosen.calibration.source, fetch=fetch, progress=phases)
        chosen = replace(chosen, calibration=replace(chosen.calibration, source=str(source)))
    pipeline = create_pipeline(spec, _pipeline_options(spec, chosen), settings, _monitor(phases))
    pipeline.open()
    return Model(pipeline)


@dataclass(frozen=True)
class _Chosen:
    """The checked options of `open` about how a model is run."""

    precision: str | None
    backend: str
    input_size: tuple[int, int]
    num_threads: int
    device_index: int
    strict_precision: bool
    calibration: CalibrationOptions
    min_agreement: float | None


def _pipeline_options(spec: ModelSpec, chosen: _Chosen) -> PipelineOptions:
    precision = chosen.precision or spec.stored_precision
    return PipelineOptions(
        backend=chosen.backend, precision=precision, strict_precision=chosen.strict_precision,
        num_threads=chosen.num_threads, calibration=chosen.calibration, min_agreement=chosen.min_agreement,
        build=BuildOptions(precision=precision, input_size=chosen.input_size),
        run=RunOptions(device_index=chosen.device_index))


def _monitor(phases: _LoggedPhases) -> Monitor:
    """Pass the progress and the messages of a pipeline that opens on to the logger."""
    levels = {'debug': logging.DEBUG, 'info': logging.INFO, 'warning': logging.WARNING, 'error': logging.ERROR}
    return Monitor(
        progress=phases,
        log=lambda severity, text: _LOG.log(levels.get(severity, logging.INFO), '%s', text),
        debug_log=_LOG.isEnabledFor(logging.DEBUG))


class _LoggedPhases:
    """Progress as log messages: each phase of a long job once, not each percent of it."""

    def __init__(self) -> None:
        self._last = ''

    def __call__(self, text: str, *amount: object) -> None:
        if text != self._last:
            self._last = text
            _LOG.info('%s', text)


def _overrides(given: Mapping[str, Any] | None) -> Overrides:
    values = dict(given or {})
    for name, value in values.items():
        if name not in vars(Overrides()):
            raise ParameterError(f'preprocessing has {name!r}: expected {", ".join(vars(Overrides()))}')
        if name in ('color_order', 'resize_mode') or value is None:
            continue
        try:
            numbers = tuple(float(number) for number in np.ravel(value))
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) not in ((1, 3) if name in ('mean', 'std') else (1,)):
            expected = 'one number, or three' if name in ('mean', 'std') else 'a number'
            raise ParameterError(f'{name} in preprocessing is {one_line(repr(value), 80)}: expected {expected}')
        values[name] = numbers if name in ('mean', 'std') else numbers[0]
    return Overrides(**values)
