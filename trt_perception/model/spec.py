# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ModelSpec: everything the package needs to know about a model, read from its ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LabelsError, ModelError, printable
from ..tensors.quantisation import Quantisation, real_outputs
from .coco_ids import NUM_IDS, by_id
from .file_kinds import is_tflite
from .head_by_graph import heads_of_graph
from .head_by_values import head_by_values
from .heads.binary import BinaryHead, binary_head
from .heads.classification import ClassificationHead, classification_head
from .heads.detection import FamilyHead
from .heads.evidence import HeadEvidence
from .heads.find_family import UNCOUNTED_KINDS
from .heads.further_columns import SegmentHead
from .heads.identify import Head, fitting_heads
from .labels import SHIPPED, load_labels, shipped_labels
from .metadata_names import read_metadata_names, shared_names
from .normalisation import Overrides, Preprocessing, preprocessing_of
from .onnx_file import OnnxSummary, read_onnx
from .onnx_outputs import activation_of, element_types
from .output_shapes import output_shapes
from .tflite_file import read_tflite
from .thresholds import Thresholds, thresholds_of
from .unchanged import ModelFiles, read_at_once

TASKS = ('auto', 'detection', 'classification')
# Ultralytics' task names, in ONNX metadata.
_METADATA_TASKS = {
    'detect': 'detection', 'segment': 'detection', 'pose': 'detection', 'obb': 'detection',
    'classify': 'classification'}
# Used if neither the file nor the user gives the size of a dynamic input.
_DEFAULT_SIZE = {'detection': 640, 'classification': 224}


@dataclass(frozen=True)
class ModelSpec:
    """A model as the pipeline runs it.

    sha256: hash of the ONNX file and its external data, or of the .tflite file
    layout: nchw or nhwc; input_dtype: float32, float16, uint8 or int8
    width, height: the input in pixels; channels: 1 or 3
    dynamic_size, dynamic_batch: whether these dimensions are dynamic in the file (the batch is run as 1)
    outputs: name and shape of each output at this input size
    names: class names by index
    names_source: the source of the class names
    labels_warning: what is wrong with the file's class names, or why the given ones are not used; '' if nothing
    stored_precision: fp32, fp16 or int8, the precision of the file itself
    files: the ONNX file and its external data as they were when this was read
    file_format: onnx or tflite
    has_fractions: for tflite, whether its exporter writes boxes as fractions of the input; None if unknown
    thresholds: of a detector, for users who set none
    size_inputs: further inputs that take the size of the image (ort/size_inputs.py)
    quantised: how the integers of the input and the outputs stand for real numbers, by name
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
    labels_warning: str = ''
    files: ModelFiles | None = field(default=None, repr=False, compare=False)
    file_format: str = 'onnx'
    has_fractions: bool | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    size_inputs: tuple[str, ...] = ()
    quantised: tuple[tuple[str, Quantisation], ...] = ()

    @property
    def input_quantisation(self) -> Quantisation | None:
        """How the integers of the input stand for real numbers, None if it is not quantised."""
        return dict(self.quantised).get(self.input_name)

    def real(self, outputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return the outputs of a network with real numbers, float32, in place of quantised ones."""
        return real_outputs(outputs, self.quantised)

    @property
    def task(self) -> str:
        """detection or classification."""
        return self.head.task

    @property
    def has_masks(self) -> bool:
        """Whether the model gives instance masks if they are asked for."""
        return isinstance(self.head, SegmentHead) and bool(self.head.prototypes_name)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """The shape of the input tensor."""
        if self.layout == 'nchw':
            return (1, self.channels, self.height, self.width)
        return (1, self.height, self.width, self.channels)

    def name_of(self, class_index: int) -> str:
        """Return the class name, or the index as text if it has no name."""
        if 0 <= class_index < len(self.names):
            return self.names[class_index]
        return str(class_index)


@dataclass(frozen=True)
class ModelOptions:
    """The user's settings for a model; by default the file decides everything.

    output_name: the output to use if the file has several, '' if the file decides
    labels: path of a names file, or 'coco' or 'imagenet' for the shipped lists, '' for the file's own names
    input_size: width, height for a model with a dynamic size, (0, 0) for its default
    """

    task: str = 'auto'
    head: str = 'auto'
    output_name: str = ''
    labels: str = ''
    input_size: tuple[int, int] = (0, 0)
    preprocessing: Overrides = Overrides()


