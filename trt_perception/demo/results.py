# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts vision_msgs back to results. Does not import ROS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..results.results import Classifications, Detections, Result


def result_from_message(message: Any, tracked: bool = False) -> Result:
    """Return the result in a Detection2DArray or a Classification whose class_id fields are indices.

    tracked: whether the id of a detection is the number of its object
    A Detection2D has its box as centre and size in pixels, and its best hypothesis first.
    """
    if hasattr(message, 'detections'):
        found = [(detection.bbox, detection.results[0].hypothesis) for detection in message.detections]
        boxes = [
            (box.center.position.x - box.size_x / 2, box.center.position.y - box.size_y / 2,
             box.center.position.x + box.size_x / 2, box.center.position.y + box.size_y / 2) for box, _ in found]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.array([h.score for _, h in found], np.float32),
            np.array([int(h.class_id) for _, h in found], np.int64),
            np.array([int(detection.id or 0) for detection in message.detections], np.int64) if tracked else None)
    return Classifications(
        np.array([int(h.class_id) for h in message.results], np.int64),
        np.array([h.score for h in message.results], np.float32))


def class_counts(results: list[Result], names: Mapping[int, str]) -> list[tuple[str, int]]:
    """Return (class name, count), most frequent first: over all objects, or over each image's best class."""
    counts: dict[int, int] = {}
    for result in results:
        indices = result.class_indices if isinstance(result, Detections) else result.class_indices[:1]
        for index in indices.tolist():
            counts[index] = counts.get(index, 0) + 1
    return sorted(((names.get(index, str(index)), count) for index, count in counts.items()), key=lambda c: -c[1])
