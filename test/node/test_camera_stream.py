# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of one camera, made while the worker counts an image."""

from dataclasses import replace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

import numpy as np

from trt_perception.errors import DamagedImageError, EngineError, FrameError
from trt_perception.image.frame import Frame
from trt_perception.node.monitoring.statistics import Statistics
from trt_perception.node.perception.camera_stream import CameraStream
from trt_perception.parameters.camera_names import CameraName


class Reporting(Statistics):
    """Makes a report at the moment of each count, as the thread of the diagnostics may do."""

    def __init__(self, stream):
        super().__init__()
        self.stream, self.reasons = stream, []

    def count(self, event):
        super().count(event)
        self.reasons.append((event, self.stream.report().last_failure))


@pytest.fixture
def stream(ros_environment):
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('camera_stream', context=context, use_global_arguments=False)
    stream = CameraStream(node, CameraName('image', 'raw', 'image', '/image'))
    stream.statistics = Reporting(stream)
    yield stream
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_count_is_never_reported_with_the_reason_of_an_earlier_image(stream):
    stream.bad(FrameError('one'))
    stream.bad(DamagedImageError('two'))
    stream.failed(EngineError('three'))
    stream._look_at(replace(Frame.from_bgr(np.full((4, 4, 3), 128, np.uint8)), damage='four'))
    assert stream.statistics.reasons == [
        ('bad', 'one'), ('damaged', 'two'), ('bad', 'two'), ('failed', 'three'), ('damaged', 'four')]
