# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Identifies a model's head from its output shapes, metadata and class names."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ModelError
from .classification import ClassificationHead
from .yolo import YoloHead

Head = ClassificationHead | YoloHead
HEADS = ('auto', 'classification', 'yolov5', 'yolov8', 'end_to_end')

KNOWN_LAYOUTS = (
    'known layouts: classification [1, C]; YOLOv5 decoded [1, N, 5+C]; YOLOv8/11 [1, 4+C, N]; '
    'end-to-end [1, N, 6]')


@dataclass(frozen=True)
class HeadEvidence:
    """The known facts about a model before its head is identified.

    outputs: (name, shape) in the graph's order, shapes without dynamic dimensions
    input_size: width, height of the network's input
    num_names: number of class names if known, else None
    end_to_end: whether the model includes NMS according to its metadata or graph, None if unknown
    """

    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    input_size: tuple[int, int]
    num_names: int | None = None
    end_to_end: bool | None = None


def identify_head(evidence: HeadEvidence, wanted: str = 'auto') -> Head:
    """Return the head. Raises ModelError with the found shapes and the known layouts if none fits.

    wanted: classification, yolov5, yolov8 or end_to_end, to decide between heads if the shapes fit several
    """
    if wanted not in HEADS:
        raise ModelError(f"head is '{wanted}': expected one of {', '.join(HEADS)}")
    _refuse_raw_maps(evidence)
    candidates = [
        head for name, shape in evidence.outputs
        if (head := _head_of_output(name, shape, evidence, wanted)) is not None]
    if len(candidates) == 1:
        head = candidates[0]
        others = [shape for name, shape in evidence.outputs if name != head.output_name]
        # Older YOLOv5 exports have the raw maps in addition to the decoded output: the decoded one counts. Any other
        # additional output means that the columns are not a detector's (masks, DETR's boxes).
        if head.task == 'classification' or wanted != 'auto' or all(_is_raw_map(shape) for shape in others):
            return head
        _refuse_segmentation(evidence, others)
    found = [_describe(evidence)]
    if len(evidence.outputs) > 1 and candidates:
        found.append('more than one output could be the result')
    if any(shape == (1, 1) for _, shape in evidence.outputs) and not candidates:
        found.append('an output [1, 1] is only one score, export the model with one score per class')
    if wanted != 'auto':
        found.append(f"head is set to '{wanted}'")
    raise ModelError(
        f'unknown output layout: {"; ".join(found)}; {KNOWN_LAYOUTS}')


def _head_of_output(
    name: str, shape: tuple[int, ...], evidence: HeadEvidence, wanted: str,
) -> Head | None:
    if len(shape) in (2, 4) and shape[0] == 1 and all(d == 1 for d in shape[2:]) and shape[1] > 1:
        return ClassificationHead(name, shape[1]) if wanted in ('auto', 'classification') else None
    if len(shape) != 3 or shape[0] != 1:
        return None
    rows, columns = shape[1], shape[2]
    dense = _anchor_counts(evidence.input_size)
    if wanted in ('auto', 'end_to_end') and columns == 6 and _is_end_to_end(rows, evidence, wanted, dense):
        return YoloHead('end_to_end', name, evidence.num_names or 0)
    if wanted == 'auto' and evidence.end_to_end:
        # Other columns after NMS: masks, key points or angles.
        return None
    # If the number of class names is known, the number of columns identifies the layout. Otherwise the axis with the
    # length of a dense head holds the candidates, or else the longer axis. In YOLOv8 it is the last axis.
    options = [
        YoloHead('yolov5', name, columns - 5),
        YoloHead('yolov8', name, rows - 4),
        YoloHead('yolov8', name, columns - 4, transposed=True)]
    options = [
        head for head in options if head.num_classes > 0 and wanted in ('auto', head.kind)]
    exact = [head for head in options if head.num_classes == evidence.num_names]
    if len(exact) == 1:
        if wanted == 'auto' and exact[0].transposed and rows not in dense:
            # RT-DETR and similar models give one box per query, [1, 300, 4 + C], as fractions of the image.
            return None
        return exact[0]
    rows_are_candidates = rows > columns if (rows in dense) == (columns in dense) else rows in dense
    plausible = [
        head for head in options
        if rows_are_candidates == (head.kind == 'yolov5' or head.transposed)]
    if wanted == 'auto':
        plausible = [head for head in plausible if not head.transposed]
    return plausible[0] if plausible else None


def _is_end_to_end(rows: int, evidence: HeadEvidence, wanted: str, dense: set[int]) -> bool:
    """Return whether [1, N, 6] is end-to-end; otherwise dense: YOLOv5 with one class or transposed YOLOv8 with two."""
    if wanted == 'end_to_end':
        return True
    if evidence.end_to_end is not None:
        return evidence.end_to_end
    if evidence.num_names not in (None, 1, 2):
        return True
    return rows not in dense


def _anchor_counts(input_size: tuple[int, int]) -> set[int]:
    """Return the candidate counts of dense YOLO heads: 1 or 3 anchors per cell at the usual strides."""
    width, height = input_size

    def cells(strides: tuple[int, ...]) -> int:
        return sum(-(-width // s) * -(-height // s) for s in strides)

    counts = set()
    for strides in ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32)):
        counts |= {cells(strides), 3 * cells(strides)}
    return counts


def _is_raw_map(shape: tuple[int, ...]) -> bool:
    """Return whether it is YOLOv5's training-time map: [1, anchors, h, w, 5 + C]."""
    return len(shape) == 5 and shape[0] == 1 and shape[4] > 5


def _is_feature_map(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[0] == 1 and shape[2] > 1 and shape[3] > 1


def _refuse_raw_maps(evidence: HeadEvidence) -> None:
    shapes = [shape for _, shape in evidence.outputs]
    # Raw maps before the reshape, for accelerators without 5-D tensors: [1, anchors * (5 + C), h, w] per scale.
    is_flat = (
        len(shapes) > 1 and all(_is_feature_map(shape) for shape in shapes)
        and len({shape[2:] for shape in shapes}) == len(shapes)
        and len({shape[1] for shape in shapes}) == 1 and shapes[0][1] % 3 == 0 and shapes[0][1] > 15)
    if shapes and (is_flat or all(_is_raw_map(shape) for shape in shapes)):
        # YOLOv8's maps have no anchors: 64 numbers for the box and one per class.
        others = '; YOLOv8 and later: yolo export model=yolov8n.pt format=onnx' if is_flat else ''
        raise ModelError(
            f'this is a YOLOv5 {"or later " if is_flat else ""}export with its raw training-time outputs '
            f'({_describe(evidence)}): '
            'expected one decoded output [1, N, 5+C]; export it again, without --train: '
            f'python export.py --weights yolov5s.pt --include onnx (YOLOv7: with --grid){others}')


def _refuse_segmentation(evidence: HeadEvidence, others: list[tuple[int, ...]]) -> None:
    if any(_is_feature_map(shape) for shape in others):
        raise ModelError(
            f'this looks like a segmentation model with mask prototypes in addition to boxes '
            f'({_describe(evidence)}): expected a detection or classification model; export the detection '
            'variant, such as yolov8n.pt instead of yolov8n-seg.pt')


def _describe(evidence: HeadEvidence) -> str:
    shapes = ', '.join(f'{name} {list(shape)}' for name, shape in evidence.outputs)
    text = f'found {shapes or "no outputs"}'
    if evidence.num_names is not None:
        text += f' and {evidence.num_names} class names'
    return text
