# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras in one node on the GPU: their images run together."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.harness_driver import boxes_of
from support.node_cameras import Camera
from support.node_models import TENSORRT, configure
from support.tiny_models import batched_detector, color_detector

TOPICS = ('front/image', 'rear/image', 'left/image', 'right/image')
# A camera's colour and the left upper corner of its square of 8x8 pixels.
SQUARES = {'front': ('red', 16, 8), 'rear': ('blue', 32, 40), 'left': ('green', 0, 48), 'right': ('red', 48, 48)}


@pytest.fixture
def cameras():
    made = []

    def make(node, topics):
        made.extend(Camera(node, topic) for topic in topics)
        for camera in made:
            camera.connect()
        return made

    yield make
    for camera in made:
        camera.close()


def assert_found(node, several, rounds=1):
    """Send an image of each camera at once, again and again; each must get its own square back."""
    for number in range(rounds):
        since = [camera.results.count() for camera in several]
        for camera in several:
            colour, x, y = SQUARES[camera.topic.split('/')[-2]]
            # Their sizes differ, so a row of the batch sees more than one format.
            scale = 1 + (several.index(camera) + number) % 2
            picture = np.zeros((64 * scale, 64 * scale, 3), np.uint8)
            picture[y * scale:(y + 8) * scale, x * scale:(x + 8) * scale] = images.BGR[colour]
            camera.publish(images.image(picture, images.header('', node.driver.now_ns())))
        for camera, first in zip(several, since):
            colour, x, y = SQUARES[camera.topic.split('/')[-2]]
            scale = 1 + (several.index(camera) + number) % 2
            expected = np.array([x, y, x + 8, y + 8]) * scale
            found = boxes_of(camera.results.wait(since=first))
            assert set(found) == {colour}
            assert found[colour][0] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize('count, runs', [(2, 1), (4, 1), (4, 2)])
def test_images_of_several_cameras_run_as_one_batch(start_node, tmp_path, kept_cache, cameras, count, runs):
    model = batched_detector(tmp_path / 'batched.onnx')
    most = count // runs
    node = start_node(
        model_file=str(model), image_topics=list(TOPICS[:count]), max_batch=most, batch_wait_ms=1000,
        concurrent_inferences=runs, score_threshold=0.9, **TENSORRT)
    assert configure(node)
    assert node.change_state('activate')
    several = cameras(node, TOPICS[:count])
    _, values = node.diagnosis()
    assert values['max_batch'] == str(most)
    assert values.get('concurrent_inferences', '1') == str(runs)
    assert values['pipeline'] == 'device'
    assert_found(node, several, rounds=6)
    for camera in several:
        assert camera.counts(lambda counts: counts['processed'] == 6)['failed'] == 0


def test_a_fixed_batch_takes_turns(start_node, tmp_path, kept_cache, cameras):
    node = start_node(
        model_file=str(color_detector(tmp_path / 'fixed.onnx')), image_topics=list(TOPICS[:2]), max_batch=2,
        score_threshold=0.9, **TENSORRT)
    assert configure(node)
    assert node.change_state('activate')
    several = cameras(node, TOPICS[:2])
    assert 'max_batch' not in node.diagnosis()[1]
    assert_found(node, several, rounds=2)


def test_a_profile_that_is_too_small_is_refused(start_node, tmp_path, kept_cache):
    node = start_node(
        model_file=str(batched_detector(tmp_path / 'batched.onnx')), image_topics=list(TOPICS[:3]), max_batch=3,
        batch_profile=[1, 2, 2], **TENSORRT)
    assert not configure(node)
    assert 'max_batch is 3, but the largest batch of batch_profile [1, 2, 2] is 2' in node.process.tail()
