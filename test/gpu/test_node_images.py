# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node on the GPU finds the same as ONNX Runtime, for every size and encoding of the images."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.node_models import TENSORRT, assert_alike, configure, detections_of
from support.precision_models import color_frames

from trt_perception.catalogue.resolve import resolve_model
from trt_perception.errors import PerceptionError
from trt_perception.image.message import frame_from_image
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings

PHOTOS = sorted((Path(__file__).parents[1] / 'data' / 'photos').glob('*.jpg'))
# Not mono8: with three equal channels the last bit decides the class.
ENCODINGS = ('bgr8', 'rgb8', 'bgra8', 'rgba8', 'yuv422', 'yuv422_yuy2', 'nv12', 'bayer_rggb8', 'bgr16')
SIZES = ((64, 64), (640, 480), (1280, 720), (100, 80), (1920, 1080), (64, 64), (322, 518))
# Padding is grey (114 of 255); with a lower threshold it would be found in all three colours.
THRESHOLD = 0.5
# The photos show few objects, and weak boxes test the arithmetic better.
LOW = 0.02


@pytest.fixture(scope='session')
def yolov3_tiny():
    try:
        return str(resolve_model('yolov3-tiny', fetch=False))
    except PerceptionError as error:
        pytest.skip(str(error))


def reference(model, threshold):
    spec = load_model(Path(model))
    return HostPipeline(
        spec, OnnxRuntimeBackend(spec.path), PostprocessSettings(DetectionSettings(score_threshold=threshold)))


def check(node, camera, message, expected_from, threshold):
    """Send the image and compare the results; return the number of expected boxes."""
    found = detections_of(node.answer_to(camera, message), expected_from.spec.names)
    expected = expected_from.run(frame_from_image(message)).result
    assert_alike(found, expected, threshold + 0.01)
    return len(expected)


def test_photos_give_what_onnxruntime_gives(start_node, yolov3_tiny, kept_cache):
    """A real network with default options: if no engine is kept, its build takes minutes."""
    node = start_node(model_file=yolov3_tiny, backend='tensorrt', score_threshold=LOW)
    assert configure(node), node.process.tail()
    assert node.change_state('activate')
    camera = node.camera()
    count = 0
    with reference(yolov3_tiny, LOW) as expected:
        for photo in PHOTOS:
            pixels = cv2.imread(str(photo))
            for encoding in ('bgr8', 'rgb8', 'bgra8'):
                message = images.image(pixels, images.header('', node.driver.now_ns()), encoding)
                count += check(node, camera, message, expected, LOW)
    print(f'{count} boxes in {3 * len(PHOTOS)} images are alike')
    assert count >= 30


def test_size_and_encoding_change_from_image_to_image(start_node, color_models, kept_cache):
    node = start_node(**TENSORRT, model_file=color_models(), score_threshold=THRESHOLD)
    assert configure(node), node.process.tail()
    assert node.change_state('activate')
    camera = node.camera()
    count = 0
    pictures = color_frames(1000, seed=11)
    with reference(color_models(), THRESHOLD) as expected:
        for width, height in SIZES:
            for encoding in ENCODINGS:
                # The squares stay square, in the middle of the image.
                side = min(width, height)
                square = cv2.resize(next(pictures), (side, side), interpolation=cv2.INTER_NEAREST)
                picture = np.full((height, width, 3), 20, np.uint8)
                left, top = (width - side) // 2, (height - side) // 2
                picture[top:top + side, left:left + side] = square
                padding = 6 if encoding in ('bgr8', 'yuv422') else 0
                message = images.image(
                    picture, images.header('', node.driver.now_ns()), encoding, padding)
                count += check(node, camera, message, expected, THRESHOLD)
    print(f'{count} boxes in {len(SIZES) * len(ENCODINGS)} images are alike')
    assert count > 30
    counts = node.counts(lambda counts: counts['processed'] == len(SIZES) * len(ENCODINGS), 'all processed')
    assert counts['bad'] == counts['failed'] == 0
    _, values = node.diagnosis()
    assert (values['pipeline'], values['cuda_graph']) == ('device', 'on')
