# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""replay.launch.py as a user starts it: a bag goes through the node, and the launch ends with the bag."""

import sys
import unittest

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')
pytest.importorskip('ros2launch', reason='needs the ROS package ros2launch')

import launch_testing
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import ExecuteProcess
from support.launch_harness import Consumer, corners, prepare, stamp_of, write_bag

FRAMES = 5
# Slow, so that even on a busy machine no frame is replaced by the next one.
RATE_HZ = 1.0
CASES = {
    'raw': ('/camera/image_raw', 'detect'),
    'compressed': ('/camera/image_raw/compressed', 'detect'),
    # Not the name that image_transport would use.
    'compressed_oddly_named': ('/jpegs', 'detect'),
    # The words of a camera: the base name, and the transport.
    'compressed_by_transport': ('/camera/image_raw/compressed', 'detect'),
    'classify': ('/camera/image_raw', 'classify'),
    # Without the metadata.yaml of the folder: the package's own player plays it.
    'lone_file': ('/camera/image_raw', 'detect'),
    'lone_mcap_file': ('/jpegs', 'detect'),
}


def box(index):
    return 10 + 20 * index, 40, 50 + 20 * index, 100


def pictures():
    from support import harness_images

    return [harness_images.picture(320, 240, {'green': box(index)}, background=0) for index in range(FRAMES)]


@pytest.mark.launch_test
@launch_testing.parametrize('case', list(CASES))
@launch_testing.markers.keep_alive
def generate_test_description(case):
    folder = prepare('rosbags')
    from support import harness_models

    topic, task = CASES[case]
    model = (
        harness_models.color_detector(folder / 'model.onnx') if task == 'detect'
        else harness_models.color_classifier(folder / 'model.onnx'))
    bag = folder / 'bag'
    write_bag(
        bag, pictures(), topic, compressed=topic != '/camera/image_raw', rate_hz=RATE_HZ,
        storage='mcap' if 'mcap' in case else 'sqlite3')
    if case.startswith('lone'):
        (file,) = (entry for entry in bag.iterdir() if entry.name != 'metadata.yaml')
        bag = file.rename(folder / f'lone{file.suffix}')
    replay = ExecuteProcess(
        cmd=['ros2', 'launch', 'trt_perception', 'replay.launch.py', f'bag:={bag}', f'task:={task}',
             f'model:={model}', 'namespace:=replayed',
             *(['image_topic:=/camera/image_raw', 'image_transport:=compressed'] if 'by_transport' in case else [])],
        name='replay', output='screen')
    return LaunchDescription([replay, launch_testing.actions.ReadyToTest()]), {'replay': replay}


class TestReplay(unittest.TestCase):

    def test_every_frame_has_its_result_and_then_all_ends(self, case, replay, proc_info, proc_output):
        from vision_msgs.msg import Classification, Detection2DArray

        consumer = Consumer()
        self.addCleanup(consumer.close)
        if CASES[case][1] == 'detect':
            received = consumer.collect(Detection2DArray, '/replayed/detections')
        else:
            received = consumer.collect(Classification, '/replayed/classifications')
        proc_output.assertWaitFor('the bag is finished', process=replay, timeout=60, stream='stdout')
        proc_info.assertWaitForShutdown(process=replay, timeout=60)
        stamps = [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in received]
        self.assertEqual(stamps, [stamp_of(index, RATE_HZ) for index in range(FRAMES)])
        self.assertEqual({message.header.frame_id for message in received}, {'camera'})
        for index, message in enumerate(received):
            if CASES[case][1] == 'detect':
                (detection,) = message.detections
                self.assertEqual(detection.results[0].hypothesis.class_id, 'green')
                for value, expected in zip(corners(detection), box(index)):
                    self.assertAlmostEqual(value, expected, delta=1.0)
            else:
                self.assertEqual(message.results[0].class_id, 'green')


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):

    def test_ends_cleanly(self, replay, proc_info, proc_output):
        launch_testing.asserts.assertExitCodes(proc_info)
        text = ''.join(output.text.decode() for output in proc_output[replay])
        self.assertNotIn('Traceback', text)
        self.assertNotIn('process has died', text)
        sys.stdout.write(text)