def load_model(path: str | Path, options: ModelOptions | None = None) -> ModelSpec:
    """Read the ONNX or .tflite file and find out how to run it.

    Raises ModelError, also if the file changes while it is read, or LabelsError for class names.
    """
    with read_at_once(Path(path)) as files:
        return replace(_read_model(Path(path), options or ModelOptions()), files=files)


def _read_model(path: Path, options: ModelOptions) -> ModelSpec:
    if options.task not in TASKS:
        raise ModelError(f"task is '{options.task}': expected one of {', '.join(TASKS)}")
    summary = read_tflite(path) if is_tflite(path) else read_onnx(path)
    said = summary.metadata.get('task', '')
    task = options.task if options.task != 'auto' else _METADATA_TASKS.get(said, 'auto')
    given = _given_names(options.labels)
    num_names = len(summary.names or given) or None
    evidence, head = _head(summary, options, task, num_names)
    if _input_size(summary, options.input_size, head.task) != evidence.input_size:
        # The head decides the default size of a dynamic input.
        evidence, head = _head(summary, options, head.task, num_names)
    (width, height), shapes = evidence.input_size, evidence.outputs
    if options.task not in ('auto', head.task):
        raise ModelError(
            f"{summary.path.name} is a {head.task} model (output {head.output_names[0]} "
            f'{list(dict(shapes)[head.output_names[0]])}), '
            f"but task is '{options.task}': set task to auto or {head.task}")
    names, source = _names(summary, head, given, options.labels)
    return ModelSpec(
        path=summary.path, sha256=summary.sha256, input_name=summary.input_name,
        input_dtype=summary.input_dtype, layout=summary.layout, width=width, height=height,
        channels=summary.channels, dynamic_size=summary.width == 0 or summary.height == 0,
        dynamic_batch=summary.dynamic_batch, outputs=shapes, head=head, names=names,
        names_source=source, stored_precision=summary.stored_precision,
        preprocessing=preprocessing_of(
            head.task, summary.metadata, summary.input_dtype, options.preprocessing,
            summary.input_name in dict(summary.quantised),
            head.usual_preprocessing if isinstance(head, FamilyHead) else None),
        labels_warning=_labels_warning(summary, head, given, options.labels),
        file_format='onnx' if summary.tflite is None else 'tflite', has_fractions=summary.has_fractions,
        thresholds=thresholds_of(summary.metadata) if head.task == 'detection' else Thresholds(),
        size_inputs=summary.size_inputs, quantised=summary.quantised)


def _head(
    summary: OnnxSummary, options: ModelOptions, task: str, num_names: int | None,
) -> tuple[HeadEvidence, Head]:
    """Identify the head by the outputs' shapes, then by the metadata, then by values."""
    width, height = _input_size(summary, options.input_size, task)
    graph = summary.tflite
    types = element_types(summary.proto) if graph is None else graph.element_types()
    types.update(dict.fromkeys(dict(summary.quantised), 'float32'))
    evidence = HeadEvidence(
        output_shapes(summary, width, height), (width, height), num_names, summary.end_to_end, types, summary.metadata,
        bool(summary.size_inputs), _open_outputs(summary), summary.layout == 'nhwc')
    considered = _only(evidence, options.output_name)
    heads = heads_of_graph(summary, considered, fitting_heads(considered, options.head))
    head = heads[0] if len(heads) == 1 else head_by_values(summary, considered, heads)
    if isinstance(head, BinaryHead):
        head = binary_head(head.output_name, _binary_activation(summary, head.output_name))
    elif isinstance(head, ClassificationHead):
        activation = (
            activation_of(summary.proto, head.output_name) if graph is None else graph.activation_of(head.output_name))
        head = classification_head(head.output_name, head.num_classes, activation)
    return evidence, head


def _binary_activation(summary: OnnxSummary, output: str) -> str:
    """Return sigmoid if the graph ends with one, logit if it ends with a linear layer, '' if the values decide."""
    found = activation_of(summary.proto, output) if summary.tflite is None else summary.tflite.activation_of(output)
    return {'sigmoid': 'sigmoid', 'softmax': 'logit'}.get(found, '')


