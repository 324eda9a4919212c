# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as JSON objects, one line per frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .results import Detections, Result


def result_record(
    source: str, frame: int, width: int, height: int, result: Result,
    name_of: Callable[[int], str], timings_ms: Mapping[str, float], stamp_ns: int | None = None,
) -> dict[str, Any]:
    """Return the record of one frame.

    stamp_ns: the source's stamp in nanoseconds (SourceFrame.stamp_ns); the record has it only if it is not None
    bbox is [x_min, y_min, x_max, y_max] in float pixels of the image. With tracking, id is the number of the object as
    text, like the id of the ROS message, and empty for an object without one.
    """
    record: dict[str, Any] = {'source': source, 'frame': frame, 'width': width, 'height': height}
    if stamp_ns is not None:
        record['stamp_ns'] = stamp_ns
    if isinstance(result, Detections):
        record['detections'] = [
            {'class_id': name_of(index), 'class_index': index, 'score': round(score, 6),
             'bbox': [round(value, 3) for value in box]}
            for index, score, box in zip(
                result.class_indices.tolist(), result.scores.tolist(), result.boxes.tolist())]
        if result.ids is not None:
            for entry, number in zip(record['detections'], result.ids.tolist()):
                entry['id'] = str(number or '')
    else:
        record['classifications'] = [
            {'class_id': name_of(index), 'class_index': index, 'score': round(score, 6)}
            for index, score in zip(result.class_indices.tolist(), result.scores.tolist())]
    record['timings_ms'] = {stage: round(value, 3) for stage, value in timings_ms.items()}
    return record
