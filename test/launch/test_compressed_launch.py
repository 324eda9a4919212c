# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""detect.launch.py with a compressed topic, which chooses the transport; and `ros2 param` on its node."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')
pytest.importorskip('ros2param', reason='needs the ROS package ros2param')

import launch_testing
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from support.launch_harness import Consumer, launch_file, prepare, wait_for

NODE = '/detector'


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    folder = prepare()
    from support import harness_models

    model = harness_models.color_detector(folder / 'colors.onnx')
    return LaunchDescription([
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(launch_file('detect.launch.py')),
            launch_arguments={
                'model': str(model), 'image_topic': '/camera/image_raw/compressed', 'class_id_format': 'index',
                'image_encoding': 'rgb8'}.items()),
        launch_testing.actions.ReadyToTest()])


class TestCompressed(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.consumer = Consumer()
        wait_for(lambda: cls.consumer.state_of(NODE) == 'active', f'{NODE} active')

    @classmethod
    def tearDownClass(cls):
        cls.consumer.close()

    def test_the_arguments_set_the_parameters(self):
        names = ('image_transport', 'class_id_format', 'image_encoding', 'task')
        self.assertEqual(
            self.consumer.parameters_of(NODE, *names), ['compressed', 'index', 'rgb8', 'detection'])

    def test_images_become_detections(self):
        from sensor_msgs.msg import CompressedImage
        from support import harness_images
        from vision_msgs.msg import Detection2DArray

        received = self.consumer.collect(Detection2DArray, '/detections')
        publisher = self.consumer.node.create_publisher(CompressedImage, '/camera/image_raw/compressed', 1)
        wait_for(lambda: publisher.get_subscription_count() == 1, 'a subscription')
        # Blue in the message is red to the node, because of image_encoding.
        message = harness_images.compressed(
            harness_images.picture(320, 240, {'blue': (40, 30, 90, 80)}), harness_images.header('camera', 1), 'png')

        def answered():
            publisher.publish(message)
            return received

        wait_for(answered, 'detections')
        self.assertEqual([d.results[0].hypothesis.class_id for d in received[0].detections], ['0'])

    def test_ros2_param_loads_what_it_dumped(self):
        dumped = self._ros2('dump', NODE)
        self.assertIn('score_threshold: -1.0', dumped)
        file = Path(tempfile.mkdtemp()) / 'dump.yaml'
        file.write_text(dumped)
        loaded = self._ros2('load', NODE, str(file))
        self.assertIn('Set parameter model_file successful', loaded)
        self.assertIn('Set parameter mean successful', loaded)
        self.assertNotIn('failed', loaded)
        self.assertEqual(self._ros2('dump', NODE), dumped)
        file.write_text(dumped.replace('top_k: 5', 'top_k: 4').replace('score_threshold: -1.0', 'score_threshold: 0.5'))
        failed = [line for line in self._ros2('load', NODE, str(file)).splitlines() if 'failed' in line]
        self.assertEqual(len(failed), 1, failed)
        self.assertIn('Set parameter top_k failed: top_k is read on configure', failed[0])
        self.assertEqual(self.consumer.parameters_of(NODE, 'score_threshold', 'top_k'), [0.5, 5])

    @staticmethod
    def _ros2(*words):
        done = subprocess.run(
            ['ros2', 'param', words[0], '--no-daemon', '--spin-time', '5', *words[1:]], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
        assert 'Traceback' not in done.stdout, done.stdout
        return done.stdout


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):

    def test_ends_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
