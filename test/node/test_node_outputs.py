# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Other outputs than the results: class names for late subscribers, the debug image, names of topics."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from support import harness_images as images
from support.harness_driver import LATCHED, Collector, boxes_of, wait_until
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

BOXES = {'red': (64, 48, 256, 192)}


def red_image(node):
    return images.image(images.picture(320, 240, BOXES), images.header('', node.driver.now_ns()))


def test_late_joiner_gets_label_info_and_vision_info(node, models):
    node.bring_to('active', score_threshold=0.4)
    # Long after they were published.
    node.answer_to(node.camera(), red_image(node))
    labels = Collector(node.driver, LabelInfo, node.topic('label_info'), LATCHED)
    info = labels.wait()
    assert [(c.class_id, c.class_name) for c in info.class_map] == [(0, 'red'), (1, 'green'), (2, 'blue')]
    assert info.threshold == pytest.approx(0.4)
    visions = Collector(node.driver, VisionInfo, node.topic('vision_info'), LATCHED)
    vision = visions.wait()
    assert Path(models()).name in vision.method
    assert hashlib.sha256(Path(models()).read_bytes()).hexdigest() in vision.method
    assert vision.database_location == node.topic('label_info')
    labels.close()
    visions.close()


def test_label_info_follows_the_threshold(node):
    node.bring_to('active', score_threshold=0.4)
    labels = Collector(node.driver, LabelInfo, node.topic('label_info'), LATCHED)
    assert labels.wait().threshold == pytest.approx(0.4)
    assert node.set_parameters(max_detections=7)[0]
    assert node.set_parameters(score_threshold=0.7)[0]
    wait_until(lambda: labels.messages[-1].threshold == pytest.approx(0.7), 'the new threshold')
    # A change of another parameter published nothing.
    assert len(labels.messages) == 2
    labels.close()


def test_label_info_has_the_threshold_of_the_model(node, models):
    node.bring_to('active', model_file=models(score_threshold=0.6))
    labels = Collector(node.driver, LabelInfo, node.topic('label_info'), LATCHED)
    assert labels.wait().threshold == pytest.approx(0.6)
    assert node.set_parameters(score_threshold=0.0)[0]
    wait_until(lambda: labels.messages[-1].threshold == 0.0, 'the threshold of the user')
    assert node.set_parameters(score_threshold=-1.0)[0]
    wait_until(lambda: labels.messages[-1].threshold == pytest.approx(0.6), 'the threshold of the model')
    labels.close()


def test_names_of_a_labels_file(node, models, tmp_path):
    (tmp_path / 'names.txt').write_text('rot\ngrün\nblau\n')
    labels_file = str(tmp_path / 'names.txt')
    node.bring_to('active', model_file=models(names=()), labels_file=labels_file, classes=['rot'])
    message = images.image(
        images.picture(320, 240, {'red': (9, 9, 99, 99), 'blue': (109, 9, 199, 99)}), images.header('', 1))
    assert set(boxes_of(node.answer_to(node.camera(), message))) == {'rot'}
    labels = Collector(node.driver, LabelInfo, node.topic('label_info'), LATCHED)
    assert [c.class_name for c in labels.wait().class_map] == ['rot', 'grün', 'blau']
    labels.close()
    # If the model has names, they are published.
    node.bring_to('active', labels_file=labels_file)
    assert set(boxes_of(node.answer_to(node.camera(), message))) == {'red', 'blue'}
    wait_until(lambda: f'{labels_file} is not used' in node.process.output, 'the warning')


def test_debug_image_only_when_enabled_and_subscribed(node):
    node.bring_to('active')
    camera = node.camera()
    topic = node.topic('debug_image')
    assert node.driver.node.count_publishers(topic) == 1
    pictures = Collector(node.driver, Image, topic, 10)
    wait_until(lambda: node.driver.node.get_publishers_info_by_topic(topic), 'debug_image')
    # Disabled: no debug image is published.
    for _ in range(5):
        node.answer_to(camera, red_image(node))
    assert pictures.count() == 0
    # Enabled while active: the image with the box drawn on it, and the image's header.
    assert node.set_parameters(publish_debug_image=True)[0]
    message = red_image(node)
    node.answer_to(camera, message)
    drawn = wait_for_picture(node, camera, pictures)
    assert drawn.encoding == 'bgr8' and (drawn.width, drawn.height) == (320, 240)
    pixels = np.frombuffer(drawn.data, np.uint8).reshape(240, 320, 3)
    original = images.picture(320, 240, BOXES)
    changed = np.argwhere((pixels != original).any(axis=2))
    assert len(changed) > 100
    # Only the box is drawn: its inside and the far corner of the picture are unchanged.
    assert (pixels[110:180, 120:240] == original[110:180, 120:240]).all()
    assert (pixels[220:, :40] == original[220:, :40]).all()
    assert any(abs(y - 192) <= 4 and 64 <= x <= 256 for y, x in changed)
    # Disabled again.
    assert node.set_parameters(publish_debug_image=False)[0]
    hidden = [red_image(node) for _ in range(5)]
    for message in hidden:
        node.answer_to(camera, message)
    # Pictures come in order: with the next one, all before it have come.
    assert node.set_parameters(publish_debug_image=True)[0]
    wait_for_picture(node, camera, pictures)
    assert [m for m in pictures.messages if m.header in [message.header for message in hidden]] == []
    pictures.close()


