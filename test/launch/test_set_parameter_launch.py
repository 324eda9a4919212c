# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""detect.launch.py and classify.launch.py, included after SetParameter: the parent's values have effect."""

import json
import unittest

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')

import launch_testing
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace, SetParameter
from support.launch_harness import Consumer, launch_file, prepare

# By namespace: launch file, values set by the parent, arguments ('OWN': the file below), node, expected values.
OWN = {'score_threshold': 0.4, 'max_detections': 7}
CASES = {
    'alone': (
        'detect.launch.py', {}, {}, 'detector', {'num_threads': 0, 'task': 'detection', 'score_threshold': -1.0}),
    'parent': (
        'detect.launch.py', {'num_threads': 1, 'score_threshold': 0.7}, {}, 'detector',
        {'num_threads': 1, 'score_threshold': 0.7, 'task': 'detection', 'iou_threshold': -1.0}),
    'parent_of_a_classifier': (
        'classify.launch.py', {'num_threads': 1, 'top_k': 2}, {}, 'classifier',
        {'num_threads': 1, 'top_k': 2, 'task': 'classification'}),
    'parent_of_any_model': (
        'detect.launch.py', {'task': 'auto'}, {}, 'detector', {'task': 'auto'}),
    'arguments': (
        'detect.launch.py', {'num_threads': 1, 'score_threshold': 0.7}, {'score_threshold': '0.3'}, 'detector',
        {'num_threads': 1, 'score_threshold': 0.3}),
    # With a file, the launch file does not set the task.
    'file': (
        'detect.launch.py', {'num_threads': 1, 'score_threshold': 0.7}, {'params_file': 'OWN'}, 'detector',
        {'num_threads': 1, 'score_threshold': 0.4, 'max_detections': 7, 'task': 'auto'}),
    'file_and_arguments': (
        'detect.launch.py', {'num_threads': 1, 'score_threshold': 0.7},
        {'params_file': 'OWN', 'score_threshold': '0.3'}, 'detector',
        {'num_threads': 1, 'score_threshold': 0.3, 'max_detections': 7}),
}


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    own = prepare() / 'own.yaml'
    own.write_text(json.dumps({'/**': {'ros__parameters': OWN}}))
    groups = []
    for namespace, (name, parameters, arguments, _, _) in CASES.items():
        given = {key: str(own) if value == 'OWN' else value for key, value in arguments.items()}
        groups.append(GroupAction([
            PushRosNamespace(namespace),
            *(SetParameter(name=key, value=value) for key, value in parameters.items()),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(launch_file(name)),
                launch_arguments={'autostart': 'false', **given}.items())]))
    return LaunchDescription([*groups, launch_testing.actions.ReadyToTest()])


class TestSetParameter(unittest.TestCase):

    def test_nearest_word_counts(self):
        consumer = Consumer()
        self.addCleanup(consumer.close)
        for namespace, (_, _, _, node, expected) in CASES.items():
            with self.subTest(namespace):
                self.assertEqual(
                    consumer.parameters_of(f'/{namespace}/{node}', *expected), list(expected.values()))


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):

    def test_ends_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
