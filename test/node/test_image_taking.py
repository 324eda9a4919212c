# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""image_taking: the executor gives the results of the thread, and is the fallback if rclpy lacks a private name."""

import os
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from sensor_msgs.msg import CompressedImage
from support import harness_images as images
from support.harness_driver import boxes_of

# rclpy's own modules keep the real names; the module in which the node looks has one less.
_HIDING = """
import sys
if any('trt_perception' in argument for argument in sys.orig_argv):
    import rclpy.executors, rclpy.lifecycle
    import rclpy.impl.implementation_singleton as singleton

    class Lacking:
        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            if name == 'WaitSet':
                raise AttributeError(name)
            return getattr(self._real, name)

    singleton.rclpy_implementation = Lacking(singleton.rclpy_implementation)
"""
BOXES = {'red': (64, 48, 256, 192), 'blue': (320, 240, 512, 432)}


def message(node, boxes=BOXES):
    return images.image(images.picture(640, 480, boxes), images.header('optical', node.driver.now_ns()))


@pytest.mark.parametrize('taking', ['thread', 'executor'])
def test_results_and_counts(start_node, models, taking):
    node = start_node(model_file=models(), image_taking=taking)
    node.bring_to('active')
    camera = node.camera()
    for boxes in (BOXES, {'green': (0, 0, 128, 128)}, {}, BOXES):
        found = boxes_of(node.answer_to(camera, message(node, boxes)))
        assert set(found) == set(boxes)
        for name, box in boxes.items():
            assert found[name][0] == pytest.approx(box, abs=1.0)
    # More than it can process: each image has one outcome, and the newest one has a result.
    results, last = node.detections.count(), None
    for number in range(40):
        last = message(node)
        last.header.frame_id = f'burst_{number}'
        camera.publish(last)
    if not any(m.header.frame_id == 'burst_39' for m in node.detections.messages[results:]):
        # Best effort: on a busy machine the last one may be lost between the processes.
        node.answer_to(camera, message(node))
    counts = node.counts(
        lambda c: c['received'] == c['processed'] + c['replaced'] + c['stale'] + c['bad'] + c['failed'],
        'all have an outcome')
    assert counts['processed'] >= 5 and counts['bad'] == counts['failed'] == 0


def test_many_activations_with_the_executor(start_node, models):
    """While images arrive: none after deactivate, and the next activation gets them again."""
    node = start_node(model_file=models(), image_taking='executor')
    late = message(node)
    late.header.frame_id = 'after deactivate'
    for _ in range(5):
        node.bring_to('active')
        node.close_cameras()
        camera = node.camera()
        node.answer_to(camera, message(node))
        for _ in range(5):
            camera.publish(message(node))
        assert node.change_state('deactivate')
        for _ in range(3):
            camera.publish(late)
    # Results come in the order in which they are published: after this one, no earlier one can come.
    node.bring_to('active')
    node.answer_to(node.camera(), message(node))
    assert late.header.frame_id not in {found.header.frame_id for found in node.detections.messages}


def test_compressed_images_with_the_executor(start_node, models):
    node = start_node(model_file=models(), image_taking='executor', image_transport='compressed')
    node.bring_to('active')
    camera = node.camera(CompressedImage, 'image/compressed')
    sent = images.compressed(
        images.picture(640, 480, BOXES), images.header('optical', node.driver.now_ns()), 'png')
    assert set(boxes_of(node.answer_to(camera, sent))) == set(BOXES)


def test_a_missing_private_name_is_a_warning_and_images_come_all_the_same(
        start_node, models, tmp_path, monkeypatch):
    (tmp_path / 'sitecustomize.py').write_text(_HIDING)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')]))
    node = start_node(model_file=models())
    node.process.wait_for_line(
        r'\[WARN\].* lacks .*WaitSet, which the thread that takes images needs: the executor takes them instead')
    node.bring_to('active')
    assert set(boxes_of(node.answer_to(node.camera(), message(node)))) == set(BOXES)


def test_the_thread_that_cannot_be_had_is_an_error(start_node, models, tmp_path, monkeypatch):
    (tmp_path / 'sitecustomize.py').write_text(_HIDING)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')]))
    node = start_node(model_file=models(), image_taking='thread')
    assert node.change_state('configure')
    assert not node.change_state('activate')
    node.process.wait_for_line(r'activate failed: image_taking is thread, but rclpy .* lacks .*WaitSet')


def test_versions_with_known_faults_are_a_warning(start_node, models, tmp_path, monkeypatch):
    """As if ROS 2 Lyrical of August 2026 were installed; the node runs all the same."""
    for package, version in (('rclpy', '10.0.10'), ('rmw_fastrtps_cpp', '9.4.9')):
        share = tmp_path / 'share' / package
        share.mkdir(parents=True)
        (share / 'package.xml').write_text(f'<package format="3"><version>{version}</version></package>')
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(
        filter(None, [str(tmp_path), os.environ.get('AMENT_PREFIX_PATH', ''), sys.prefix])))
    node = start_node(model_file=models())
    node.process.wait_for_line(r'\[WARN\].*rmw_fastrtps_cpp 9\.4\.9 is too old: expected 9\.4\.10 .*: run sudo apt')
    node.process.wait_for_line(r'\[WARN\].*rclpy 10\.0\.10 is too old: expected 10\.0\.11 or newer, .*: run sudo apt')
