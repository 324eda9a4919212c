# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes, scores and labels in outputs of their own, after NMS or after the best queries were taken.

- RT-DETR, RT-DETRv2, D-FINE, DEIM by their authors: labels [1, Q], boxes [1, Q, 4], scores [1, Q]; corners in pixels of
  the size in `orig_target_sizes`
- EfficientNMS (YOLOv6, 7, 8 with --end2end, TAO): num_dets [1, 1], det_boxes [1, N, 4], det_scores, det_classes [1, N]
- torchvision (Faster R-CNN, RetinaNet, SSD, FCOS): boxes [N, 4], labels [N], scores [N]; N depends on the image
- TensorFlow's Object Detection API: detection_boxes [1, N, 4] as y_min, x_min, y_max, x_max in 0..1,
  detection_classes, detection_scores [1, N], num_detections [1]
- YOLO-NAS and others with NMS in the file: num_predictions, pred_boxes, pred_scores, pred_classes

Sources: the published export scripts, and the documentation of the plugin EfficientNMS_TRT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...errors import ModelError, printable
from ..coco_ids import after_background
from ..normalisation import YOLO, Preprocessing
from .boxes import CORNERS, FRACTIONS, PIXELS, YX_CORNERS, boxes_problem, to_corners, unit_of
from .detection import Candidates, FamilyHead
from .evidence import HeadEvidence
from .family_values import NO_NMS, class_problem, score_problem

_MAKERS = {
    'detr': (
        'RT-DETR, D-FINE or DEIM as exported by their authors (labels, boxes, scores)',
        'export it with tools/deployment/export_onnx.py of its project'),
    'tensorflow': (
        'an SSD or EfficientDet of the TensorFlow Object Detection API',
        'export it with its box decoding and NMS (detection_boxes in 0..1)'),
    'torchvision': (
        'a detector of torchvision (SSD, RetinaNet, Faster R-CNN)', 'export it with torch.onnx.export in eval()'),
    'nms': ('a detector with NMS as EfficientNMS_TRT (four outputs)', NO_NMS)}
# The number of the first class in the labels, 0 or 1, in the metadata of the file.
METADATA_KEY = 'trt_perception.first_label'
_STRETCHED = replace(YOLO, resize_mode='stretch')


