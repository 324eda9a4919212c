# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From an image on a topic to a result on a topic: header, coordinates, encodings, empty results."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from sensor_msgs.msg import CompressedImage
from support import harness_images as images
from support.harness_driver import boxes_of

NETWORK = 640


def check_boxes(message, expected, width, height):
    """Each colour once, within one pixel of the network's input."""
    tolerance = max(width, height) / NETWORK + 0.01
    found = boxes_of(message)
    assert set(found) == set(expected)
    for color, box in expected.items():
        assert found[color][0] == pytest.approx(box, abs=tolerance), color
        x_min, y_min, x_max, y_max = found[color][0]
        assert min(x_min, y_min) >= 0 and x_max <= width and y_max <= height


@pytest.mark.parametrize('width, height', [(640, 480), (1280, 720), (333, 517), (64, 2000), (1920, 1080)])
def test_boxes_are_in_pixels_of_the_image(node, width, height):
    node.bring_to('active')
    camera = node.camera()
    # Thirds and sevenths: with a wrong scale, offset or swap of axes, each box would be elsewhere.
    boxes = {
        'red': (width // 7, height // 9, width // 3, height // 4),
        'green': (width // 2, height // 3, width * 6 // 7, height // 2),
        'blue': (width // 3, height * 2 // 3, width // 2, height - height // 10)}
    stamp = 1_700_000_000_123_456_789
    message = images.image(images.picture(width, height, boxes), images.header('optical', stamp))
    result = node.answer_to(camera, message)
    check_boxes(result, boxes, width, height)
    assert result.header == message.header
    assert result.header.stamp.sec == 1_700_000_000 and result.header.stamp.nanosec == 123_456_789
    assert all(detection.header == message.header for detection in result.detections)


def test_results_are_sorted_and_carry_class_names(node):
    node.bring_to('active')
    camera = node.camera()
    bgr = images.picture(640, 480, {})
    bgr[100:200, 100:200] = (60, 60, 160)
    bgr[100:200, 300:400] = (60, 260 - 5, 60)
    bgr[300:400, 100:200] = (210, 60, 60)
    result = node.answer_to(camera, images.image(bgr, images.header('', node.driver.now_ns())))
    hypotheses = [detection.results[0].hypothesis for detection in result.detections]
    assert [h.class_id for h in hypotheses] == ['green', 'blue', 'red']
    assert [h.score for h in hypotheses] == pytest.approx([195 / 255, 150 / 255, 100 / 255], abs=0.01)
    assert all(len(detection.results) == 1 for detection in result.detections)


def test_boxes_are_clipped_to_the_image(node, models):
    node.bring_to('active', model_file=models(growth=2.0))
    camera = node.camera()
    # Twice as large, the red box exceeds the left and upper edge, the blue one the right and lower edge.
    boxes = {'red': (20, 30, 120, 130), 'blue': (120, 380, 200, 480)}
    result = node.answer_to(
        camera, images.image(images.picture(200, 480, boxes), images.header('', node.driver.now_ns())))
    expected = {'red': (0, 0, 170, 180), 'blue': (80, 330, 200, 480)}
    check_boxes(result, expected, 200, 480)


def test_empty_result_is_published(node):
    node.bring_to('active')
    camera = node.camera()
    message = images.image(images.picture(320, 240, {}), images.header('empty', 5_000_000_007))
    result = node.answer_to(camera, message)
    assert result.detections == []
    assert result.header == message.header


def test_class_id_can_be_the_index(node):
    node.bring_to('active', class_id_format='index')
    camera = node.camera()
    boxes = {'red': (10, 10, 100, 100), 'blue': (200, 100, 300, 200)}
    result = node.answer_to(
        camera, images.image(images.picture(320, 240, boxes), images.header('', node.driver.now_ns())))
    check_boxes(result, {'0': boxes['red'], '2': boxes['blue']}, 320, 240)


@pytest.fixture
def active_node(node):
    """An active node with the default parameters."""
    node.bring_to('active')
    return node


def test_every_kind_of_encoding(active_node):
    camera = active_node.camera()
    boxes = {'red': (32, 48, 128, 128), 'green': (160, 48, 256, 160), 'blue': (32, 160, 256, 224)}
    bgr = images.picture(320, 240, boxes)
    for encoding, padding in (
            ('bgr8', 0), ('bgr8', 13), ('rgb8', 0), ('bgra8', 0), ('rgba8', 4), ('8UC3', 0), ('bgr16', 0),
            ('bayer_rggb8', 0), ('bayer_grbg8', 16), ('yuv422', 0), ('yuv422_yuy2', 8), ('nv12', 0)):
        message = images.image(bgr, images.header(encoding, active_node.driver.now_ns()), encoding, padding)
        found = boxes_of(active_node.answer_to(camera, message))
        assert set(found) == set(boxes), encoding
        for color, box in boxes.items():
            # Bayer and shared chroma may move an edge by a pixel.
            assert found[color][0] == pytest.approx(box, abs=2.01), (encoding, color)


def test_grey_images_have_no_colours(active_node):
    camera = active_node.camera()
    bgr = images.picture(320, 240, {'red': (32, 48, 128, 128)})
    for encoding in ('mono8', '8UC1'):
        message = images.image(bgr, images.header(encoding, active_node.driver.now_ns()), encoding)
        assert active_node.answer_to(camera, message).detections == []


@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_compressed_images(node, kind):
    node.bring_to('active', image_transport='compressed')
    camera = node.camera(CompressedImage, 'image/compressed')
    boxes = {'red': (64, 80, 320, 200), 'green': (480, 300, 640, 480)}
    message = images.compressed(images.picture(720, 540, boxes), images.header(kind, node.driver.now_ns()), kind)
    result = node.answer_to(camera, message)
    # JPEG's chroma has half the resolution.
    found = boxes_of(result)
    assert set(found) == set(boxes)
    for color, box in boxes.items():
        assert found[color][0] == pytest.approx(box, abs=3.5)
    assert result.header == message.header


def test_damaged_compressed_images_are_counted(node):
    node.bring_to('active', image_transport='compressed')
    camera = node.camera(CompressedImage, 'image/compressed')
    good = images.picture(320, 240, {'red': (32, 48, 128, 128)})
    mark = node.process.mark()
    for data in (b'', b'no picture at all', images.compressed(
            good, images.header('', 0), 'png').data.tobytes()[:300]):
        message = images.compressed(good, images.header('', node.driver.now_ns()), 'jpeg')
        message.data = data
        _, values = node.outcome_of(camera, message, 'bad')
        assert values['received'] == values['bad']
    node.process.wait_for_line('bad image dropped', mark)
    result = node.answer_to(camera, images.compressed(good, images.header('', node.driver.now_ns()), 'jpeg'))
    assert set(boxes_of(result)) == {'red'}


def test_classifications(node, models):
    node.bring_to('active', model_file=models('color_classifier'), top_k=2)
    camera = node.camera()
    results = node.classifications
    node.wait_for_outputs('classifications')
    # The centre is blue with some red; the center crop removes the green sides.
    bgr = images.picture(300, 100, {'green': (0, 0, 300, 100), 'blue': (100, 0, 200, 100)})
    bgr[:, 100:200, 2] = 100
    message = images.image(bgr, images.header('', node.driver.now_ns()))
    result = node.answer_to(camera, message, results)
    assert result.header == message.header
    assert [h.class_id for h in result.results] == ['blue', 'red']
    # softmax of 10 * (100 / 255, 0, 1)
    assert [h.score for h in result.results] == pytest.approx([0.99764, 0.00231], abs=1e-4)