def wait_for_picture(node, camera, pictures):
    """The node may not have discovered the subscription yet: send images until one comes back drawn."""
    def drawn():
        message = red_image(node)
        node.answer_to(camera, message)
        return [m for m in pictures.messages if m.header == message.header]

    return wait_until(drawn, 'a debug image with the header of an image')[0]


def test_compressed_debug_image(start_node, models):
    """The drawing as JPEG, for a network that is too slow for raw images. Nobody subscribes to the raw one.

    In a node of its own: subscribers of earlier tests to the shared node's topics may live on for a while.
    """
    node = start_node(model_file=models(), publish_debug_image=True)
    node.bring_to('active')
    camera = node.camera()
    topic = node.topic('debug_image/compressed')
    pictures = Collector(node.driver, CompressedImage, topic, 10)
    drawn = wait_for_picture(node, camera, pictures)
    assert drawn.format == 'bgr8; jpeg compressed bgr8'
    pixels = cv2.imdecode(np.frombuffer(drawn.data, np.uint8), cv2.IMREAD_COLOR)
    original = images.picture(320, 240, BOXES)
    assert pixels.shape == original.shape
    far = np.abs(pixels.astype(int) - original).max(axis=2)
    # JPEG changes colours a little, more beside an edge: inside the box and far from it, nothing is drawn.
    assert far[115:175, 130:230].max() < 20 and far[220:, :40].max() < 20
    # The dark edge of the drawn box.
    assert far[100:150, 62:67].max() > 100
    pictures.close()


def test_annotations_for_foxglove(node, models):
    """The same boxes as the detections, with the stamp of the image."""
    msgs = pytest.importorskip('foxglove_msgs.msg', reason='needs foxglove_msgs, which PyPI does not have')
    node.bring_to('active')
    camera = node.camera()
    annotations = Collector(node.driver, msgs.ImageAnnotations, node.topic('image_annotations'), 10)

    def annotated():
        message = red_image(node)
        result = node.answer_to(camera, message)
        stamp = message.header.stamp
        return [(result, a) for a in annotations.messages if a.texts and a.texts[0].timestamp == stamp]

    result, found = wait_until(annotated, 'annotations with the stamp of an image')[0]
    assert found.timestamp == result.header.stamp
    [points], [text] = found.points, found.texts
    assert points.type == msgs.PointsAnnotation.LINE_LOOP
    left, top, right, bottom = boxes_of(result)['red'][0]
    assert [(p.x, p.y) for p in points.points] == [
        pytest.approx(corner) for corner in ((left, top), (right, top), (right, bottom), (left, bottom))]
    assert text.text == f'red {boxes_of(result)["red"][1]:.2f}'
    assert (text.position.x, text.position.y) == pytest.approx((left, top))
    assert (points.outline_color.a, text.background_color) == (1.0, points.outline_color)
    annotations.close()
    node.bring_to('active', tracking=True)
    camera = node.camera()
    annotations = Collector(node.driver, msgs.ImageAnnotations, node.topic('image_annotations'), 10)

    def tracked():
        # Another frame_id would be another camera.
        camera.publish(red_image(node))
        return [a for a in annotations.messages if a.texts and '#' in a.texts[0].text]

    assert wait_until(tracked, 'annotations with an id')[0].texts[0].text.startswith('#1 red ')
    annotations.close()
    node.bring_to('active', model_file=models('color_classifier'))
    camera = node.camera()
    annotations = Collector(node.driver, msgs.ImageAnnotations, node.topic('image_annotations'), 10)

    def classified():
        node.answer_to(camera, red_image(node), node.classifications)
        return annotations.messages

    texts = [text.text for text in wait_until(classified, 'annotations of a classifier')[0].texts]
    assert [text.split()[0] for text in texts] == [
        hypothesis.class_id for hypothesis in node.classifications.messages[-1].results]
    annotations.close()


