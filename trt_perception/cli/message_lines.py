# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One readable line, or one JSON object, for a message. Does not import ROS."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

_LEVELS = ('OK', 'WARN', 'ERROR', 'STALE')


def _stamp(header: Any) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def _record(header: Any, **content: Any) -> dict[str, Any]:
    return {'stamp_ns': _stamp(header), 'frame_id': header.frame_id, **content}


def _detections(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(message.header, detections=[
        {**_hypothesis(one), **({'id': one.id} if one.id else {}), 'bbox': _corners(one.bbox)}
        for one in message.detections])


def _detections_3d(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(message.header, detections=[
        {**_hypothesis(one), **({'id': one.id} if one.id else {}),
         'center': [round(value, 3) for value in (
             one.bbox.center.position.x, one.bbox.center.position.y, one.bbox.center.position.z)],
         'size': [round(value, 3) for value in (one.bbox.size.x, one.bbox.size.y, one.bbox.size.z)]}
        for one in message.detections])


def _hypothesis(detection: Any) -> dict[str, Any]:
    """Return class and score of the best result; a detection of another node may have none."""
    best = max((result.hypothesis for result in detection.results), key=lambda h: h.score, default=None)
    return {} if best is None else {'class_id': best.class_id, 'score': round(best.score, 6)}


def _corners(box: Any) -> list[float]:
    x, y = box.center.position.x, box.center.position.y
    return [round(value, 3) for value in (
        x - box.size_x / 2, y - box.size_y / 2, x + box.size_x / 2, y + box.size_y / 2)]


def _classification(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(message.header, classifications=[
        {'class_id': one.class_id, 'score': round(one.score, 6)} for one in message.results])


def _diagnostics(message: Any) -> Iterator[dict[str, Any]]:
    for status in message.status:
        # rclpy has the level as bytes of length 1.
        level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
        yield {
            'stamp_ns': _stamp(message.header), 'level': _LEVELS[level] if level < len(_LEVELS) else str(level),
            'name': status.name, 'message': status.message, 'hardware_id': status.hardware_id,
            'values': {pair.key: pair.value for pair in status.values}}


def _label_info(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(
        message.header, threshold=round(message.threshold, 6),
        classes={str(one.class_id): one.class_name for one in message.class_map})


def _vision_info(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(message.header, method=message.method, database_location=message.database_location)


def _image(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(
        message.header, width=message.width, height=message.height, encoding=message.encoding,
        bytes=len(message.data))


def _compressed_image(message: Any) -> Iterator[dict[str, Any]]:
    yield _record(message.header, format=message.format, bytes=len(message.data))


# Type of a topic -> the records of a message
RECORDS: dict[str, Callable[[Any], Iterator[dict[str, Any]]]] = {
    'vision_msgs/msg/Detection2DArray': _detections, 'vision_msgs/msg/Detection3DArray': _detections_3d,
    'vision_msgs/msg/Classification': _classification, 'diagnostic_msgs/msg/DiagnosticArray': _diagnostics,
    'vision_msgs/msg/LabelInfo': _label_info, 'vision_msgs/msg/VisionInfo': _vision_info,
    'sensor_msgs/msg/Image': _image, 'sensor_msgs/msg/CompressedImage': _compressed_image}


def json_line(record: dict[str, Any]) -> str:
    """Return a record as JSON in one line. NaN and infinity, which other nodes may publish and JSON lacks, are null."""
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def line(record: dict[str, Any]) -> str:
    """Return a record as one line for people."""
    if 'level' in record:
        return f'{record["level"]:<5} {record["name"]}: {record["message"]}'
    seconds, nanoseconds = divmod(record['stamp_ns'], 1_000_000_000)
    start = f'{seconds}.{nanoseconds // 1_000_000:03d} {record["frame_id"] or "-"} '
    if 'detections' in record:
        found = record['detections']
        return start + f' {len(found)} {"object" if len(found) == 1 else "objects"}' + (
            f': {"; ".join(map(_detection, found))}' if found else '')
    if 'classifications' in record:
        return start + (' ' + ', '.join(f'{c["class_id"]} {c["score"]:.2f}' for c in record['classifications']))
    if 'classes' in record:
        names = list(record['classes'].values())
        more = f', ... ({len(names)} classes)' if len(names) > 10 else ''
        return start + f' threshold {record["threshold"]:g}: {", ".join(names[:10])}{more}'
    if 'encoding' in record:
        return start + f' {record["width"]}x{record["height"]} {record["encoding"]}, {record["bytes"]} bytes'
    others = {key: value for key, value in record.items() if key not in ('stamp_ns', 'frame_id')}
    return start + ' ' + ', '.join(f'{key} {value}' for key, value in others.items())


def _detection(one: dict[str, Any]) -> str:
    name = one.get('class_id', '?')
    identity = f' #{one["id"]}' if 'id' in one else ''
    score = f' {one["score"]:.2f}' if 'score' in one else ''
    if 'bbox' in one:
        return f'{name}{identity}{score} [{" ".join(f"{value:.0f}" for value in one["bbox"])}]'
    return f'{name}{identity}{score} at [{" ".join(f"{value:.2f}" for value in one["center"])}]'
