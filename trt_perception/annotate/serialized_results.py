# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as serialized ROS 2 messages (CDR), without ROS."""

from __future__ import annotations

from typing import Any

from ..model.spec import ModelSpec
from ..results.draw import class_color
from ..results.results import Classifications, Detections
from ..results.serialized_detections import DetectionsWriter
from .definitions import ANNOTATIONS, CLASSIFICATION, DETECTIONS, result_types
from .item import Annotated, BagImage

_THICKNESS = 2.0
_FONT_SIZE = 14.0


class ResultWriter:
    """Serializes results with the header of their image, as the node publishes them. One thread at a time may use it.

    type: of the messages, such as vision_msgs/msg/Detection2DArray
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.type = DETECTIONS if spec.task == 'detection' else CLASSIFICATION
        self._spec = spec
        self._detections = DetectionsWriter(spec.name_of)

    def write(self, item: Annotated) -> bytes:
        """Return the message of a result."""
        if isinstance(item.result, Detections):
            image = item.image
            return self._detections.write(item.result, image.sec, image.nanosec, image.frame_id)
        return _classification(item.result, item.image, self._spec)


class AnnotationsWriter:
    """Serializes results as foxglove_msgs/msg/ImageAnnotations: lines and texts in pixels of the image."""

    type = ANNOTATIONS

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._types = result_types().types

    def write(self, item: Annotated) -> bytes:
        """Return the message of a result. Each box is a closed line in the colour of its class, or of its id."""
        result = item.result
        stamp = self._types['builtin_interfaces/msg/Time'](item.image.sec, item.image.nanosec)
        points, texts = [], []
        if isinstance(result, Detections):
            numbers = [0] * len(result) if result.ids is None else result.ids.tolist()
            for box, index, score, number in zip(
                    result.boxes.tolist(), result.class_indices.tolist(), result.scores.tolist(), numbers):
                points.append(self._outline(stamp, box, number or index))
                label = f'{f"#{number} " if number else ""}{self._spec.name_of(index)} {score:.2f}'
                # A label above a box at the top of the image would not be visible.
                texts.append(self._text(stamp, label, box[0], max(box[1], 1.5 * _FONT_SIZE), number or index))
        else:
            for row, (index, score) in enumerate(zip(result.class_indices.tolist(), result.scores.tolist()), 1):
                label = f'{self._spec.name_of(index)} {score:.2f}'
                texts.append(self._text(stamp, label, 0.0, row * 1.5 * _FONT_SIZE, index))
        message = self._types[ANNOTATIONS](timestamp=stamp, circles=[], points=points, texts=texts, metadata=[])
        return bytes(result_types().serialize_cdr(message, ANNOTATIONS))

    def _outline(self, stamp: Any, box: list[float], number: int) -> Any:
        left, top, right, bottom = box
        kind = self._types['foxglove_msgs/msg/PointsAnnotation']
        point = self._types['foxglove_msgs/msg/Point2']
        return kind(
            timestamp=stamp, type=kind.LINE_LOOP,
            points=[point(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))],
            outline_color=self._color(number), outline_colors=[],
            fill_color=self._types['foxglove_msgs/msg/Color'](0.0, 0.0, 0.0, 0.0), thickness=_THICKNESS, metadata=[])

    def _text(self, stamp: Any, text: str, x: float, y: float, number: int) -> Any:
        return self._types['foxglove_msgs/msg/TextAnnotation'](
            timestamp=stamp, position=self._types['foxglove_msgs/msg/Point2'](x, y), text=text, font_size=_FONT_SIZE,
            text_color=self._types['foxglove_msgs/msg/Color'](0.0, 0.0, 0.0, 1.0), background_color=self._color(number),
            metadata=[])

    def _color(self, number: int) -> Any:
        blue, green, red = class_color(number)
        return self._types['foxglove_msgs/msg/Color'](red / 255, green / 255, blue / 255, 1.0)


def _classification(result: Classifications, image: BagImage, spec: ModelSpec) -> bytes:
    store = result_types()
    stamp = store.types['builtin_interfaces/msg/Time'](image.sec, image.nanosec)
    hypothesis = store.types['vision_msgs/msg/ObjectHypothesis']
    return bytes(store.serialize_cdr(store.types[CLASSIFICATION](
        header=store.types['std_msgs/msg/Header'](stamp, image.frame_id),
        results=[
            hypothesis(spec.name_of(index), score)
            for index, score in zip(result.class_indices.tolist(), result.scores.tolist())]), CLASSIFICATION))
