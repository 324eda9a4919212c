# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Damaged compressed images, 16-bit images with fewer used bits, and images that are nearly black."""

import array

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
pytest.importorskip('simplejpeg')

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image
from support import harness_images as images
from support.harness_driver import boxes_of

BOXES = {'red': (64, 48, 256, 192)}


def compressed(node, data, kind='jpeg'):
    return CompressedImage(
        header=images.header('', node.driver.now_ns()), format=kind, data=array.array('B', data))


def jpeg(*parameters):
    """Return a JPEG whose red rectangle is in the upper half."""
    picture = images.picture(320, 240, BOXES)
    # The noise makes the data of the lower rows long.
    picture[200:] = np.random.default_rng(0).integers(40, 80, (40, 320, 1))
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 95, *parameters])[1].tobytes()


def test_a_damaged_image_is_dropped_and_counted(node):
    node.bring_to('active', image_transport='compressed')
    camera = node.camera(CompressedImage, 'image/compressed')
    whole = jpeg()
    node.answer_to(camera, compressed(node, whole))
    results = node.detections.count()
    mark = node.process.mark()
    for _ in range(2):
        status, values = node.outcome_of(camera, compressed(node, whole[:-3000]), 'bad')
        assert values['bad'] == values['damaged']
    assert status.message.startswith('bad images: ')
    # Without any good image, it becomes an error after a while.
    assert status.level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    assert 'JPEG image of 320x240 pixels: the data is damaged or cut off after' in status.message
    assert node.detections.count() == results
    # libjpeg prints nothing.
    assert not [line for line in node.process.lines_since(mark) if line.startswith(('Corrupt', 'Premature'))]
    # Complete, although the end marker is missing.
    assert set(boxes_of(node.answer_to(camera, compressed(node, whole[:-2])))) == {'red'}


def test_a_damaged_image_can_be_kept(node):
    node.bring_to('active', image_transport='compressed', damaged_images='keep')
    camera = node.camera(CompressedImage, 'image/compressed')
    message = compressed(node, jpeg()[:-3000])
    assert set(boxes_of(node.answer_to(camera, message))) == {'red'}
    _, values = node.diagnosis(lambda _, v: v['processed'] == v['received'], 'counted as processed')
    assert (values['bad'], values['damaged']) == ('0', values['processed'])
    status, _ = node.diagnosis_with_images(
        camera, message, lambda s, _: 'no images for' not in s.message, 'a status of the images')
    assert status.message.startswith('damaged images are processed: compressed JPEG image of 320x240')


@pytest.mark.parametrize('suffix', ['webp', 'tiff'])
def test_other_formats(node, suffix):
    node.bring_to('active', image_transport='compressed')
    camera = node.camera(CompressedImage, 'image/compressed')
    data = cv2.imencode(f'.{suffix}', images.picture(320, 240, BOXES))[1].tobytes()
    assert boxes_of(node.answer_to(camera, compressed(node, data, suffix)))['red'][0] == pytest.approx(
        BOXES['red'], abs=3)


def test_the_limit_of_the_size_is_a_parameter(node):
    node.bring_to('active', image_transport='compressed', max_image_pixels=320 * 240 - 1)
    camera = node.camera(CompressedImage, 'image/compressed')
    status, _ = node.outcome_of(camera, compressed(node, jpeg()), 'bad')
    assert '76800 pixels, the limit is 76799 (max_image_pixels)' in status.message


def of_12_bits(node, encoding='bgr16'):
    """Return the picture with 12 of 16 bits."""
    message = images.image(images.picture(320, 240, BOXES), images.header('', node.driver.now_ns()), encoding)
    samples = np.frombuffer(message.data, '>u2' if message.is_bigendian else '<u2') // 16
    message.data = array.array('B', samples.astype('>u2' if message.is_bigendian else '<u2').tobytes())
    return message


def test_used_bits_of_16(node):
    node.bring_to('active')
    camera = node.camera()
    assert boxes_of(node.answer_to(camera, of_12_bits(node))) == {}
    status, _ = node.diagnosis_with_images(
        camera, of_12_bits(node), lambda s, _: 'nearly black' in s.message, 'the darkness is named')
    assert status.level == DiagnosticStatus.WARN
    assert 'if the camera uses 12 of 16 bits, set significant_bits to 12' in status.message
    node.bring_to('unconfigured')
    node.bring_to('active', significant_bits=12)
    camera = node.camera()
    assert boxes_of(node.answer_to(camera, of_12_bits(node)))['red'][0] == pytest.approx(BOXES['red'], abs=3)
    node.diagnosis_with_images(
        camera, of_12_bits(node), lambda s, _: s.message.startswith('processing'), 'no warning')


def test_a_black_image_and_depth_are_named(node):
    node.bring_to('active')
    camera = node.camera()
    mark = node.process.mark()
    head = images.header('', node.driver.now_ns())
    black = images.image(np.full((240, 320, 3), 3, np.uint8), head)
    node.answer_to(camera, black)
    node.diagnosis_with_images(
        camera, black, lambda s, _: 'check the exposure and the lens cap' in s.message, 'the lens cap')
    for _ in range(3):
        depth = Image(
            header=images.header('', node.driver.now_ns()), width=320, height=240, step=640, encoding='16UC1',
            data=array.array('B', np.full((240, 320), 1500, '<u2').tobytes()))
        node.answer_to(camera, depth)
    lines = [line for line in node.process.lines_since(mark) if 'usually depth in millimetres; the model' in line]
    assert len(lines) == 1 and '[WARN]' in lines[0]