@dataclass(frozen=True)
class LabelledHead(FamilyHead):
    """Decodes boxes, scores and labels.

    num_classes: 0, because the outputs do not show it, or the number of class names
    count_name: output with the number of rows in use, '' if all are
    coding: corners or yx_corners; unit: pixels or fractions, '' if the values decide
    has_background: whether class 0 is the background, so that names begin with class 1
    maker: detr, tensorflow, torchvision or nms, for the usual preprocessing and for error messages
    supposed: whether `has_background` is only usual for such outputs, and nothing in the file says it
    """

    kind: ClassVar[str] = 'labelled'
    # The file has suppressed already, or takes its best queries as they are.
    once_each: ClassVar[bool] = True

    boxes_name: str
    scores_name: str
    labels_name: str
    count_name: str = ''
    coding: str = CORNERS
    unit: str = ''
    has_background: bool = False
    maker: str = 'nms'
    supposed: bool = False

    @property
    def family(self) -> str:  # type: ignore[override]
        """What the model seems to be."""
        return _MAKERS[self.maker][0]

    @property
    def advice(self) -> str:  # type: ignore[override]
        """What to export."""
        return _MAKERS[self.maker][1]

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that the head reads."""
        names = self.boxes_name, self.scores_name, self.labels_name
        return (*names, self.count_name) if self.count_name else names

    @property
    def usual_preprocessing(self) -> Preprocessing:  # type: ignore[override]
        """DETR's relatives stretch as Pillow does, TensorFlow's SSD as OpenCV; the others letterbox."""
        if self.maker == 'detr':
            return replace(_STRETCHED, interpolation='bilinear_antialias')
        return _STRETCHED if self.maker == 'tensorflow' else YOLO

    def names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names, after that of the background if there is one."""
        return after_background(names) if self.has_background else names

    def names_doubt(self, names: tuple[str, ...]) -> str:
        """Return that these names may belong to labels which count from 0; '' if there is no doubt."""
        moved = self.names_of(names)
        if not self.supposed or not names or moved == names:
            return ''
        first = printable(names[0])
        return (
            f"output '{printable(self.labels_name)}' is taken to count its classes from 1, as torchvision does: 1 is "
            f"'{first}'; if '{first}' is 0 there, write 0 into the metadata {METADATA_KEY}, otherwise 1 (see "
            'models/README.md)')

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the rows in use above the threshold."""
        boxes, scores, labels = self._rows(outputs)
        kept = ~(scores < threshold)
        boxes, scores, labels = boxes[kept], scores[kept].astype(np.float32), labels[kept]
        if labels.dtype.kind == 'f':
            if not np.isfinite(labels).all():
                raise self.not_finite()
            labels = np.rint(labels)
        # A row that only fills the output has the score 0, or the label -1.
        used = (labels >= 0) & ~(scores <= 0)
        return Candidates(
            to_corners(boxes[used], self.coding, self.unit, size), scores[used], labels[used].astype(np.int64))

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the outputs are not boxes, scores and labels; '' if they can be. There may be no row in use."""
        boxes, scores, labels = self._used(images)
        unit = self.unit or unit_of(boxes, size) or PIXELS
        return (
            score_problem(self.scores_name, scores) or class_problem(self.labels_name, labels, num_names)
            or boxes_problem([boxes], self.coding, unit, size))

    def settled(self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int]) -> LabelledHead:
        """Return the head with the unit of its boxes, if there is any box."""
        if self.unit:
            return self
        return replace(self, unit=unit_of(self._used(images)[0], size))

    def _used(self, images: Sequence[Mapping[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes, scores, labels = (np.concatenate(parts) for parts in zip(*(self._rows(image) for image in images)))
        filling = (scores == 0) | (scores == -1) | (labels < 0)
        return boxes[~filling], scores[~filling], labels[~filling]

    def _rows(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes (N, 4), scores (N,) and labels (N,) of the rows in use."""
        boxes = outputs[self.boxes_name].reshape(-1, 4)
        count = len(boxes)
        if self.count_name:
            count = min(count, max(0, int(outputs[self.count_name].reshape(-1)[0])))
        return boxes[:count], outputs[self.scores_name].reshape(-1)[:count], outputs[
            self.labels_name].reshape(-1)[:count]


def labelled_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if the outputs are boxes, scores and labels, else []."""
    boxes = [entry for entry in evidence.outputs if _is_boxes(entry[1]) and evidence.is_float(entry[0])]
    tensorflow = evidence.named('detection_boxes')
    if tensorflow is not None and tensorflow in boxes:
        boxes = [tensorflow]
    if len(boxes) != 1:
        return []
    name, shape = boxes[0]
    lists = [
        entry for entry in evidence.outputs
        if entry[0] != name and entry[1][-1:] == shape[-2:-1] and len(entry[1]) == len(shape) - 1]
    labels = _only(lists, 'label', 'class') or _only_whole(evidence, lists)
    scores = _only(lists, 'score', 'conf') or _other(lists, labels)
    if labels is None or scores is None or labels == scores or not evidence.is_float(scores):
        return []
    count = next((
        other for other, found in evidence.outputs
        if other not in (name, labels, scores) and max(found, default=1) == 1 and 'num' in other.lower()), '')
    known = {name, labels, scores, count}
    if tensorflow is None and any(other not in known for other, _ in evidence.outputs):
        return []
    if shape[-2] == 1 and not count and name not in evidence.open_outputs:
        # Three numbers of one row are not a detector.
        return []
    named = evidence.num_names or 0
    said = _first_label(evidence)
    if tensorflow is not None:
        return [LabelledHead(
            named, name, scores, labels, count, YX_CORNERS, FRACTIONS, has_background=said != 0, maker='tensorflow')]
    torchvision = len(shape) == 2
    maker = 'torchvision' if torchvision else 'nms' if count else 'detr'
    return [LabelledHead(
        named, name, scores, labels, count, unit=PIXELS if evidence.scaled else '',
        has_background=torchvision if said is None else said == 1, maker=maker, supposed=torchvision and said is None)]


def _first_label(evidence: HeadEvidence) -> int | None:
    """Return what the metadata say, None if nothing."""
    text = evidence.metadata.get(METADATA_KEY, '').strip()
    if text not in ('', '0', '1'):
        raise ModelError(
            f"the metadata {METADATA_KEY} is '{printable(text[:40])}': expected 0 or 1, the number of the first class "
            'in the labels')
    return int(text) if text else None


def _is_boxes(shape: tuple[int, ...]) -> bool:
    return len(shape) in (2, 3) and shape[-1] == 4 and (len(shape) == 2 or shape[0] == 1)


def _only(lists: Sequence[tuple[str, tuple[int, ...]]], *words: str) -> str | None:
    found = [name for name, _ in lists if any(word in name.lower() for word in words)]
    return found[0] if len(found) == 1 else None


def _only_whole(evidence: HeadEvidence, lists: Sequence[tuple[str, tuple[int, ...]]]) -> str | None:
    found = [name for name, _ in lists if not evidence.is_float(name)]
    return found[0] if len(found) == 1 else None


def _other(lists: Sequence[tuple[str, tuple[int, ...]]], labels: str | None) -> str | None:
    found = [name for name, _ in lists if name != labels]
    return found[0] if len(found) == 1 and labels is not None else None
