# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognises models of families that have no head here, so that the error names the family and what to export.

`family_of` lists the families. If a family gets a head, its rule here becomes the rule in identify.py.
Sources: the export scripts of the named projects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...errors import printable
from .evidence import HeadEvidence, are_turned_anchors, dense_counts, is_feature_map, is_raw_map

_YOLO = 'export a YOLO detector: yolo export model=yolo11n.pt format=onnx'
# Ultralytics' classes of heads, in its metadata `head`: the class's name begins with the key.
_ULTRALYTICS_HEADS = {
    'Segment': 'a segmentation', 'YOLOESegment': 'a segmentation', 'Pose': 'a pose', 'OBB': 'an oriented-box'}


_ULTRALYTICS_TASKS = {'segment': 'a segmentation', 'pose': 'a pose', 'obb': 'an oriented-box'}
# Inputs beside the image: the size of the original image, for example.
_INPUTS = {
    'orig_target_sizes': 'RT-DETR, D-FINE or DEIM with another size input than int64 [1, 2]',
    'im_shape': 'a detector of PaddleDetection', 'scale_factor': 'a detector of PaddleDetection',
    'image_shape': 'YOLOv3 as in the ONNX model zoo', 'pixel_mask': 'DETR as exported from Hugging Face'}


@dataclass(frozen=True)
class Family:
    """A family of models without a head here. advice: what to export instead."""

    name: str
    advice: str


def family_of_inputs(names: Iterable[str]) -> Family | None:
    """Return the family that has these inputs in addition to the image, None if unknown."""
    for name in names:
        if name in _INPUTS:
            return Family(_INPUTS[name], _YOLO)
    return None


def family_of(evidence: HeadEvidence) -> Family | None:
    """Return the family if the metadata, or the names and shapes of the outputs, leave no doubt, else None."""
    for rule in _CERTAIN:
        if family := rule(evidence):
            return family
    return None


def resembling_family(evidence: HeadEvidence) -> Family | None:
    """Return the family that outputs without a known head resemble most, None if there is none."""
    for rule in (*_CERTAIN, *_LIKELY):
        if family := rule(evidence):
            return family
    return None


def _by_metadata(evidence: HeadEvidence) -> Family | None:
    task = evidence.metadata.get('task', '')
    if task in _ULTRALYTICS_TASKS:
        return Family(
            f'{_ULTRALYTICS_TASKS[task]} model of Ultralytics (task: {task} in its metadata) with other outputs than '
            'its exporter writes', 'export it again with its class names, or export yolo11n.pt')
    said = evidence.metadata.get('head', '')
    for start, kind in _ULTRALYTICS_HEADS.items():
        if said.startswith(start):
            return Family(
                f'{kind} model of Ultralytics (head: {printable(said[:40])} in its metadata)',
                'export the detection variant, such as yolo11n.pt')
    return None


def _rows_after_nms(evidence: HeadEvidence) -> Family | None:
    """Return the family of rows with box, score and class in another order or number than [1, N, 6]."""
    for shape in evidence.shapes:
        rows = (len(shape) == 3 and shape[0] == 1) or (len(shape) == 2 and shape[0] != 1)
        if rows and shape[-1] == 5 and shape[:-1] in evidence.shapes:
            return Family('a detector of MMDetection as exported by MMDeploy (dets, labels)', _YOLO)
    first, *others = evidence.shapes or [()]
    if len(first) == 2 and first[0] != 1 and first[1] == 6 and not any(len(shape) > 1 for shape in others):
        return Family('a detector of PaddleDetection, one row of 6 columns for each box', _YOLO)
    return None


