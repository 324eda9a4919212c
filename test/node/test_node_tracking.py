# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tracking over DDS: ids in the detections, and when they begin anew."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from sensor_msgs.msg import Image
from support import harness_images as images
from support.harness_driver import boxes_of, wait_until

STEP_NS = 100_000_000


class Film:
    """Images of a red and a green rectangle that move, a tenth of a second apart."""

    def __init__(self, node, camera):
        self._node = node
        self._camera = camera
        self.stamp_ns = node.driver.now_ns()
        self._step = 0

    def show(self, frame_id='front', size=(320, 240), red=True, value=255):
        """Return the detections of the next image. value: the brightness of red, 255 for the score 1."""
        self._step += 1
        self.stamp_ns += STEP_NS
        x = 16 + 4 * abs(12 - self._step % 24)
        bgr = images.picture(*size, {'green': (200 - x, 120, 280 - x, 200)})
        if red:
            bgr[24:104, x:x + 80] = 0, 0, value
        return self._answer(images.image(bgr, images.header(frame_id, self.stamp_ns)))

    def show_boxes(self, **boxes):
        """Return the detections of the next image, which has these coloured rectangles."""
        self.stamp_ns += STEP_NS
        return self._answer(images.image(images.picture(320, 240, boxes), images.header('front', self.stamp_ns)))

    def _answer(self, message):
        return self._node.result_of(self._camera, message)


def ids(message):
    return {detection.results[0].hypothesis.class_id: detection.id for detection in message.detections}


@pytest.fixture
def film(node):
    def begin(**parameters):
        node.bring_to('active', **{'tracking': True, 'score_threshold': 0.5, **parameters})
        return Film(node, node.camera())

    return begin


def test_without_tracking_there_are_no_ids(film):
    shown = film(tracking=False)
    assert [ids(shown.show()) for _ in range(3)] == [{'red': '', 'green': ''}] * 3


def test_ids_stay_and_the_boxes_are_those_without_tracking(node, film):
    shown = film()
    assert ids(shown.show()) == {'red': '', 'green': ''}
    first = ids(shown.show())
    assert sorted(first.values()) == ['1', '2']
    for _ in range(6):
        message = shown.show()
        assert ids(message) == first
    with_tracking = boxes_of(message)
    node.close_cameras()
    other = film(tracking=False)
    assert boxes_of([other.show() for _ in range(8)][-1]) == with_tracking


def test_a_weak_detection_keeps_the_id_and_is_not_published(node, film):
    shown = film(tracking_buffer=0.35)
    for _ in range(3):
        red = ids(shown.show())['red']
    assert red
    # Red with the score 0.3, for longer than the buffer.
    for _ in range(6):
        assert set(ids(shown.show(value=77))) == {'green'}
    assert ids(shown.show())['red'] == red
    # The parameter is live: now nothing continues the track.
    assert node.set_parameters(tracking_low_score=0.4)[0]
    for _ in range(6):
        assert set(ids(shown.show(value=77))) == {'green'}
    assert ids(shown.show())['red'] == ''


def test_what_begins_anew(node, film):
    shown = film()
    for _ in range(2):
        first = ids(shown.show())
    assert sorted(first.values()) == ['1', '2']
    # Another camera, another size, the time goes back: an id is never given twice.
    assert set(ids(shown.show('rear')).values()) == {''}
    assert sorted(ids(shown.show('rear')).values()) == ['3', '4']
    assert set(ids(shown.show('rear', (320, 320))).values()) == {''}
    assert sorted(ids(shown.show('rear', (320, 320))).values()) == ['5', '6']
    shown.stamp_ns -= 50 * STEP_NS
    assert set(ids(shown.show('rear', (320, 320))).values()) == {''}
    assert node.change_state('deactivate') and node.change_state('activate')
    node.close_cameras()
    shown = Film(node, node.camera())
    assert set(ids(shown.show('rear', (320, 320))).values()) == {''}


