# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes vision_msgs/Detection3DArray, and reads the messages that it needs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesisWithPose

from ...depth.boxes import Box3D
from ...depth.camera import Pinhole, pinhole
from ...errors import FrameError

# The orientation of an object is not known: each angle is anywhere in a full turn.
_ANY_ANGLE = math.pi ** 2 / 3


def corners_of(detection: Any) -> tuple[float, float, float, float]:
    """Return x_min, y_min, x_max, y_max of a vision_msgs/Detection2D, in pixels.

    Raises FrameError if these are not those of a box: other detectors may send anything.
    """
    box = detection.bbox
    x, y = box.center.position.x, box.center.position.y
    if not all(map(math.isfinite, (x, y, box.size_x, box.size_y))) or box.size_x < 0 or box.size_y < 0:
        raise FrameError(
            f'a detection has a box of {box.size_x:g}x{box.size_y:g} pixels around {x:g}, {y:g}: expected finite '
            'numbers, and no negative size')
    return x - box.size_x / 2, y - box.size_y / 2, x + box.size_x / 2, y + box.size_y / 2


def pinhole_of(info: Any) -> Pinhole:
    """Return the camera of a sensor_msgs/CameraInfo. Raises FrameError if it is not calibrated."""
    roi = info.roi
    return pinhole(
        info.width, info.height, info.k, info.p, (info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height))


def detections_3d_message(header: Header, found: Iterable[tuple[Any, Box3D]]) -> Detection3DArray:
    """Return the message.

    header: of the array and of each detection
    found: each vision_msgs/Detection2D with its place. Its id and its hypotheses are copied
    """
    message = Detection3DArray(header=header)
    for detection, box in found:
        pose = Pose(position=Point(x=box.centre[0], y=box.centre[1], z=box.centre[2]))
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = box.covariance
        covariance[[3, 4, 5], [3, 4, 5]] = _ANY_ANGLE
        message.detections.append(Detection3D(
            header=header, id=detection.id,
            results=[_placed(result, pose, covariance) for result in detection.results],
            bbox=BoundingBox3D(center=pose, size=Vector3(x=box.size[0], y=box.size[1], z=box.size[2]))))
    return message


def _placed(result: Any, pose: Pose, covariance: np.ndarray) -> ObjectHypothesisWithPose:
    placed = ObjectHypothesisWithPose(hypothesis=result.hypothesis)
    placed.pose.pose = pose
    placed.pose.covariance = covariance.ravel()
    return placed
