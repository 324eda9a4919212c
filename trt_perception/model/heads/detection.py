# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What all detection heads share: the selection of candidates, and the interface.

A head names the outputs that it reads (`output_names`). `pick` takes them from the outputs of a network: the array
itself for a head of one output (YoloHead), a dictionary for a head of a family (FamilyHead).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...errors import EngineError
from ...results.results import Detections
from ..geometry import Geometry
from ..normalisation import YOLO, Preprocessing
from .detection_settings import DetectionSettings as DetectionSettings
from .few import FEW, FewCandidates, selected_of_few
from .nms import non_maximum_suppression

# What a head reads: np.ndarray for YoloHead and ClassificationHead, {name: array} for a FamilyHead.
RawOutput = Any

# NMS gets only this many of the best candidates, or as many as detections are wanted: a threshold near zero must not
# stop a robot.
MAX_CANDIDATES = 5000


class Candidates(NamedTuple):
    """Boxes before the selection.

    boxes: (N, 4) float, x_min, y_min, x_max, y_max in network pixels
    scores: (N,) float in 0..1; classes: (N,) class indices
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class DetectionHead:
    """A head whose results are boxes.

    usual_preprocessing: that of the family, if the file and the user say nothing
    """

    task = 'detection'
    usual_preprocessing: ClassVar[Preprocessing] = YOLO

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that the head reads."""
        raise NotImplementedError

    @property
    def suppresses(self) -> bool:
        """Whether NMS follows; False if the network gives each object once."""
        return True

    def select(
        self, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, geometry: Geometry,
        settings: DetectionSettings,
    ) -> Detections:
        """Turn the candidates above the score threshold into detections in image pixels.

        boxes: (N, 4) x_min, y_min, x_max, y_max in network pixels; scores: (N,); classes: (N,) class indices
        Raises EngineError if scores or boxes are not finite.
        """
        return self.selected(Candidates(boxes, scores, classes), geometry, settings)[0]

    def selected(
        self, candidates: Candidates, geometry: Geometry, settings: DetectionSettings,
    ) -> tuple[Detections, np.ndarray]:
        """Return the detections of `select`, and the index of the candidate of each."""
        boxes, scores, classes = candidates
        if not len(scores):
            return Detections.empty(), np.zeros(0, np.int64)
        if len(scores) <= FEW and scores.dtype == np.float32:
            few = selected_of_few(
                FewCandidates(boxes.tolist(), scores.tolist(), classes.tolist()), geometry, settings, self.suppresses)
            if few is not None:
                return few[0], np.array(few[1], np.int64)
        chosen = np.arange(len(scores))
        # NaN is never greater than anything, so in NMS a NaN box would silently suppress all others.
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise self.not_finite()
        if settings.keep_classes is not None:
            wanted = np.isin(classes, list(settings.keep_classes))
            boxes, scores, classes, chosen = boxes[wanted], scores[wanted], classes[wanted], chosen[wanted]
        most = max(MAX_CANDIDATES, settings.max_detections)
        if self.suppresses and len(scores) > most:
            best = np.argpartition(-scores, most)[:most]
            boxes, scores, classes, chosen = boxes[best], scores[best], classes[best], chosen[best]
        if self.suppresses:
            kept = non_maximum_suppression(
                boxes, scores, classes, settings.iou_threshold, settings.class_agnostic_nms, len(scores))
        else:
            kept = (-scores).argsort(kind='stable')
        in_image = geometry.clip(geometry.to_image(boxes[kept]))
        # A box that lies only in the padding has no area in the image.
        visible = (in_image[:, 2:] > in_image[:, :2]).all(axis=1).nonzero()[0][:settings.max_detections]
        kept = kept[visible]
        return Detections(
            in_image[visible].astype(np.float32), scores[kept].astype(np.float32, copy=False),
            classes[kept].astype(np.int64, copy=False)), chosen[kept]

    def not_finite(self) -> EngineError:
        """Return the error for an output that holds NaN or infinity."""
        return EngineError(
            f"output '{self.output_names[0]}' holds values that are not finite: the network overflows in this "
            'precision, or its weights are damaged')


@dataclass(frozen=True)
class FamilyHead(DetectionHead):
    """A head that reads one or several outputs of a family of networks; a subclass is a frozen dataclass.

    kind: the name of the layout, for `head`
    num_classes: 0 if the outputs do not show it
    family: what the model seems to be, and advice: what to export, for error messages
    remark: one line about a part of the outputs that is not used, '' if all are
    once_each: whether the network gives each object once, so that no NMS follows
    """

    kind: ClassVar[str]
    remark: ClassVar[str] = ''
    once_each: ClassVar[bool] = False
    family: ClassVar[str]
    advice: ClassVar[str] = 'export a YOLO detector: yolo export model=yolo11n.pt format=onnx'

    num_classes: int

    @property
    def suppresses(self) -> bool:
        """Whether NMS follows."""
        return not self.once_each

    def pick(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs that the head reads; KeyError if one is missing."""
        return {name: outputs[name] for name in self.output_names}

    def names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the class names by the network's class index, for the names of a file or of a user."""
        return names

    def names_doubt(self, names: tuple[str, ...]) -> str:
        """Return why these names may be those of other class indices, and what to do; '' if there is no doubt."""
        return ''

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the candidates with at least this score. NaN stays, so that it is reported.

        size: width, height of the network's input
        """
        raise NotImplementedError

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the outputs of the test images cannot be the head's, as the rest of a sentence; '' if they can.

        num_names: number of class names, 0 if unknown
        """
        raise NotImplementedError

    def settled(self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int]) -> FamilyHead:
        """Return the head with what only the values show, such as the unit of the boxes."""
        return self

    def decode(
        self, outputs: Mapping[str, np.ndarray], geometry: Geometry, settings: DetectionSettings,
    ) -> Detections:
        """Turn the raw outputs of one image into detections in image pixels.

        Raises EngineError if scores, or boxes above the threshold, are not finite.
        """
        size = geometry.network_width, geometry.network_height
        head = self.settled((outputs,), size)
        return self.select(*head.candidates(outputs, size, settings.score_threshold), geometry, settings)


@dataclass(frozen=True)
class OneOutputHead(FamilyHead):
    """A FamilyHead that reads a single output."""

    output_name: str

    @property
    def output_names(self) -> tuple[str, ...]:
        """The output that the head reads."""
        return (self.output_name,)