def test_only_the_publishers_of_the_task_exist(node, models):
    wait_until(
        lambda: ('perception_node', node.process.namespace) in node.driver.node.get_node_names_and_namespaces(),
        'the node is discovered')

    def published():
        names = dict(node.driver.node.get_publisher_names_and_types_by_node(
            'perception_node', node.process.namespace))
        return {name[len(node.process.namespace) + 1:]: kinds for name, kinds in names.items()
                if name.startswith(node.process.namespace)}

    node.bring_to('active')
    expected = {
        'label_info': ['vision_msgs/msg/LabelInfo'], 'vision_info': ['vision_msgs/msg/VisionInfo'],
        'debug_image': ['sensor_msgs/msg/Image']}
    wait_until(lambda: published().items() >= {
        **expected, 'detections': ['vision_msgs/msg/Detection2DArray']}.items(), 'publishers of a detector')
    assert 'classifications' not in published()
    node.bring_to('active', model_file=models('color_classifier'))
    wait_until(lambda: published().items() >= {
        **expected, 'classifications': ['vision_msgs/msg/Classification']}.items(), 'publishers of a classifier')
    wait_until(lambda: 'detections' not in published(), 'detections are gone')


def test_all_names_can_be_remapped(start_node, models):
    node = start_node(
        '-r', 'image:=/front/image_raw', '-r', 'detections:=/front/objects', '-r', 'label_info:=/front/labels',
        '-r', '/diagnostics:=/front/diagnostics', model_file=models())
    node.bring_to('active')
    objects = Collector(node.driver, Detection2DArray, '/front/objects')
    labels = Collector(node.driver, LabelInfo, '/front/labels', LATCHED)
    labels.wait()
    camera = node.driver.node.create_publisher(Image, '/front/image_raw', 5)
    wait_until(lambda: camera.get_subscription_count() == 1, 'the camera is found')
    wait_until(lambda: node.driver.node.count_publishers('/front/objects') == 1, 'the objects are found')
    # The node must discover the camera too: its best-effort subscription drops images before that.
    diagnostics = Collector(node.driver, DiagnosticArray, '/front/diagnostics')
    diagnostics.wait(
        lambda m: any(
            pair.key == 'image_publishers' and '/driver' in pair.value for s in m.status for pair in s.values),
        what='the node has found the camera')
    node.answer_to(camera, red_image(node), objects)
    node.driver.node.destroy_publisher(camera)
    for collector in (diagnostics, objects, labels):
        collector.close()


@pytest.mark.parametrize('remapped, said', [
    ('detections:=image',
     'TOPIC/image would have two types: this node publishes vision_msgs/msg/Detection2DArray there, and subscribes to '
     'sensor_msgs/msg/Image; remap one of them to another topic'),
    ('image:=/diagnostics',
     '/diagnostics would have two types: this node publishes diagnostic_msgs/msg/DiagnosticArray there, and subs'),
    ('label_info:=detections',
     'this node publishes vision_msgs/msg/Detection2DArray there, and publishes vision_msgs/msg/LabelInfo'),
    ('detections:=/rosout', '/rosout would have two types: this node publishes rcl_interfaces/msg/Log there')])
def test_an_output_on_a_topic_of_another_type_is_refused_in_one_line(start_node, models, remapped, said):
    node = start_node('-r', remapped, model_file=models())
    assert not (node.change_state('configure') and node.change_state('activate'))
    line = node.process.wait_for_line('remap one of them')
    assert '[ERROR]' in line and said.replace('TOPIC', node.process.namespace) in line, line
    assert node.state() == 'unconfigured'
    assert not [line for line in node.process.lines_since(0) if 'invalid allocator' in line or 'error state' in line]


@pytest.mark.parametrize('reliability', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_results_match_every_subscriber(node, reliability):
    node.bring_to('active')
    results = Collector(
        node.driver, Detection2DArray, node.topic('detections'), QoSProfile(depth=5, reliability=reliability))
    camera = node.camera()
    wait_until(lambda: node.driver.node.count_subscribers(node.topic('detections')) >= 1, 'subscribed')

    def received():
        node.answer_to(camera, red_image(node))
        return results.count()

    wait_until(received, 'a result')
    results.close()


def test_one_message_an_image(node, models):
    """Each result is published once, by one publisher, also after many cycles."""
    for _ in range(3):
        node.bring_to('active', model_file=models('color_classifier'))
        node.bring_to('active')
    camera = node.camera()
    since = node.detections.count()
    for _ in range(10):
        node.answer_to(camera, red_image(node))
    assert node.counts(lambda c: c['processed'] == c['received'], 'all are processed')['processed'] == 10
    assert len({m.header.frame_id for m in node.detections.messages[since:]}) == 10
    assert node.detections.count() == since + 10
    assert node.driver.node.count_publishers(node.topic('detections')) == 1
