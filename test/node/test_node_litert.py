# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node with a .tflite file: results over DDS, the backend in the diagnostics, and a wrong choice."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.harness_driver import boxes_of

DATA = Path(__file__).resolve().parents[1] / 'data' / 'tflite'


@pytest.mark.parametrize('name', ['color_detector', 'color_detector_int8'])
def test_boxes_of_a_tflite_file(start_node, tmp_path, name):
    """The input is 64x64 in cells of 8: a camera of 640x640 has cells of 80 pixels."""
    pytest.importorskip('ai_edge_litert', reason='needs LiteRT: pip install ai-edge-litert')
    path = shutil.copy(DATA / f'{name}.tflite', tmp_path / 'm.tflite')
    node = start_node(model_file=str(path))
    node.bring_to('active')
    boxes = {'red': (80, 160, 160, 240), 'blue': (400, 480, 480, 560)}
    message = images.image(images.picture(640, 640, boxes), images.header('optical', node.driver.now_ns()))
    found = boxes_of(node.answer_to(node.camera(), message))
    assert set(found) == set(boxes)
    for color, box in boxes.items():
        # One step of int8 is 640 / 255 pixels.
        assert found[color][0] == pytest.approx(box, abs=4.0 if 'int8' in name else 0.5), color
    node.process.wait_for_line('boxes as fractions of its input: they are multiplied by 64x64')


def test_a_backend_that_cannot_read_it_fails_configure(start_node):
    node = start_node(model_file=str(DATA / 'color_detector.tflite'), backend='onnxruntime')
    assert not node.change_state('configure')
    node.process.wait_for_line(
        r'\[ERROR\].*configure failed: backend is onnxruntime, but color_detector.tflite is a TensorFlow Lite model')
