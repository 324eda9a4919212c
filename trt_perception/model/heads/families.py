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
from .evidence import HeadEvidence, dense_counts, is_feature_map, is_raw_map

_YOLO = 'export a YOLO detector: yolo export model=yolo11n.pt format=onnx'
_NO_NMS = 'export it without NMS (YOLOv6 and YOLOv7: no --end2end, YOLOv7 with --grid)'
# DETR-like models have at most this many queries.
_MOST_QUERIES = 1000
# Ultralytics' classes of heads, in its metadata `head`: the class's name begins with the key.
_ULTRALYTICS_HEADS = {
    'Segment': 'a segmentation', 'YOLOESegment': 'a segmentation', 'Pose': 'a pose', 'OBB': 'an oriented-box'}


# Inputs beside the image: the size of the original image, for example.
_INPUTS = {
    'orig_target_sizes': 'RT-DETR, D-FINE or DEIM as exported by their authors',
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
    said = evidence.metadata.get('head', '')
    for start, kind in _ULTRALYTICS_HEADS.items():
        if said.startswith(start):
            return Family(
                f'{kind} model of Ultralytics (head: {printable(said[:40])} in its metadata)',
                'export the detection variant, such as yolo11n.pt')
    if 'rtdetr' in said.lower() or 'rt-detr' in evidence.metadata.get('description', '').lower():
        return _rtdetr('its metadata')
    return None


def _rtdetr(reason: str) -> Family:
    return Family(f'RT-DETR as exported by Ultralytics ({reason})', f'its boxes are fractions of the image; {_YOLO}')


def _rtdetr_by_shape(evidence: HeadEvidence) -> Family | None:
    if len(evidence.outputs) != 1 or len(evidence.shapes[0]) != 3 or not evidence.num_names:
        return None
    rows, columns = evidence.shapes[0][1:]
    if not 1 < rows <= _MOST_QUERIES or rows in dense_counts(evidence.input_size):
        return None
    # [1, 300, 4 + C]; since 2026 also [1, 300, 6] with box, score and class, although the metadata says end2end: False.
    if columns == 4 + evidence.num_names != 6 and rows > columns:
        return _rtdetr('one box for each query')
    if columns == 6 and evidence.end_to_end is False and evidence.num_names > 2:
        return _rtdetr('6 columns without NMS')
    return None


def _boxes_and_classes(evidence: HeadEvidence) -> Family | None:
    """Return the family of [1, N, 4] boxes with [1, N, C] scores."""
    boxes = [shape for shape in evidence.shapes if len(shape) == 3 and shape[0] == 1 and shape[2] == 4]
    scores = [shape for shape in evidence.shapes if len(shape) == 3 and shape[0] == 1 and shape[2] != 4]
    if len(boxes) != 1 or not scores or any(shape[1] != boxes[0][1] for shape in scores):
        return None
    names, count = _names(evidence), boxes[0][1]
    if names == {'dets', 'labels'}:
        return Family('RF-DETR', _YOLO)
    if names & {'pred_boxes', 'pred_logits', 'logits'}:
        return Family('DETR (also RT-DETR, D-FINE, DEIM, RF-DETR from Hugging Face or LibreYOLO)', _YOLO)
    if count in dense_counts(evidence.input_size):
        return Family('a detector with boxes and scores in separate outputs, such as YOLO-NAS or PP-YOLOE', _YOLO)
    if count <= _MOST_QUERIES:
        return Family('DETR', _YOLO)
    return Family('SSD with boxes and scores in separate outputs', _YOLO)


def _boxes_scores_labels(evidence: HeadEvidence) -> Family | None:
    """Return the family of boxes, scores and labels after NMS or after the best queries were taken."""
    names, shapes = _names(evidence), evidence.shapes
    boxes = [shape for shape in shapes if len(shape) >= 2 and shape[-1] == 4]
    lists = [shape for shape in shapes if len(shape) in (1, 2) and shape[-1] != 4]
    if len(boxes) != 1 or len(lists) + 1 != len(shapes) or len(lists) not in (2, 3):
        return None
    count = boxes[0][-2]
    same = [shape for shape in lists if shape[-1] == count]
    if len(same) < 2 or count == 1:
        return None
    if any(name.startswith('detection_') for name in names):
        return Family('an SSD or EfficientDet of the TensorFlow Object Detection API', _YOLO)
    if any('num_predictions' in name for name in names):
        return Family('YOLO-NAS with NMS', _YOLO)
    if len(lists) == 3:
        return Family('a detector with NMS as EfficientNMS_TRT (four outputs)', _NO_NMS)
    if len(boxes[0]) == 2:
        return Family('a detector of torchvision (SSD, RetinaNet, Faster R-CNN)', _YOLO)
    if 'bboxes' in names:
        return Family('SSD as in the ONNX model zoo', _YOLO)
    return Family('RT-DETR, D-FINE or DEIM as exported by their authors (labels, boxes, scores)', _YOLO)


def _rows_after_nms(evidence: HeadEvidence) -> Family | None:
    """Return the family of rows with box, score and class in another order or number than [1, N, 6]."""
    for shape in evidence.shapes:
        if len(shape) == 4 and shape[:2] == (1, 1) and shape[3] == 7:
            return Family('SSD of OpenVINO or Caffe (DetectionOutput, 7 columns)', _YOLO)
        if len(shape) == 3 and shape[0] == 1 and shape[2] == 5 and shape[:2] in evidence.shapes:
            return Family('a detector of MMDetection as exported by MMDeploy (dets, labels)', _YOLO)
    first, *others = evidence.shapes or [()]
    if len(first) == 2 and first[0] != 1 and not any(len(shape) > 1 for shape in others):
        if first[1] == 7:
            return Family('a detector with NMS for ONNX Runtime, one row of 7 columns for each box', _NO_NMS)
        if first[1] == 6:
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
        f'python export.py --weights yolov5s.pt --include onnx (YOLOv7: with --grid){others}')


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
        return Family('YOLOv2 or YOLOv3 with its raw grid', f'its boxes are not decoded; {_YOLO}')
    return None