def _open_outputs(summary: OnnxSummary) -> frozenset[str]:
    if summary.dynamic_batch and not summary.end_to_end:
        return frozenset()
    return frozenset(name for name, shape in summary.declared_outputs if shape[:1] == (0,))


def _only(evidence: HeadEvidence, output: str) -> HeadEvidence:
    """Return the evidence of one output, or of all if `output` is ''."""
    if not output:
        return evidence
    chosen = tuple(entry for entry in evidence.outputs if entry[0] == output)
    if not chosen:
        names = ', '.join(printable(name) for name, _ in evidence.outputs)
        raise ModelError(f"output_name is '{output}': expected an output of the model, one of {names}")
    return replace(evidence, outputs=chosen)


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


def _given_names(labels: str) -> tuple[str, ...]:
    if not labels:
        return ()
    return tuple(shipped_labels(labels) if labels in SHIPPED else load_labels(Path(labels)))


def _names(summary: OnnxSummary, head: Head, given: tuple[str, ...], labels: str) -> tuple[tuple[str, ...], str]:
    """Return the class names and their source: the file's metadata, otherwise the given names. Both must fit."""
    metadata = 'ONNX metadata' if summary.tflite is None else 'TFLite metadata'
    source = f'shipped list {labels}' if labels in SHIPPED else labels
    own = summary.names
    if isinstance(head, FamilyHead):
        own, given = head.names_of(own), head.names_of(given)
        if head.num_classes == NUM_IDS and not own and not given:
            given, source = by_id(shipped_labels('coco')), "COCO's names by id"
    # The output of an end-to-end model does not show the number of classes, but the file's own names do.
    by_metadata = head.kind in ('end_to_end', *UNCOUNTED_KINDS) or not head.num_classes
    expected = len(own) if by_metadata else head.num_classes
    evidence = 'in its metadata' if by_metadata else f'output {head.output_names[0]}'
    for names, where, remedy in (
            (own, metadata, "correct 'names' in its metadata (see models/README.md)"),
            (given, source, 'set labels_file to the class names of this model')):
        if names and expected and len(names) != expected:
            raise LabelsError(
                f'{where}: found {len(names)} class names, but {summary.path.name} has {expected} classes '
                f'({evidence}): {remedy}{_hint(head, names)}')
    if own:
        return own, metadata
    if given:
        return given, source
    reason = 'the names in the file cannot be read' if read_metadata_names(summary.metadata).problem else (
        'the file has no names')
    return tuple(str(index) for index in range(expected)), f'class indices ({reason})'


def _labels_warning(summary: OnnxSummary, head: Head, given: tuple[str, ...], labels: str) -> str:
    problem = read_metadata_names(summary.metadata).problem
    if not problem and summary.tflite is not None:
        problem = summary.tflite.metadata.problem
    shared = '' if summary.names else shared_names(given)
    if shared:
        return (
            f'{summary.path.name}: the class names of {labels} have {shared}: COCO files and evaluate match classes by '
            'name; correct the file')
    if not problem and isinstance(head, FamilyHead):
        problem = head.names_doubt(summary.names or given)
    differing = [pair for pair in zip(summary.names, given) if pair[0] != pair[1]]
    if not differing:
        return f'{summary.path.name}: {problem}' if problem else ''
    own, other = differing[0]
    warning = (
        f"labels_file {labels} is not used: {summary.path.name} has its own class names, such as '{printable(own)}' "
        f"instead of '{printable(other)}'; to rename classes, change 'names' in its metadata (see models/README.md)")
    return f'{warning}; {problem}' if problem else warning


def _hint(head: Any, names: tuple[str, ...]) -> str:
    if head.kind in ('yolov5', 'yolov8') and head.num_classes > len(names):
        return (
            '; a segmentation, pose or oriented-box model has more output columns than classes: if it is one, set head '
            'to segment, pose or obb')
    return ''


def require_onnx(spec: ModelSpec, what: str) -> None:
    """Raise ModelError if the model is not an ONNX file; what: the work that needs one, such as 'a conversion'."""
    if spec.file_format != 'onnx':
        raise ModelError(
            f'{spec.path.name} is a TensorFlow Lite model, and {what} needs an ONNX file: backend litert runs the '
            '.tflite file as it is; otherwise export the original model to ONNX')
