# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts results to ROS messages."""

from __future__ import annotations

import array
import sys
from collections.abc import Callable

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Classification,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
    VisionInfo,
)

from ...dependencies import require
from ...errors import FrameError
from ...model.spec import ModelSpec
from ...results.results import Classifications, Detections
from ...results.serialized_detections import DetectionsWriter

# VisionClass.class_id is a uint16.
_MAX_CLASS = 65535
# Pixels of `masks` without an object.
_NO_CLASS_8, _NO_CLASS_16 = 255, 65535
# The default of image_transport's compressed plugin is 95; a drawing for the eye needs less.
_JPEG_QUALITY = 80


def detections_message(
    detections: Detections, header: Header, class_id: Callable[[int], str],
) -> Detection2DArray:
    """Return boxes as centre and size in float pixels of the image, with the image's header.

    The id of an object is its number; it is empty without one.
    """
    message = Detection2DArray(header=header)
    for box, score, index, number in zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.class_indices.tolist(),
            [0] * len(detections) if detections.ids is None else detections.ids.tolist()):
        bbox = BoundingBox2D(size_x=box[2] - box[0], size_y=box[3] - box[1])
        bbox.center.position.x = (box[0] + box[2]) / 2
        bbox.center.position.y = (box[1] + box[3]) / 2
        hypothesis = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=class_id(index), score=score))
        message.detections.append(Detection2D(header=header, results=[hypothesis], bbox=bbox, id=str(number or '')))
    return message


def writes_as_rclpy() -> bool:
    """Return whether a DetectionsWriter writes what this middleware and this vision_msgs write."""
    found = Detections(
        np.array([[1.5, 2, 4, 8], [0, 0, 640, 480]], np.float32), np.array([0.75, 0.25], np.float32), np.array([1, 20]),
        np.array([4321, 0]))
    header = Header(stamp=Time(sec=-1, nanosec=999_999_999), frame_id='camera')
    message = detections_message(found, header, str)
    written = DetectionsWriter(str).write(found, header.stamp.sec, header.stamp.nanosec, header.frame_id)
    expected = serialize_message(message)
    # The padding of `expected` is not defined, so the bytes are not compared.
    return (
        len(written) == len(expected) and written[:4] == expected[:4]
        and bool(deserialize_message(written, Detection2DArray) == message))


def classification_message(
    classifications: Classifications, header: Header, class_id: Callable[[int], str],
) -> Classification:
    """Return the top-k classes, highest score first, with the image's header."""
    return Classification(header=header, results=[
        ObjectHypothesis(class_id=class_id(index), score=score)
        for index, score in zip(
            classifications.class_indices.tolist(), classifications.scores.tolist())])


def label_info_message(spec: ModelSpec, header: Header, threshold: float) -> LabelInfo:
    """Return the class names by index. The topic is transient local."""
    return LabelInfo(header=header, threshold=threshold, class_map=[
        VisionClass(class_id=index, class_name=name)
        for index, name in enumerate(spec.names) if index <= _MAX_CLASS])


def vision_info_message(spec: ModelSpec, header: Header, label_topic: str) -> VisionInfo:
    """Return the model's name and SHA-256, and the topic of its class names."""
    return VisionInfo(
        header=header, method=f'{spec.path.name} sha256:{spec.sha256}', database_location=label_topic,
        database_version=0)


def masks_message(detections: Detections, header: Header, num_classes: int) -> Image:
    """Return the class index of each pixel, as in label_info: mono8, or 16UC1 with more than 255 classes.

    A pixel without an object is 255, or 65535 in 16UC1. Of overlapping objects the one with the highest score counts.
    """
    assert detections.masks is not None
    small = num_classes <= _NO_CLASS_8
    background = _NO_CLASS_8 if small else _NO_CLASS_16
    values = np.minimum(detections.class_indices, background)
    return label_message(
        detections.masks.label_image(values, background, np.uint8 if small else np.uint16), header)


def instances_message(detections: Detections, header: Header) -> Image:
    """Return the number of the object of each pixel, 16UC1: k is the k-th of `detections`, 0 is no object."""
    assert detections.masks is not None
    return label_message(
        detections.masks.label_image(np.arange(1, len(detections) + 1), 0, np.uint16), header)


def label_message(labels: np.ndarray, header: Header) -> Image:
    """Return an (H, W) uint8 array as a mono8 image, uint16 as 16UC1."""
    height, width = labels.shape
    data = array.array('B')
    data.frombytes(labels.data.cast('B'))
    return Image(
        header=header, height=height, width=width, encoding='mono8' if labels.dtype == np.uint8 else '16UC1',
        is_bigendian=int(sys.byteorder == 'big'), step=labels.strides[0], data=data)


def image_message(bgr: np.ndarray, header: Header) -> Image:
    """Return an (H, W, 3) uint8 BGR array as a bgr8 image."""
    height, width = bgr.shape[:2]
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(bgr).data)
    return Image(
        header=header, height=height, width=width, encoding='bgr8', is_bigendian=0,
        step=3 * width, data=data)


def compressed_image_message(bgr: np.ndarray, header: Header) -> CompressedImage:
    """Return an (H, W, 3) uint8 BGR array as a JPEG image. Raises FrameError if OpenCV cannot encode it."""
    cv2 = require('cv2')
    encoded, octets = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise FrameError(f'OpenCV cannot encode an image of {bgr.shape[1]}x{bgr.shape[0]} pixels as JPEG')
    data = array.array('B')
    data.frombytes(octets.data)
    # The format of image_transport's compressed plugin.
    return CompressedImage(header=header, format='bgr8; jpeg compressed bgr8', data=data)
