# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Identifies a model's head from its output shapes, metadata and class names."""

from __future__ import annotations

from dataclasses import replace

from ...errors import ModelError, printable
from .binary import binary_head, is_binary
from .classification import ClassificationHead
from .evidence import HeadEvidence, are_turned_anchors, cell_counts, dense_counts, is_feature_map, is_raw_map
from .families import family_of, resembling_family
from .find_family import FAMILY_KINDS, FAMILY_LAYOUTS, family_heads
from .plausibility import Head as Head
from .rtdetr import unnamed_rtdetr
from .several_lists import is_list, scores_among
from .yolo import YoloHead
from .yolox import undecoded_yolox

HEADS = ('auto', 'classification', 'binary', 'yolov5', 'yolov8', 'end_to_end', *FAMILY_KINDS)

KNOWN_LAYOUTS = (
    'known layouts: classification [1, C] or [1, 1]; YOLOv5 decoded [1, N, 5+C]; YOLOv8/11 [1, 4+C, N]; '
    f'end-to-end [1, N, 6]; {FAMILY_LAYOUTS}')
# Outputs after NMS have at most this many rows; a dense head of that size with one class has the same shape.
_MOST_ROWS_AFTER_NMS = 1000


def fitting_heads(evidence: HeadEvidence, wanted: str = 'auto') -> list[Head]:
    """Return the heads that the shapes, the names and the metadata show; several if only the values decide.

    Raises ModelError as `identify_head` does.
    """
    if wanted not in HEADS:
        raise ModelError(f"head is '{wanted}': expected one of {', '.join(HEADS)}")
    evidence = replace(evidence, asked=wanted)
    found: list[Head] = [binary_head(evidence.outputs[0][0])] if is_binary(evidence, wanted) else []
    if wanted in ('auto', *FAMILY_KINDS):
        found += family_heads(evidence, wanted)
    if wanted == 'yolox' and (yolox := undecoded_yolox(evidence)):
        found.append(yolox)
    if found or wanted in ('binary', *FAMILY_KINDS):
        if not found:
            raise _unknown(evidence, wanted)
        return found
    head = identify_head(evidence, wanted)
    rivals: list[Head | None] = [rival_head(head, evidence, wanted)]
    if wanted == 'auto' and isinstance(head, YoloHead) and len(evidence.outputs) == 1:
        rivals += unnamed_rtdetr(evidence)
        rivals.append(_turned_rival(head, evidence))
        rivals.append(undecoded_yolox(evidence) if head.kind == 'yolov5' else None)
    return [head, *(rival for rival in rivals if rival is not None)]


def identify_head(evidence: HeadEvidence, wanted: str = 'auto') -> Head:
    """Return the head that the shapes and the metadata show.

    Raises ModelError with the found shapes, the known layouts, and the family that the model resembles if none fits.

    wanted: classification, yolov5, yolov8 or end_to_end, to decide between heads if the shapes fit several
    """
    if wanted not in HEADS:
        raise ModelError(f"head is '{wanted}': expected one of {', '.join(HEADS)}")
    if wanted == 'auto' and family_of(evidence) is not None:
        raise _unknown(evidence, wanted)
    candidates = [
        head for name, shape in evidence.outputs
        if evidence.is_float(name) and (head := _head_of_output(name, shape, evidence, wanted)) is not None]
    if len(candidates) == 1:
        head = candidates[0]
        others = [shape for name, shape in evidence.outputs if name not in head.output_names]
        # Older YOLOv5 exports have the raw maps in addition to the decoded output: the decoded one counts. Any other
        # additional output means that the columns are not a detector's (masks, DETR's boxes).
        if head.task == 'classification' or wanted != 'auto' or all(is_raw_map(shape) for shape in others):
            return head
        _refuse_segmentation(evidence, others)
    lists = [head for head in candidates if isinstance(head, ClassificationHead)]
    if len(lists) > 1 and len(lists) == len(candidates):
        return scores_among(lists, evidence)
    if not candidates:
        _refuse_element_types(evidence, wanted)
    raise _unknown(evidence, wanted, candidates)


