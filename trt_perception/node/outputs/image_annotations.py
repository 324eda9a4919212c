# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as foxglove_msgs/ImageAnnotations, which Foxglove draws over the image of the camera.

The fields are those of foxglove_msgs 3.4 (github.com/foxglove/foxglove-sdk, ros/src/foxglove_msgs/ros2, MIT); older
versions lack only `timestamp` and `metadata` of ImageAnnotations. The package is optional: apt has it as
ros-<distro>-foxglove-msgs.
"""

from __future__ import annotations

import importlib
from typing import Any

from std_msgs.msg import Header

from ...model.spec import ModelSpec
from ...results.draw import class_color
from ...results.results import Detections, Result

_THICKNESS = 2.0
_FONT_SIZE = 14.0


def annotations_type() -> Any | None:
    """Return the class ImageAnnotations, None if foxglove_msgs is not installed."""
    try:
        return importlib.import_module('foxglove_msgs.msg').ImageAnnotations
    except ImportError:
        return None


def annotations_message(result: Result, header: Header, spec: ModelSpec) -> Any:
    """Return the boxes, or the classes, of an image, with names and scores, in pixels of the image.

    Each box is a closed line in the colour of its class, or of its id with tracking, as in the debug image. Raises
    ImportError without foxglove_msgs.
    """
    msg = importlib.import_module('foxglove_msgs.msg')
    message = msg.ImageAnnotations()
    if hasattr(message, 'timestamp'):
        message.timestamp = header.stamp
    if not isinstance(result, Detections):
        for row, (index, score) in enumerate(zip(result.class_indices.tolist(), result.scores.tolist())):
            message.texts.append(_text(msg, header, spec, index, score, 0.0, (row + 1) * 1.5 * _FONT_SIZE))
        return message
    numbers = [0] * len(result) if result.ids is None else result.ids.tolist()
    for box, index, score, number in zip(
            result.boxes.tolist(), result.class_indices.tolist(), result.scores.tolist(), numbers):
        left, top, right, bottom = box
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        message.points.append(msg.PointsAnnotation(
            timestamp=header.stamp, type=msg.PointsAnnotation.LINE_LOOP,
            points=[msg.Point2(x=x, y=y) for x, y in corners], outline_color=_color(msg, number or index),
            thickness=_THICKNESS))
        # A label above a box at the top of the image would not be visible.
        message.texts.append(
            _text(msg, header, spec, index, score, left, max(top, 1.5 * _FONT_SIZE), number))
    return message


def _text(
    msg: Any, header: Header, spec: ModelSpec, index: int, score: float, x: float, y: float, number: int = 0,
) -> Any:
    text = f'{f"#{number} " if number else ""}{spec.name_of(index)} {score:.2f}'
    return msg.TextAnnotation(
        timestamp=header.stamp, position=msg.Point2(x=x, y=y), text=text, font_size=_FONT_SIZE,
        text_color=msg.Color(r=0.0, g=0.0, b=0.0, a=1.0), background_color=_color(msg, number or index))


def _color(msg: Any, number: int) -> Any:
    blue, green, red = class_color(number)
    return msg.Color(r=red / 255, g=green / 255, b=blue / 255, a=1.0)
