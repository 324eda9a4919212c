# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The types of vision_msgs and foxglove_msgs that are written into bags, for rosbags.

vision_msgs 4 (github.com/ros-perception/vision_msgs, branch ros2, Apache-2.0) and foxglove_msgs 3.4
(github.com/foxglove/foxglove-sdk, ros/src/foxglove_msgs/ros2, MIT): names, types and order of the fields, without the
comments. rosbags has the types that they use, and computes the hash of each type (RIHS01, REP 2016).
"""

from __future__ import annotations

import functools
from typing import Any

from ..dependencies import require

_DEFINITIONS = {
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'vision_msgs/msg/BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score',
    'vision_msgs/msg/ObjectHypothesisWithPose':
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose',
    'vision_msgs/msg/Detection2D':
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\nvision_msgs/BoundingBox2D bbox\n'
        'string id',
    'vision_msgs/msg/Detection2DArray': 'std_msgs/Header header\nvision_msgs/Detection2D[] detections',
    'vision_msgs/msg/Classification': 'std_msgs/Header header\nvision_msgs/ObjectHypothesis[] results',
    'foxglove_msgs/msg/Point2': 'float64 x\nfloat64 y',
    'foxglove_msgs/msg/Color': 'float64 r\nfloat64 g\nfloat64 b\nfloat64 a',
    'foxglove_msgs/msg/KeyValuePair': 'string key\nstring value',
    'foxglove_msgs/msg/CircleAnnotation':
        'builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nfloat64 diameter\nfloat64 thickness\n'
        'foxglove_msgs/Color fill_color\nfoxglove_msgs/Color outline_color\nfoxglove_msgs/KeyValuePair[] metadata',
    'foxglove_msgs/msg/PointsAnnotation':
        'builtin_interfaces/Time timestamp\nuint8 UNKNOWN=0\nuint8 POINTS=1\nuint8 LINE_LOOP=2\nuint8 LINE_STRIP=3\n'
        'uint8 LINE_LIST=4\nuint8 type\nfoxglove_msgs/Point2[] points\nfoxglove_msgs/Color outline_color\n'
        'foxglove_msgs/Color[] outline_colors\nfoxglove_msgs/Color fill_color\nfloat64 thickness\n'
        'foxglove_msgs/KeyValuePair[] metadata',
    'foxglove_msgs/msg/TextAnnotation':
        'builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nstring text\nfloat64 font_size\n'
        'foxglove_msgs/Color text_color\nfoxglove_msgs/Color background_color\nfoxglove_msgs/KeyValuePair[] metadata',
    'foxglove_msgs/msg/ImageAnnotations':
        'builtin_interfaces/Time timestamp\nfoxglove_msgs/CircleAnnotation[] circles\n'
        'foxglove_msgs/PointsAnnotation[] points\nfoxglove_msgs/TextAnnotation[] texts\n'
        'foxglove_msgs/KeyValuePair[] metadata',
}
DETECTIONS = 'vision_msgs/msg/Detection2DArray'
CLASSIFICATION = 'vision_msgs/msg/Classification'
ANNOTATIONS = 'foxglove_msgs/msg/ImageAnnotations'


@functools.lru_cache(maxsize=1)
def result_types() -> Any:
    """Return a rosbags type store with these types."""
    typesys = require('rosbags.typesys')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    for name, text in _DEFINITIONS.items():
        store.register(typesys.get_types_from_msg(text, name))
    return store
