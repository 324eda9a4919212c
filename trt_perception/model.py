# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ModelSpec: all that the package needs to know of a model, read from its ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LabelsError, ModelError
from .heads.identify import Head, HeadEvidence, identify_head
from .labels import load_labels, shipped_labels
from .onnx_file import OnnxSummary, output_shapes, read_onnx
from .preprocessing import Overrides, Preprocessing, preprocessing_of

TASKS = ('auto', 'detection', 'classification')
# Ultralytics' names of the tasks, in ONNX metadata.
_METADATA_TASKS = {'detect': 'detection', 'classify': 'classification'}
_UNSUPPORTED_TASKS = {'segment': 'segmentation', 'pose': 'pose', 'obb': 'oriented-box'}
# Where neither the file nor the user gives the size of a dynamic input.
_DEFAULT_SIZE = {'detection': 640, 'classification': 224}


@dataclass(frozen=True)
class ModelSpec:
    """A model, as the pipeline runs it.

    sha256: of the ONNX file with its external data
    layout: nchw or nhwc; input_dtype: float32, float16 or uint8
    width, height: the input in pixels; channels: 1 or 3
    dynamic_size, dynamic_batch: which dimensions the file leaves open (the batch is run as 1)
    outputs: name and shape of each output at this input size
    names: class names by index
    names_source: where they came from
    stored_precision: fp32, fp16 or int8: what the file itself computes in
    """

    path: Path
    sha256: str
    input_name: str
    input_dtype: np.dtype
    layout: str
    width: int
    height: int
    channels: int
    dynamic_size: bool
    dynamic_batch: bool
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    head: Head
    names: tuple[str, ...]
    names_source: str
    preprocessing: Preprocessing
    stored_precision: str = 'fp32'

    @property
    def task(self) -> str:
        """detection or classification."""
        return self.head.task

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """The shape of the input tensor."""
        if self.layout == 'nchw':
            return (1, self.channels, self.height, self.width)
        return (1, self.height, self.width, self.channels)

    def name_of(self, class_index: int) -> str:
        """Return the class name, or the index as text where no name is known."""
        if 0 <= class_index < len(self.names):
            return self.names[class_index]
        return str(class_index)


@dataclass(frozen=True)
class ModelOptions:
    """What a user may say about a model beyond its file; the defaults leave all to the file.

    labels: path of a names file, or 'coco' or 'imagenet' for the shipped lists, '' for the file's own names
    input_size: width, height for a model with a dynamic size, (0, 0) for its default
    """

    task: str = 'auto'
    head: str = 'auto'
    labels: str = ''
    input_size: tuple[int, int] = (0, 0)
    preprocessing: Overrides = Overrides()


def load_model(path: str | Path, options: ModelOptions | None = None) -> ModelSpec:
    """Read the ONNX file and find out how to run it.

    Raises ModelError (LabelsError for class names) saying what was expected, what was found, what to do.
    """
    options = options or ModelOptions()
    if options.task not in TASKS:
        raise ModelError(f"task is '{options.task}': expected one of {', '.join(TASKS)}")
    summary = read_onnx(Path(path))
    said = summary.metadata.get('task', '')
    if said in _UNSUPPORTED_TASKS:
        raise ModelError(
            f'{summary.path.name} is a {_UNSUPPORTED_TASKS[said]} model, by its metadata: expected a detection or '
            'classification model; export one of those (yolov8n.pt or yolov8n-cls.pt, for example)')
    task = options.task if options.task != 'auto' else _METADATA_TASKS.get(said, 'auto')
    names, source = _names(summary, options.labels)
    width, height, shapes, head = _head(summary, options, task, len(names) or None)
    if _input_size(summary, options.input_size, head.task) != (width, height):
        # The head tells the usual size of an input that the file leaves open.
        width, height, shapes, head = _head(summary, options, head.task, len(names) or None)
    if options.task not in ('auto', head.task):
        raise ModelError(
            f"{summary.path.name} is a {head.task} model (output {shapes[0][0]} "
            f"{list(shapes[0][1])}), but task is '{options.task}': set task to auto or {head.task}")
    names, source = _match_names(head, names, source, summary)
    return ModelSpec(
        path=summary.path, sha256=summary.sha256, input_name=summary.input_name,
        input_dtype=summary.input_dtype, layout=summary.layout, width=width, height=height,
        channels=summary.channels, dynamic_size=summary.width == 0 or summary.height == 0,
        dynamic_batch=summary.dynamic_batch, outputs=shapes, head=head, names=names,
        names_source=source, stored_precision=summary.stored_precision,
        preprocessing=preprocessing_of(
            head.task, summary.metadata, summary.input_dtype, options.preprocessing))


def _head(
    summary: OnnxSummary, options: ModelOptions, task: str, num_names: int | None,
) -> tuple[int, int, tuple[tuple[str, tuple[int, ...]], ...], Head]:
    width, height = _input_size(summary, options.input_size, task)
    shapes = output_shapes(summary, width, height)
    head = identify_head(
        HeadEvidence(shapes, (width, height), num_names, summary.end_to_end), options.head)
    return width, height, shapes, head


def _input_size(summary: OnnxSummary, asked: tuple[int, int], task: str) -> tuple[int, int]:
    if min(asked) < 0 or (min(asked) == 0 and max(asked) > 0):
        raise ModelError(
            f"input_size is {list(asked)}: expected [width, height] in pixels, or [0, 0] for the model's own")
    size = []
    for fixed, wanted, default in zip(
            (summary.width, summary.height), asked, summary.metadata_size or (0, 0)):
        if fixed and wanted and fixed != wanted:
            raise ModelError(
                f'input_size is {list(asked)}, but {summary.path.name} has the fixed input size '
                f'[{summary.width}, {summary.height}]: leave input_size at [0, 0], or export the model '
                'with that size or with dynamic axes')
        size.append(fixed or wanted or default or _DEFAULT_SIZE.get(task, 640))
    return size[0], size[1]


def _names(summary: OnnxSummary, labels: str) -> tuple[tuple[str, ...], str]:
    if labels in ('coco', 'imagenet'):
        return tuple(shipped_labels(labels)), f'shipped list {labels}'
    if labels:
        return tuple(load_labels(Path(labels))), labels
    if summary.names:
        return summary.names, 'ONNX metadata'
    return (), 'their indices (the file names none)'


def _match_names(
    head: Head, names: tuple[str, ...], source: str, summary: OnnxSummary,
) -> tuple[tuple[str, ...], str]:
    if head.kind == 'end_to_end':
        # The output does not say how many classes there are, but the file's own names do.
        if names and summary.names and len(names) != len(summary.names):
            raise LabelsError(
                f'{source} names {len(names)} classes, but the metadata of {summary.path.name} names '
                f'{len(summary.names)}: give the labels_file this model was trained with')
    else:
        if names and len(names) != head.num_classes:
            raise LabelsError(
                f'{source} names {len(names)} classes, but {summary.path.name} has {head.num_classes} '
                f'(output {head.output_name}): give the labels_file this model was trained with'
                + _hint(head, names))
        if not names:
            names = tuple(str(index) for index in range(head.num_classes))
    return names, source


def _hint(head: Any, names: tuple[str, ...]) -> str:
    if head.kind in ('yolov5', 'yolov8') and head.num_classes > len(names):
        return (
            '; a segmentation or pose model has more output columns than classes and is not supported: '
            'export a detection model')
    return ''