def _raw_maps(evidence: HeadEvidence) -> Family | None:
    shapes = evidence.shapes
    # Raw maps before the reshape, for accelerators without 5-D tensors: [1, anchors * (5 + C), h, w] per scale.
    is_flat = (
        len(shapes) > 1 and all(is_feature_map(shape) for shape in shapes)
        and len({shape[2:] for shape in shapes}) == len(shapes)
        and len({shape[1] for shape in shapes}) == 1 and shapes[0][1] % 3 == 0 and shapes[0][1] > 15)
    if not shapes or not (is_flat or all(is_raw_map(shape) for shape in shapes)):
        return None
    # YOLOv8's maps have no anchors: 64 numbers for the box and one per class.
    others = '; YOLOv8 and later: yolo export model=yolov8n.pt format=onnx' if is_flat else ''
    return Family(
        f'a YOLOv5 {"or later " if is_flat else ""}export with its raw training-time outputs',
        'expected one decoded output [1, N, 5+C]; export it again, without --train: '
        f'python export.py --weights yolov5s.pt --include onnx (YOLOv7: with --grid){others}; or write its '
        'anchors into the metadata (models/README.md)')


def _picture(evidence: HeadEvidence) -> Family | None:
    """Return the family of one output that is a picture of the input's proportions: depth, masks, a larger image."""
    if len(evidence.outputs) != 1 or len(evidence.shapes[0]) not in (3, 4):
        return None
    shape = evidence.shapes[0]
    height, width = shape[-2:]
    if shape[0] != 1 or min(height, width) < 16 or (len(shape) == 3 and evidence.num_names):
        return None
    input_width, input_height = evidence.input_size
    if height * input_width != width * input_height or height * 8 < input_height:
        return None
    if len(shape) == 3 and {height, width} & dense_counts(evidence.input_size):
        return None
    return Family(
        'a network whose output is a picture (depth, segmentation, super-resolution)',
        'expected a detection or classification model')


def _yolov2(evidence: HeadEvidence) -> Family | None:
    if len(evidence.outputs) != 1 or not is_feature_map(evidence.shapes[0]):
        return None
    channels = evidence.shapes[0][1]
    if channels % 5 == 0 and channels // 5 > 5:
        return Family(
            'YOLOv2 or YOLOv3 with its raw grid',
            f'its boxes are not decoded: write its anchors into the metadata (models/README.md), or {_YOLO}')
    return None


def _undecoded_distances(evidence: HeadEvidence) -> Family | None:
    """Return the family of class scores beside the distributions of distances (DFL), which are not decoded."""
    if len(evidence.outputs) != 1 or len(evidence.shapes[0]) != 3 or not evidence.num_names:
        return None
    rows, columns = evidence.shapes[0][1:]
    if 64 in (rows - evidence.num_names, columns - evidence.num_names):
        return Family('YOLOv8 or later without box decoding', 'yolo export model=yolov8n.pt format=onnx')
    return None


def _other_columns(evidence: HeadEvidence) -> Family | None:
    if evidence.end_to_end and len(evidence.outputs) == 1 and len(evidence.shapes[0]) == 3:
        return Family(
            'a model with NMS and further columns: masks, key points or angles', 'export the detection variant')
    return None


def _turned_anchors(evidence: HeadEvidence) -> Family | None:
    if not any(are_turned_anchors(shape, evidence.input_size) for shape in evidence.shapes):
        return None
    return Family(
        'YOLOv5 or v7, three boxes for each cell, with its last two axes exchanged',
        'export it without the Transpose at its end, as [1, N, 5+C]')


def _single_value(evidence: HeadEvidence) -> Family | None:
    if len(evidence.outputs) != 1 or any(size != 1 for size in evidence.shapes[0]):
        return None
    if evidence.is_float(evidence.outputs[0][0]):
        return Family(
            'a classifier with one output',
            f'an output {list(evidence.shapes[0])} is only one number: if it is the score of the second of two '
            'classes, set head to binary or labels_file to two names; otherwise export the model with one score per '
            'class')
    return Family(
        'a classifier that gives only the index of the best class',
        'export it without ArgMax, with one score per class')


def _names(evidence: HeadEvidence) -> set[str]:
    """Return the outputs' names in lower case, without TensorFlow's ':0'."""
    return {name.lower().split(':')[0] for name, _ in evidence.outputs}


_Rule = Callable[[HeadEvidence], Family | None]
_CERTAIN: tuple[_Rule, ...] = (
    _by_metadata, _raw_maps, _rows_after_nms, _picture, _undecoded_distances)
_LIKELY: tuple[_Rule, ...] = (_yolov2, _other_columns, _turned_anchors, _single_value)