def _undecoded_distances(evidence: HeadEvidence) -> Family | None:
    """Return the family of class scores beside the distributions of distances (DFL), which are not decoded."""
    if len(evidence.outputs) != 1 or len(evidence.shapes[0]) != 3 or not evidence.num_names:
        return None
    rows, columns = evidence.shapes[0][1:]
    if columns - evidence.num_names in (32, 44):
        return Family('NanoDet', f'its boxes are not decoded; {_YOLO}')
    if 64 in (rows - evidence.num_names, columns - evidence.num_names):
        return Family('YOLOv8 or later without box decoding', 'yolo export model=yolov8n.pt format=onnx')
    return None


def _other_columns(evidence: HeadEvidence) -> Family | None:
    if evidence.end_to_end and len(evidence.outputs) == 1 and len(evidence.shapes[0]) == 3:
        return Family(
            'a model with NMS and further columns: masks, key points or angles', 'export the detection variant')
    return None


def _single_value(evidence: HeadEvidence) -> Family | None:
    if len(evidence.outputs) != 1 or any(size != 1 for size in evidence.shapes[0]):
        return None
    if evidence.is_float(evidence.outputs[0][0]):
        return Family(
            'a classifier with one output',
            f'an output {list(evidence.shapes[0])} is only one score, export the model with one score per class')
    return Family(
        'a classifier that gives only the index of the best class',
        'export it without ArgMax, with one score per class')


def _names(evidence: HeadEvidence) -> set[str]:
    """Return the outputs' names in lower case, without TensorFlow's ':0'."""
    return {name.lower().split(':')[0] for name, _ in evidence.outputs}


_Rule = Callable[[HeadEvidence], Family | None]
_CERTAIN: tuple[_Rule, ...] = (
    _by_metadata, _raw_maps, _boxes_and_classes, _boxes_scores_labels, _rows_after_nms, _rtdetr_by_shape, _picture,
    _undecoded_distances)
_LIKELY: tuple[_Rule, ...] = (_yolov2, _other_columns, _single_value)
