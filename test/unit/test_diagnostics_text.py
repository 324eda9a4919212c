# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Texts in the diagnostics have no control characters: they are shown on terminals (`ros2 topic echo`, rqt, logs)."""

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs ROS 2')

from builtin_interfaces.msg import Time

from trt_perception.node.monitoring.diagnostics import diagnostics_message
from trt_perception.node.monitoring.health import Level
from trt_perception.node.monitoring.statistics import Snapshot

BAD = 'm\x1b[31m\n\x07\u202e.onnx'


def test_reasons_and_values_are_printable():
    message = diagnostics_message(
        'detector', Time(), Level.ERROR, f'configure failed: {BAD}', 'unconfigured', Snapshot({}, {}, {}), None,
        {'model': BAD, 'device': BAD})
    [status] = message.status
    assert status.message == 'configure failed: m\\x1b[31m\\n\\x07\\u202e.onnx'
    texts = [status.name, status.message, status.hardware_id, *(value.value for value in status.values)]
    assert all(text.isprintable() for text in texts)
    assert {'m\\x1b[31m\\n\\x07\\u202e.onnx'} == {v.value for v in status.values if v.key in ('model', 'device')}
