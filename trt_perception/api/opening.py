# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception.open: opens a model file with options and returns a Model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backends.create import BACKENDS, create_pipeline
from ..catalogue.resolve import resolve_model, resolve_video
from ..errors import ModelError, ParameterError, one_line
from ..model.heads.classification import ClassificationSettings
from ..model.heads.yolo import DetectionSettings
from ..model.normalisation import Overrides
from ..model.spec import ModelOptions, ModelSpec, load_model
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import CALIBRATION_METHODS, PRECISIONS, CalibrationOptions, PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions, RunOptions
from .checks import choice, flag, number, size, text, whole
from .logged import LOG, LoggedPhases, logged_monitor
from .model import Model

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
    output_name: str = '',
    input_size: tuple[int, int] = (0, 0),
    preprocessing: Mapping[str, Any] | None = None,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    class_agnostic_nms: bool = _DETECTION.class_agnostic_nms,
    max_detections: int = _DETECTION.max_detections,
    top_k: int = _CLASSIFICATION.top_k,
    masks: bool = False,
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

    model: an ONNX file, a .tflite file, or the name of a catalogue model
    precision: fp32, fp16 or int8; None runs the file as it is stored. int8 needs `calibration_source`
    backend: auto, onnxruntime, openvino, tensorrt or litert. auto uses LiteRT for a .tflite file; TensorRT if a GPU,
        tensorrt, and pycuda or cuda-bindings, are found; OpenVINO if it is installed; otherwise ONNX Runtime
    labels: class names of a model without names in its metadata: a txt, json or yaml file, or coco or imagenet
    task, head: task of the model and layout of its output; auto reads them from the file
    output_name: the output to use, for a model with several
    input_size: width, height in pixels for a model with a dynamic input size
    preprocessing: values to use instead of the model's: color_order (of the network's input), scale, mean, std,
        resize_mode, crop_fraction, interpolation; the input is (pixel * scale - mean) / std
    score_threshold: detections with a lower score are dropped, 0..1; None for the model's value, usually 0.25
    iou_threshold: IoU above which the lower-scoring box of the same class is removed, 0..1; None for the model's
        value, usually 0.45
    class_agnostic_nms: also remove overlapping boxes of different classes
    max_detections: largest number of detections in one image
    top_k: number of classes that a classifier reports
    masks: give the pixels of each object too (`Detections.masks`); the model must be a segmentation model
    num_threads: CPU threads for one inference; 0: one for each physical core that the process may use
    device_index: index of the GPU that TensorRT uses
    strict_precision: raise EngineError if the network does not run in `precision`; otherwise only warn
    calibration_source: a folder of images, a video or a bag; int8 is calibrated with its frames, and accuracy is
        checked on them
    calibration_topic: image topic of a bag that has several
    calibration_samples: number of frames to calibrate with
    calibration_method: auto, minmax, entropy, percentile or mse
    min_agreement: lowest agreement with ONNX Runtime fp32 on frames of `calibration_source`, 0..1; 0 disables the
        check; None: 0.9 for int8, no check for the others
    fetch: True downloads a missing catalogue model, False raises FetchError for it

    The first `open` of a model may take minutes if an engine is built or int8 is calibrated. Both results are cached.
    Warnings and progress go to the logger 'trt_perception'.

    Raises ModelError (no such file, not a supported model), LabelsError, CalibrationError, EngineError (the backend
    cannot load or run the model), FetchError, ParameterError (an option has a wrong value) or MissingDependencyError.
    All are PerceptionErrors.

    >>> with trt_perception.open('detector.onnx', precision='fp16', backend='tensorrt') as model:
    ...     found = model(image)
    """
    # All options are checked before a model is fetched or read.
    score, iou = (
        None if value is None else number(name, value, 0.0, 1.0)
        for name, value in (('score_threshold', score_threshold), ('iou_threshold', iou_threshold)))
    settings = PostprocessSettings(
        DetectionSettings(
            class_agnostic_nms=flag('class_agnostic_nms', class_agnostic_nms),
            max_detections=whole('max_detections', max_detections, 1)),
        ClassificationSettings(top_k=whole('top_k', top_k, 1)))
    model_options = ModelOptions(
        task=text('task', task), head=text('head', head), output_name=text('output_name', output_name),
        labels=text('labels', labels), input_size=size(input_size), preprocessing=_overrides(preprocessing))
    chosen = _Chosen(
        precision=None if precision is None else choice('precision', precision, PRECISIONS),
        backend=choice('backend', backend, BACKENDS), input_size=model_options.input_size,
        num_threads=whole('num_threads', num_threads, 0), device_index=whole('device_index', device_index, 0),
        strict_precision=flag('strict_precision', strict_precision),
        calibration=CalibrationOptions(
            source=text('calibration_source', calibration_source),
            topic=text('calibration_topic', calibration_topic),
            samples=whole('calibration_samples', calibration_samples, 1),
            method=choice('calibration_method', calibration_method, CALIBRATION_METHODS)),
        min_agreement=None if min_agreement is None else number('min_agreement', min_agreement, 0.0, 1.0))
    masks, fetch = flag('masks', masks), flag('fetch', fetch)
    phases = LoggedPhases()
    spec = load_model(resolve_model(text('model', model), fetch=fetch, progress=phases), model_options)
    if spec.labels_warning:
        LOG.warning('%s', spec.labels_warning)
    if masks and not spec.has_masks:
        raise ModelError(
            f'masks is True, but {spec.path.name} has no instance masks (head {spec.head.kind}): expected a '
            'segmentation model of YOLOv5, YOLOv8, YOLO11 or YOLO26, such as yolo11n-seg; or leave masks out')
    if chosen.calibration.source:
        source = resolve_video(chosen.calibration.source, fetch=fetch, progress=phases)
        chosen = replace(chosen, calibration=replace(chosen.calibration, source=str(source)))
    thresholds = spec.thresholds.chosen(score, iou)
    settings = replace(settings, detection=replace(
        settings.detection, score_threshold=thresholds.score, iou_threshold=thresholds.iou))
    pipeline = create_pipeline(spec, _pipeline_options(spec, chosen), settings, logged_monitor(phases))
    pipeline.open()
    return Model(pipeline, masks)


@dataclass(frozen=True)
class _Chosen:
    """The checked options of `open` for running a model."""

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


def _overrides(given: Mapping[str, Any] | None) -> Overrides:
    if given is not None and not isinstance(given, Mapping):
        raise ParameterError(
            f"preprocessing is {one_line(repr(given), 80)}: expected a dict, such as {{'scale': 1 / 255}}")
    values = dict(given or {})
    for name, value in values.items():
        if name not in vars(Overrides()):
            raise ParameterError(f'preprocessing has {name!r}: expected {", ".join(vars(Overrides()))}')
        if name in ('color_order', 'resize_mode', 'interpolation') or value is None:
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