def test_another_threshold_changes_no_id(node, film):
    shown = film()
    for _ in range(3):
        before = ids(shown.show())
    assert all(before.values())
    assert node.set_parameters(score_threshold=0.6)[0]
    assert ids(shown.show()) == before


def test_predicted_boxes_come_only_if_asked(film):
    for seconds, expected in ((0.0, {'green'}), (0.25, {'red', 'green'})):
        shown = film(tracking_predicted=seconds)
        for _ in range(4):
            before = ids(shown.show())
        message = shown.show(red=False)
        assert set(ids(message)) == expected
        shown._node.close_cameras()
    assert ids(message) == before
    assert [d.results[0].hypothesis.score for d in message.detections if d.id == before['red']] == [0.0]


def test_no_predicted_box_in_an_ignored_area(film):
    shown = film(tracking_predicted=60.0, tracking_buffer=60.0, ignore_areas=['0,0 80,0 80,240 0,240'])
    seen = [len(shown.show_boxes(red=(x, 60, x + 30, 90)).detections) for x in range(150, 20, -10)]
    # Its centre is left of 80 from x = 60 on.
    assert seen == [1] * 9 + [0] * 4


def test_no_predicted_box_outside_of_what_the_network_sees(film):
    shown = film(tracking_predicted=60.0, tracking_buffer=60.0, roi=[0, 0, 150, 0])
    for x in range(20, 120, 10):
        shown.show_boxes(red=(x, 60, x + 30, 90))
    edges = [[box[2] for box, _ in boxes_of(shown.show_boxes()).values()] for _ in range(8)]
    # It was at 110 to 140 and goes on by 10 in each image, so it leaves after 4.
    assert 147 < edges[0][0] <= 150 and edges[1] == [150.0] and edges[-3:] == [[], [], []]
    assert all(edge <= 150 for found in edges for edge in found)


@pytest.mark.parametrize('changes, expected', [
    ({'classes': ['green']}, {'green': 1.0}), ({'max_detections': 1}, {'red': 1.0}),
    ({'max_detections': 2}, {'red': 1.0, 'green': 1.0}), ({}, {'red': 1.0, 'green': 1.0, 'blue': 0.0})])
def test_predicted_boxes_obey_live_parameters(node, film, changes, expected):
    shown = film(tracking_predicted=60.0, tracking_buffer=60.0)
    boxes = {'red': (20, 20, 60, 60), 'green': (120, 20, 160, 60)}
    for _ in range(3):
        shown.show_boxes(**boxes, blue=(220, 20, 260, 60))
    assert not changes or node.set_parameters(**changes)[0]
    found = boxes_of(shown.show_boxes(**boxes))
    assert {name: score for name, (_, score) in found.items()} == expected


def test_the_debug_image_shows_the_id(node, film):
    drawn = node.collect('debug_image', Image)
    shown = film(publish_debug_image=True)

    def picture(frame_id):
        shown._step = 0
        found = shown.show(frame_id)
        return [m for m in drawn.messages if m.header == found.header], found

    # The node may not have found the subscription yet.
    wait_until(lambda: picture('front')[0], 'a debug image')
    pictures = []
    # Of another camera: its first image has no ids, its second one has.
    for expected in (0, 2):
        since = drawn.count()
        found = picture('rear')[1]
        assert sum(map(bool, ids(found).values())) == expected
        message = drawn.wait(lambda m, header=found.header: m.header == header, since)
        pictures.append(np.frombuffer(message.data, np.uint8).reshape(240, 320, 3))
    # The same image: only the label and the colour of an object with an id are different.
    assert (pictures[0] != pictures[1]).any(axis=2).sum() > 200


def test_a_classifier_has_nothing_to_track(node, models):
    node.bring_to('active', model_file=models('color_classifier'), tracking=True)
    message = images.image(images.picture(64, 48, {'red': (0, 0, 64, 48)}), images.header('', node.driver.now_ns()))
    found = node.answer_to(node.camera(), message, node.classifications)
    assert found.results[0].class_id == 'red'
