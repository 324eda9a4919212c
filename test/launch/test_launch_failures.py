# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Failed launches as a user sees them: one clear message, and the exit code of the failure."""

import unittest

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')
pytest.importorskip('ros2launch', reason='needs the ROS package ros2launch')

import launch_testing
import launch_testing.actions
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import ExecuteProcess
from support.launch_harness import Consumer, prepare, write_bag

# Command line, expected output, exit code (None: the launch runs until it is stopped).
CASES = {
    'no_model': (
        'detect.launch.py',
        ["parameter 'model_file' is empty", '/detector could not configure: see its log',
         'ros2 lifecycle set /detector configure, then activate'], None),
    'raw_images_of_a_compressed_topic': (
        'detect.launch.py image_topic:=/camera/compressed image_transport:=raw',
        ["parameter 'model_file' is empty", '/detector could not configure',
         'image_transport:=raw: the node subscribes to /camera, not to /camera/compressed'], None),
    'a_transport_that_the_node_lacks': (
        'detect.launch.py model:={detector} image_transport:=ffmpeg',
        ["configure failed: image_transport is 'ffmpeg': expected one of raw, compressed; this node cannot read",
         '/detector could not configure', 'ros2 run image_transport republish'], None),
    'missing_model': (
        'detect.launch.py model:=/no/such/model.onnx',
        ["configure failed: model '/no/such/model.onnx': there is no such file", '/detector could not configure'],
        None),
    'wrong_task': (
        'classify.launch.py model:={detector}',
        ['is a detection model', '/classifier could not configure: see its log'], None),
    'missing_params_file': (
        'detect.launch.py params_file:=/no/such.yaml', ['params_file:=/no/such.yaml: there is no such file'], 1),
    # The node dies before it is configured. Then the launch has nothing left to run and ends.
    'wrong_type_in_params_file': (
        'detect.launch.py model:={detector} params_file:={wrong}',
        ["perception_node: parameter 'score_threshold'", '/detector died (exit code 1) and publishes no'], 0),
    'not_a_log_level': (
        'detect.launch.py log_level:=loud', ['log_level:=loud: expected one of debug, info, warn, error, fatal'], 1),
    'mistyped_argument': (
        'detect.launch.py modell:=m.onnx',
        ['modell:=m.onnx: there is no argument modell; did you mean model:=m.onnx? (--show-args lists all)'], 1),
    'not_a_number': (
        'detect.launch.py score_threshold:=high', ['score_threshold:=high: expected a number'], 1),
    'replay_missing_bag': (
        'replay.launch.py model:={detector} bag:=/no/such/bag', ['bag:=/no/such/bag: no such file or folder'], 1),
    'replay_wrong_topic': (
        'replay.launch.py model:={detector} bag:={bag} image_topic:=/other',
        ["bag: no image topic '/other' in this bag; it has /camera/image_raw (Image, 1)"], 1),
    'replay_without_the_raw_topic': (
        'replay.launch.py model:={detector} bag:={bag} image_topic:=/camera/image_raw/compressed',
        ["no image topic '/camera/image_raw/compressed' in this bag (did you mean '/camera/image_raw'?); it has"], 1),
    'replay_rate_of_nothing': (
        'replay.launch.py model:={detector} bag:={bag} rate:=0', ['rate:=0: expected a number above 0'], 1),
    'replay_negative_delay': (
        'replay.launch.py model:={detector} bag:={bag} delay:=-1', ['delay:=-1: expected 0 or more seconds'], 1),
    'replay_bag_without_its_file': (
        'replay.launch.py model:={detector} bag:={hollow}', ['hollow: its file hollow.db3 is missing'], 1),
    'replay_cut_off_file': (
        'replay.launch.py model:={detector} bag:={cut}', ['bag:=', 'cut.db3: the file is cut off ('], 1),
    # Found only by the player (either of the two).
    'replay_damaged_in_the_middle': (
        'replay.launch.py model:={detector} bag:={damaged} delay:=0', ['the player failed (exit code 1)'], 1),
    'replay_missing_model': (
        'replay.launch.py model:=/no/such/model.onnx bag:={bag}',
        ['/detector could not configure', 'the node did not become active: nothing was played'], 1),
}


@pytest.mark.launch_test
@launch_testing.parametrize('case', list(CASES))
@launch_testing.markers.keep_alive
def generate_test_description(case):
    folder = prepare('rosbags')
    from support import harness_images, harness_models

    values = {'detector': harness_models.color_detector(folder / 'detector.onnx'), 'bag': folder / 'bag'}
    write_bag(values['bag'], [harness_images.picture(64, 48, {})], '/camera/image_raw')
    values['hollow'] = folder / 'hollow'
    write_bag(values['hollow'], [harness_images.picture(64, 48, {})], '/camera/image_raw')
    hollow_file = next(values['hollow'].glob('*.db3'))
    values['cut'] = folder / 'cut.db3'
    values['cut'].write_bytes(hollow_file.read_bytes()[:9000])
    hollow_file.unlink()
    values['damaged'] = folder / 'damaged'
    write_bag(values['damaged'], [harness_images.picture(64, 48, {})], '/camera/image_raw')
    damaged_file = next(values['damaged'].glob('*.db3'))
    data = damaged_file.read_bytes()
    damaged_file.write_bytes(data[:100] + bytes(len(data) - 100))
    values['wrong'] = folder / 'wrong.yaml'
    values['wrong'].write_text('/**: {ros__parameters: {score_threshold: high}}')
    words = CASES[case][0].format(**values).split()
    user = ExecuteProcess(cmd=['ros2', 'launch', 'trt_perception', *words], name='user', output='screen')
    return LaunchDescription([user, launch_testing.actions.ReadyToTest()]), {'user': user}


class TestMessages(unittest.TestCase):

    def test_says_what_is_wrong(self, case, user, proc_info, proc_output):
        _, messages, exit_code = CASES[case]
        for message in messages:
            proc_output.assertWaitFor(message, process=user, timeout=60, stream='stdout')
        if exit_code is None:
            node = next(word for word in messages[1].split() if word.startswith('/'))
            consumer = Consumer()
            self.addCleanup(consumer.close)
            self.assertEqual(consumer.state_of(node), 'unconfigured')
        else:
            proc_info.assertWaitForShutdown(process=user, timeout=60)


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):

    def test_exit_code_and_no_traceback(self, case, user, proc_info, proc_output):
        self.assertEqual(proc_info[user].returncode, CASES[case][2] or 0)
        self.assertNotIn('Traceback', ''.join(output.text.decode() for output in proc_output[user]))
