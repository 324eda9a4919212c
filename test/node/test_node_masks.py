# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Instance masks over DDS: class and object of each pixel, only while somebody subscribes."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from sensor_msgs.msg import Image
from support import harness_images as images
from support.family_models import family_model
from support.harness_driver import LATCHED, Collector, wait_until
from support.tiny_models import color_segmenter
from vision_msgs.msg import LabelInfo


def squares(node):
    """A blue cell and, above it and overlapping nothing, a darker red one, in an image twice as wide as the input."""
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[32:48, 80:96, 0] = 255
    picture[16:32, 32:48, 2] = 250
    return images.image(picture, images.header('', node.driver.now_ns()))


def pixels_of(message):
    kind = {'mono8': np.uint8, '16UC1': np.uint16}[message.encoding]
    assert message.step == message.width * np.dtype(kind).itemsize and message.is_bigendian == 0
    return np.frombuffer(message.data, kind).reshape(message.height, message.width)


def answered(node, camera, *collectors):
    """Send images until all collectors have the answer to the same one; return their messages."""
    def together():
        header = node.answer_to(camera, squares(node)).header
        found = [[m for m in list(c.messages) if m.header == header] for c in collectors]
        return [messages[0] for messages in found] if all(found) else None

    return wait_until(together, 'the masks of an image')


def test_masks_while_subscribed(node, tmp_path):
    node.bring_to('active', model_file=str(color_segmenter(tmp_path / 'm.onnx')))
    camera = node.camera()
    labels = Collector(node.driver, LabelInfo, node.topic('label_info'), LATCHED)
    names = {entry.class_id: entry.class_name for entry in labels.wait().class_map}
    detections = node.detections
    masks = Collector(node.driver, Image, node.topic('masks'), 10)
    instances = Collector(node.driver, Image, node.topic('mask_instances'), 10)
    boxes, classes, objects = answered(node, camera, detections, masks, instances)
    assert [d.results[0].hypothesis.class_id for d in boxes.detections] == ['blue', 'red']
    assert (classes.encoding, objects.encoding) == ('mono8', '16UC1')
    classes, objects = pixels_of(classes), pixels_of(objects)
    assert classes.shape == objects.shape == (64, 128)
    # Of a full cell all pixels are bright enough.
    assert {names[value] for value in np.unique(classes[32:48, 80:96])} == {'blue'}
    assert {names[value] for value in np.unique(classes[16:32, 32:48])} == {'red'}
    assert (objects[32:48, 80:96] == 1).all() and (objects[16:32, 32:48] == 2).all()
    assert (classes == 255).sum() == (objects == 0).sum() == 64 * 128 - 2 * 256
    # The debug image has the masks too.
    assert node.set_parameters(publish_debug_image=True)[0]
    pictures = Collector(node.driver, Image, node.topic('debug_image'), 10)
    masks.close()
    instances.close()
    drawn = answered(node, camera, pictures)[0]
    inside = np.frombuffer(drawn.data, np.uint8).reshape(64, 128, 3)[32:48, 80:96]
    assert (inside != (255, 0, 0)).any(axis=2).mean() > 0.9
    for collector in (pictures, labels):
        collector.close()


def test_masks_are_not_computed_for_nobody(start_node, tmp_path):
    """With prototypes that are not finite, the frames fail as soon as somebody wants the masks."""
    rows = np.zeros((1, 9, 126), 'f4')
    rows[0, :4] = [[24], [24], [8], [8]]
    rows[0, :, 10] = 24, 24, 32, 32, 0.1, 0.9, 0.1, 1, 0
    path = family_model(
        tmp_path / 'm.onnx', {'output0': rows, 'output1': np.full((1, 2, 16, 24), np.nan, 'f4')},
        metadata={'names': ['a', 'b', 'c']})
    node = start_node(model_file=str(path))
    node.bring_to('active')
    camera = node.camera()
    for _ in range(3):
        assert len(node.answer_to(camera, squares(node)).detections) == 1
    masks = Collector(node.driver, Image, node.topic('mask_instances'), 10)

    def failed():
        camera.publish(squares(node))
        return 'inference failed' in node.process.output

    wait_until(failed, 'a frame that fails')
    masks.close()


def test_other_detectors_have_no_masks(node):
    node.bring_to('active')
    node.answer_to(node.camera(), squares(node))
    assert node.driver.node.count_publishers(node.topic('masks')) == 0
