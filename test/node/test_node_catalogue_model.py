# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue's models in the node: by name, on photographs, with the same results as on the command line."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.catalogue_files import fetched_model

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.harness_driver import LATCHED, Collector
from vision_msgs.msg import LabelInfo

from trt_perception.backends.create import create_pipeline
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model

PHOTOS = Path(__file__).resolve().parents[1] / 'data' / 'photos'


def photo(name):
    bgr = cv2.imread(str(PHOTOS / name))
    assert bgr is not None
    return bgr


def test_detector_by_name(node):
    path = fetched_model('yolov3-tiny')
    node.bring_to('active', model_file='yolov3-tiny')
    bgr = photo('coffee.jpg')
    message = images.image(bgr, images.header('photo', node.driver.now_ns()))
    result = node.answer_to(node.camera(), message)
    assert result.header == message.header
    spec = load_model(path)
    with create_pipeline(spec) as pipeline:
        expected = pipeline.run(Frame.from_bgr(bgr)).result
    assert len(result.detections) == len(expected.scores) >= 1
    for detection, box, score, index in zip(
            result.detections, expected.boxes, expected.scores, expected.class_indices):
        hypothesis = detection.results[0].hypothesis
        assert hypothesis.class_id == spec.names[index]
        assert hypothesis.score == pytest.approx(float(score), abs=1e-5)
        center, size = detection.bbox.center.position, np.array([detection.bbox.size_x, detection.bbox.size_y])
        corners = [*(np.array([center.x, center.y]) - size / 2), *(np.array([center.x, center.y]) + size / 2)]
        assert corners == pytest.approx(box.tolist(), abs=1e-2)
    # The cup of coffee: the saucer fills most of the middle of the picture.
    best = result.detections[0]
    assert best.results[0].hypothesis.class_id == 'cup'
    height, width = bgr.shape[:2]
    assert abs(best.bbox.center.position.x - width / 2) < width / 4
    assert abs(best.bbox.center.position.y - height / 2) < height / 4
    labels = Collector(node.driver, LabelInfo, node.topic('label_info'), LATCHED)
    assert len(labels.wait().class_map) == 80
    labels.close()


def test_classifier_by_name(node):
    fetched_model('efficientnet-lite0')
    node.bring_to('active', model_file='efficientnet-lite0', top_k=3)
    results = node.classifications
    node.wait_for_outputs('classifications')
    message = images.image(photo('coffee.jpg'), images.header('photo', node.driver.now_ns()))
    result = node.answer_to(node.camera(), message, results)
    assert result.results[0].class_id == 'espresso'
    assert result.results[0].score > 0.8
    assert len(result.results) == 3


def test_a_name_that_is_not_fetched_says_how(start_node, tmp_path, monkeypatch):
    """The node does not download: a robot may have no network."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    node = start_node(model_file='yolov3-tiny')
    assert not node.change_state('configure')
    line = node.process.wait_for_line('configure failed')
    assert 'trt_perception fetch yolov3-tiny' in line
