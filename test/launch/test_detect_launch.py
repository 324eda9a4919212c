# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""detect.launch.py, included in another launch file: names, parameters, autostart, real detections."""

import json
import os
import unittest
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')

import launch_testing
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace
from support.launch_harness import Consumer, corners, launch_file, prepare, wait_for

from trt_perception.launching.large_images import profile_variables

NODE = '/robot/front/eyes'
BOXES = {'red': (40, 30, 90, 80), 'blue': (200, 100, 300, 220)}


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    folder = prepare()
    from support import harness_models

    model = harness_models.color_detector(folder / 'colors.onnx')
    own = folder / 'own.yaml'
    # Set for this node by its name: it wins over values for all nodes, but an argument wins over it.
    own.write_text(json.dumps({NODE: {'ros__parameters': {
        'score_threshold': 0.99, 'class_id_format': 'index', 'backend': 'onnxruntime', 'max_detections': 7}}}))
    return LaunchDescription([
        GroupAction([
            PushRosNamespace('robot'),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(launch_file('detect.launch.py')),
                launch_arguments={
                    'model': str(model), 'namespace': 'front', 'name': 'eyes', 'image_topic': '/camera/image_raw',
                    'params_file': str(own), 'score_threshold': '0.3'}.items())]),
        launch_testing.actions.ReadyToTest()])


class TestDetectLaunch(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.consumer = Consumer()

    @classmethod
    def tearDownClass(cls):
        cls.consumer.close()

    def test_is_activated(self):
        wait_for(lambda: self.consumer.state_of(NODE) == 'active', f'{NODE} active')

    def test_arguments_win_over_the_file_and_the_file_over_the_defaults(self):
        names = ('score_threshold', 'class_id_format', 'backend', 'max_detections', 'iou_threshold')
        self.assertEqual(
            self.consumer.parameters_of(NODE, *names), [0.3, 'index', 'onnxruntime', 7, -1.0])

    def test_images_become_detections(self):
        from sensor_msgs.msg import Image
        from support import harness_images
        from vision_msgs.msg import Detection2DArray

        received = self.consumer.collect(Detection2DArray, '/robot/front/detections')
        publisher = self.consumer.node.create_publisher(Image, '/camera/image_raw', 1)
        # The node subscribes only on activation.
        wait_for(lambda: publisher.get_subscription_count() == 1, 'a subscription of /camera/image_raw')
        image = harness_images.image(
            harness_images.picture(320, 240, BOXES), harness_images.header('front_camera', 1_234_567_890_123_456_789))

        def answered():
            publisher.publish(image)
            return received

        wait_for(answered, 'detections on /robot/front/detections')
        array = received[0]
        self.assertEqual(array.header, image.header)
        found = {d.results[0].hypothesis.class_id: d for d in array.detections}
        # class_id_format is index, for red, green, blue; nothing in the picture is green.
        self.assertEqual(sorted(found), ['0', '2'])
        for index, color in (('0', 'red'), ('2', 'blue')):
            self.assertEqual(found[index].header, image.header)
            for value, expected in zip(corners(found[index]), BOXES[color]):
                self.assertAlmostEqual(value, expected, delta=1.0)

    def test_late_joiner_gets_the_class_names(self):
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from vision_msgs.msg import LabelInfo

        wait_for(lambda: self.consumer.state_of(NODE) == 'active', f'{NODE} active')
        received = self.consumer.collect(
            LabelInfo, '/robot/front/label_info', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        wait_for(lambda: received, 'label_info')
        self.assertEqual([entry.class_name for entry in received[0].class_map], ['red', 'green', 'blue'])

    def test_node_has_the_profile_for_large_images(self, proc_info):
        pid = next(info.pid for info in proc_info if 'perception_node' in info.process_name)
        entries = Path(f'/proc/{pid}/environ').read_text().split('\0')
        environment = dict(entry.split('=', 1) for entry in entries if '=' in entry)
        for name in profile_variables(os.environ):
            self.assertTrue(environment[name].endswith('/config/fastdds_large_images.xml'), environment[name])


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):

    def test_ends_cleanly(self, proc_info, proc_output):
        launch_testing.asserts.assertExitCodes(proc_info)
        for process in proc_output.processes():
            text = ''.join(output.text.decode() for output in proc_output[process])
            self.assertNotIn('Traceback', text)