def rival_head(head: Head, evidence: HeadEvidence, wanted: str = 'auto') -> Head | None:
    """Return the other head that fits as well by shape and metadata, so that only the values decide; else None.

    [1, N, 6] is a dense head with one class (YOLOv5) or two (YOLOv8, transposed), or the rows after NMS.
    """
    if wanted != 'auto' or evidence.end_to_end is not None or not isinstance(head, YoloHead):
        return None
    shape = dict(evidence.outputs)[head.output_name]
    if head.kind == 'end_to_end' or shape[2] != 6 or shape[1] > _MOST_ROWS_AFTER_NMS:
        return None
    return YoloHead('end_to_end', head.output_name, evidence.num_names or 0)


def _turned_rival(head: YoloHead, evidence: HeadEvidence) -> Head | None:
    """Return the transposed YOLOv8 that fits as well as YOLOv5, so that only the graph decides; else None.

    YOLOv5 and v7 have three rows for each cell. One row for each cell have YOLOv6, YOLOX and YOLOv8.
    """
    shape = dict(evidence.outputs)[head.output_name]
    if head.kind != 'yolov5' or evidence.num_names is not None or shape[1] not in cell_counts(evidence.input_size):
        return None
    return YoloHead('yolov8', head.output_name, shape[2] - 4, transposed=True)


def _head_of_output(
    name: str, shape: tuple[int, ...], evidence: HeadEvidence, wanted: str,
) -> Head | None:
    if is_list(shape):
        return ClassificationHead(name, max(shape)) if wanted in ('auto', 'classification') else None
    if len(shape) != 3 or shape[0] != 1:
        return None
    rows, columns = shape[1], shape[2]
    dense = dense_counts(evidence.input_size)
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
    if wanted == 'auto' and are_turned_anchors(shape, evidence.input_size):
        # Three columns for each cell: YOLOv5, transposed. YOLOv8 has one.
        options = [head for head in options if head.kind == 'yolov5' or head.transposed]
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


def _refuse_element_types(evidence: HeadEvidence, wanted: str) -> None:
    """Raise ModelError if only the element type of an output is not that of a head."""
    for name, shape in evidence.outputs:
        if evidence.is_float(name) or _head_of_output(name, shape, evidence, wanted) is None:
            continue
        found = evidence.element_types[name]
        remedy = 'export it with outputs in float32'
        if found in ('uint8', 'int8', 'uint16', 'int16'):
            remedy = (
                'these are quantised values, and neither the graph nor the metadata say what they stand for: write '
                'scale and zero point into the metadata trt_perception.quantisation (see models/README.md), or export '
                'it with outputs in float32')
        elif is_list(shape) and found in ('int32', 'int64'):
            remedy = 'export it with one floating-point score per class, without ArgMax'
        raise ModelError(
            f"output '{printable(name)}' {list(shape)} has the element type {found}: expected float32 or float16; "
            f'{remedy}')


def _refuse_segmentation(evidence: HeadEvidence, others: list[tuple[int, ...]]) -> None:
    # Several maps are the raw outputs of a detector, in addition to the decoded one.
    if sum(is_feature_map(shape) for shape in others) == 1:
        raise ModelError(
            f'this looks like a segmentation model with mask prototypes in addition to boxes '
            f'({evidence.describe()}): expected a detection or classification model; export the detection '
            'variant, such as yolov8n.pt instead of yolov8n-seg.pt')


def _unknown(evidence: HeadEvidence, wanted: str, candidates: list[Head] | None = None) -> ModelError:
    """Return the error for outputs of no known layout, with the remedy for the family that they resemble."""
    found = evidence.describe()
    if wanted != 'auto':
        found += f"; head is set to '{wanted}'"
        if wanted in ('segment', 'pose') and evidence.num_names is None:
            found += ', and the number of class names decides which columns are scores: set labels_file'
    family = resembling_family(evidence)
    if family is not None:
        return ModelError(
            f'this looks like {family.name}, which is not supported: {found}; {family.advice}; {KNOWN_LAYOUTS}')
    candidates = candidates or []
    if len(candidates) > 1:
        names = ', '.join(printable(head.output_names[0]) for head in candidates)
        found += f'; more than one output could be the result: set output_name to one of {names}'
    elif candidates:
        found += f"; if only '{printable(candidates[0].output_names[0])}' is the result, set output_name to it"
    return ModelError(f'unknown output layout: {found}; {KNOWN_LAYOUTS}')
