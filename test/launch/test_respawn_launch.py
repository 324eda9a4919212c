# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A node is killed while it works, or never answers: with respawn it starts again and becomes active again."""

import os
import signal
import unittest

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')

import launch_testing
import launch_testing.actions
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from support.launch_harness import Consumer, launch_file, prepare, wait_for

from trt_perception.launching import autostart


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    folder = prepare()
    # UDP only: with shared memory, a killed process can leave files that make the new process unreachable. Of 65 nodes
    # that were killed with Fast DDS 2.14, one then listened at a port whose file another process had replaced.
    os.environ['FASTDDS_BUILTIN_TRANSPORTS'] = 'UDPv4'
    from support import harness_models

    # Short times, so that the test does not take minutes.
    autostart.SILENT_S, autostart.GIVE_UP_S, autostart.KILL_S = 3.0, 7.0, 9.0
    model = harness_models.color_detector(folder / 'colors.onnx')
    return LaunchDescription([
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(launch_file('detect.launch.py')),
            launch_arguments={'model': str(model), 'respawn': 'true'}.items()),
        launch_testing.actions.ReadyToTest()])


class TestRespawn(unittest.TestCase):

    def test_killed_node_comes_back_active(self, proc_info):
        from sensor_msgs.msg import Image
        from support import harness_images
        from vision_msgs.msg import Detection2DArray

        consumer = Consumer()
        self.addCleanup(consumer.close)
        received = consumer.collect(Detection2DArray, 'detections')
        publisher = consumer.node.create_publisher(Image, 'image', 1)

        def answer_to(frame_id):
            # Small enough for one datagram.
            picture = harness_images.picture(160, 120, {'red': (40, 30, 90, 80)})
            publisher.publish(harness_images.image(picture, harness_images.header(frame_id, 1)))
            return [array for array in received if array.header.frame_id == frame_id]

        wait_for(lambda: answer_to('before'), 'detections before')
        first = self._node(proc_info)
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: self._node(proc_info).pid != first.pid, 'a new process')
        wait_for(lambda: answer_to('after'), 'detections after')
        self.assertEqual(len(answer_to('after')[0].detections), 1)

        # A process that does not answer, like one that DDS cannot reach, is ended and started again.
        second = self._node(proc_info)
        os.kill(second.pid, signal.SIGKILL)
        wait_for(lambda: self._node(proc_info).pid != second.pid, 'a third process')
        third = self._node(proc_info)
        with self.assertLogs('launch.user', 'WARNING') as log:
            os.kill(third.pid, signal.SIGSTOP)
            wait_for(lambda: self._node(proc_info).pid != third.pid, 'a fourth process')
        self.assertIn('has not answered since its process started 3 s ago', log.output[0])
        self.assertIn('after 7 s it is restarted', log.output[0])
        wait_for(lambda: answer_to('once more'), 'detections from the fourth')

    @staticmethod
    def _node(proc_info):
        return [info for info in proc_info if 'perception_node' in info.process_name][-1]
