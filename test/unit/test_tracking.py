# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The tracker: ids that stay, with uneven times between images, and when they must not stay."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_perception.results.results import Detections
from trt_perception.tracking.motion import POSITION, VARIANCE, VELOCITY, correct, new_states, predict
from trt_perception.tracking.overlap import iou, overlapping
from trt_perception.tracking.tracker import Tracker

SIZE = 1000, 800
S = 1_000_000_000


def found(*rows, score=0.9, classes=None):
    """Detections of 40x80 boxes with these centres."""
    centres = np.array(rows, np.float32).reshape(-1, 2)
    half = np.array([20, 40], np.float32)
    count = len(centres)
    return Detections(
        np.concatenate([centres - half, centres + half], axis=1), np.full(count, score, np.float32),
        np.zeros(count, np.int64) if classes is None else np.array(classes))


def follow(tracker, path, times, **options):
    """The ids of one object with path(t) as its centre, an image at each time in seconds."""
    return [int(tracker.update(found(path(t)), round(t * S), SIZE, **options).ids[0]) for t in times]


# The filter


def test_a_long_step_is_as_two_short_ones():
    states = new_states(np.array([[100.0, 50, 30, 60], [10, 20, 30, 40]]))
    states[:, VELOCITY] = [[40, -30, 2, 1], [0, 5, 0, 0]]
    long, short = states.copy(), states.copy()
    predict(long, 0.75)
    predict(short, 0.5)
    predict(short, 0.25)
    # The noise depends on the height of the box, which changes here a little.
    assert long[:, :2] == pytest.approx(short[:, :2])
    assert long[:, VARIANCE:] == pytest.approx(short[:, VARIANCE:], rel=0.05)
    assert long[0, POSITION].tolist() == [130, 27.5, 31.5, 60.75]


def test_the_filter_finds_the_velocity_of_uneven_measurements():
    rng = np.random.default_rng(1)
    states, last = None, 0.0
    for now in np.cumsum(rng.exponential(0.1, 60)):
        box = np.array([[100 + 120 * now, 300 - 45 * now, 40, 80]])
        if states is None:
            states = new_states(box)
        else:
            predict(states, now - last)
            states = correct(states, box)
        last = now
    assert states[0, VELOCITY] == pytest.approx([120, -45, 0, 0], abs=1.5)
    assert (states[0, VARIANCE] > 0).all()


def test_a_correction_is_the_kalman_filter_of_the_textbook():
    """Against matrices: x' = x + K (z - H x), P' = (I - K H) P."""
    states = new_states(np.array([[100.0, 50, 30, 60]]))
    predict(states, 0.2)
    box = np.array([[109.0, 44, 33, 58]])
    corrected = correct(states, box)
    for axis in range(4):
        position, velocity, variance, covariance, velocity_variance = states[0, :, axis]
        p = np.array([[variance, covariance], [covariance, velocity_variance]])
        h = np.array([[1.0, 0.0]])
        gain = p @ h.T / (h @ p @ h.T + (60 / 10) ** 2)
        x = np.array([[position], [velocity]]) + gain * (box[0, axis] - position)
        p = (np.eye(2) - gain @ h) @ p
        assert corrected[0, :, axis] == pytest.approx([x[0, 0], x[1, 0], p[0, 0], p[0, 1], p[1, 1]])


def test_iou():
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    assert iou(boxes[:1], boxes)[0].tolist() == pytest.approx([1, 1 / 3, 0])
    # Both grow by 5 on each side in x: 20 wide, 15 shared.
    assert overlapping(boxes[:1], boxes[1:2], np.array([[5.0, 0.0]]))[2] == pytest.approx([15 / 25])
    assert iou(np.zeros((1, 4)), np.zeros((1, 4)))[0, 0] == 0
    assert iou(np.zeros((0, 4)), boxes).shape == (0, 3)


def iou_of_all(first, second, margins):
    """The definition, for all pairs at once."""
    shared = areas = others = np.ones(1)
    for axis in range(2):
        low, high, grown = first[:, axis, None], first[:, axis + 2, None], 2 * margins[:, axis, None]
        sides = np.minimum(high, second[:, axis + 2]) - np.maximum(low, second[:, axis]) + grown
        shared = shared * np.maximum(sides, 0.0)
        areas = areas * (high - low + grown)
        others = others * (second[:, axis + 2] - second[:, axis] + grown)
    total = areas + others - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)


@pytest.mark.parametrize('seed', range(40))
def test_of_many_boxes_all_that_overlap_are_found(seed):
    """Bit for bit, so that the same pairs are chosen; also of boxes with edges in common, and of those turned over."""
    rng = np.random.default_rng(seed)
    count = 30 if seed % 2 else 150
    places, sizes = rng.uniform(0, 1000, (2, count, 2)), rng.uniform(-2, 120, (2, count, 2))
    if seed % 3 == 0:
        places, sizes = places // 40 * 40, sizes // 40 * 40
    first, second = np.concatenate([places - sizes / 2, places + sizes / 2], axis=2)
    margins = rng.uniform(0, 60, (count, 2)) if seed % 4 < 2 else np.zeros((count, 2))
    rows, columns, values = overlapping(first, second, margins)
    expected = iou_of_all(first, second, margins)
    assert (values == expected[rows, columns]).all()
    assert list(zip(*np.nonzero(expected))) == [pair for pair, value in zip(zip(rows, columns), values) if value > 0]


def test_thousands_of_boxes_take_little_memory():
    """Each overlaps with few others. All pairs were 300 MB and half a second for each image."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 2000, (3000, 2))
    boxes = np.concatenate([places, places + 40], axis=1)
    tracemalloc.start()
    try:
        overlapping(boxes, boxes, np.full((3000, 2), 1.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6


# Ids that stay


def test_an_object_gets_its_id_at_the_second_image_and_keeps_it():
    ids = follow(Tracker(), lambda t: (100 + 50 * t, 200), np.arange(0, 3, 0.1))
    assert ids == [0] + [1] * 29


def test_two_that_cross_keep_their_ids():
    tracker = Tracker()
    for t in np.arange(0, 4, 1 / 15):
        result = tracker.update(found((100 + 200 * t, 300), (900 - 200 * t, 330)), round(t * S), SIZE)
    assert result.ids.tolist() == [1, 2]


@pytest.mark.parametrize('seed', range(5))
def test_uneven_times_between_images(seed):
    """A walker that moves two of its widths in the longest pause. Without the real time it would lose its id."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.choice([0.03, 0.1, 0.6], 60, p=[0.5, 0.3, 0.2]))
    times = np.concatenate([np.arange(0, 0.5, 0.05), 0.5 + times])
    ids = follow(Tracker(), lambda t: (50 + 130 * t % 800, 300), times[times < 6])
    assert ids == [0] + [1] * (len(ids) - 1)


def test_an_object_behind_another_comes_back_with_its_id():
    tracker = Tracker(buffer_s=1.0)
    for t in np.arange(0, 1, 0.1):
        tracker.update(found((100 + 100 * t, 300)), round(t * S), SIZE)
    for t in np.arange(1, 1.8, 0.1):
        assert len(tracker.update(found(), round(t * S), SIZE)) == 0
    assert tracker.update(found((280, 300)), round(1.8 * S), SIZE).ids.tolist() == [1]


def test_after_the_buffer_it_is_another_object():
    tracker = Tracker(buffer_s=1.0)
    for t in np.arange(0, 1, 0.1):
        tracker.update(found((100, 300)), round(t * S), SIZE)
    for t, known in ((1.0, 1), (1.85, 1), (1.95, 0)):
        tracker.update(found(), round(t * S), SIZE)
        assert len(tracker) == known
    assert follow(tracker, lambda t: (100, 300), [2.0, 2.1]) == [0, 2]


def test_images_that_come_seldom():
    """Each object is looked for in one image at least, also if that comes after the buffer."""
    assert follow(Tracker(buffer_s=1.0), lambda t: (100 + t, 300), np.arange(0, 20, 2.5)) == [0] + [1] * 7
    assert follow(Tracker(buffer_s=1.0), lambda t: (100 + t, 300), np.arange(0, 20, 3.5)) == [0] * 6


def test_a_weak_detection_continues_a_track_and_starts_none():
    tracker = Tracker()
    for t in (0.0, 0.1, 0.2):
        tracker.update(found((100, 300)), round(t * S), SIZE, 0.5)
    # Longer than the buffer: the weak detections alone keep it.
    for t in np.arange(0.3, 3, 0.1):
        result = tracker.update(found((100, 300), (500, 300), score=0.2), round(t * S), SIZE, 0.5)
        assert len(result) == 0
    assert follow(tracker, lambda t: (100, 300), [3.0], score=0.5) == [1]
    assert len(tracker) == 1


def test_the_id_does_not_go_to_an_object_of_another_class_beside_it():
    tracker = Tracker()
    for t in (0.0, 0.1, 0.2):
        tracker.update(found((100, 300), (110, 310), classes=[0, 1]), round(t * S), SIZE)
    # The first is hidden, the second is not.
    result = tracker.update(found((110, 310), classes=[1]), round(0.3 * S), SIZE)
    assert result.ids.tolist() == [2]
    # A detector that takes the same object for another class in one image.
    assert tracker.update(found((110, 310), classes=[2]), round(0.4 * S), SIZE).ids.tolist() == [2]


# The detections stay what they are


@given(st.lists(st.lists(st.tuples(
    st.floats(0, 900, width=32), st.floats(0, 700, width=32), st.floats(1, 300, width=32),
    st.floats(1, 300, width=32), st.floats(0, 1, width=32), st.integers(0, 2)), max_size=8), min_size=1, max_size=8),
    st.lists(st.integers(0, 3 * S), min_size=8, max_size=8))
def test_the_detections_are_the_same_apart_from_their_ids(images, steps):
    tracker, stamp, given_ids = Tracker(), 0, set()
    for rows, step in zip(images, steps):
        stamp += step
        table = np.array(sorted(rows, key=lambda row: -row[4]), np.float64).reshape(-1, 6)
        boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1).astype(np.float32)
        given_in = Detections(boxes, table[:, 4].astype(np.float32), table[:, 5].astype(np.int64))
        kept = given_in.scores >= 0.5
        result = tracker.update(given_in, stamp, SIZE, 0.5)
        assert np.array_equal(result.boxes, boxes[kept])
        assert np.array_equal(result.scores, given_in.scores[kept])
        assert np.array_equal(result.class_indices, given_in.class_indices[kept])
        ids = result.ids[result.ids > 0].tolist()
        assert len(set(ids)) == len(ids)
        given_ids.update(ids)
    # No number is left out but those of objects that are only continued by weak detections.
    assert max(given_ids, default=0) >= len(given_ids)


def test_predicted_boxes_come_only_if_asked():
    for predicted_s, expected in ((0.0, []), (0.5, [1])):
        tracker = Tracker(predicted_s=predicted_s)
        for t in np.arange(0, 1, 0.1):
            tracker.update(found((100 + 100 * t, 300)), round(t * S), SIZE)
        result = tracker.update(found(), round(1.1 * S), SIZE)
        assert (result.ids.tolist(), result.scores.tolist()) == (expected, [0.0] * len(expected))
    # It was seen last at 0.9 s, at x = 190, with 100 pixels a second.
    assert result.boxes[0] == pytest.approx([190, 260, 230, 340], abs=4)
    assert len(tracker.update(found(), round(1.5 * S), SIZE)) == 0


def test_a_predicted_box_is_clipped_to_the_image():
    tracker = Tracker(predicted_s=1.0)
    for t in np.arange(0, 1, 0.1):
        tracker.update(found((880 + 100 * t, 300)), round(t * S), SIZE)
    assert tracker.update(found(), round(1.1 * S), SIZE).boxes[0, 2] == SIZE[0]
    assert len(tracker.update(found(), round(1.6 * S), SIZE)) == 0


def test_the_caller_chooses_among_the_predicted_boxes():
    tracker = Tracker(predicted_s=1.0)
    for t in np.arange(0, 1, 0.1):
        tracker.update(found((100, 300), (500, 300)), round(t * S), SIZE)
    asked = []

    def left(predicted):
        asked.append(predicted)
        return predicted.chosen(np.flatnonzero(predicted.boxes[:, 0] < 300))

    result = tracker.update(found(), round(1.1 * S), SIZE, reported=left)
    assert asked[0].ids.tolist() == [1, 2] and asked[0].scores.tolist() == [0.0, 0.0]
    assert (result.ids.tolist(), result.scores.tolist()) == ([1], [0.0])
    # The other one is still known.
    assert tracker.update(found((500, 300)), round(1.2 * S), SIZE, reported=left).ids.tolist() == [2, 1]


# When ids must not stay


def started():
    tracker = Tracker()
    follow(tracker, lambda t: (100, 300), [10.0, 10.1, 10.2])
    return tracker


@pytest.mark.parametrize('stamp, size, camera', [
    (9.0, SIZE, ''), (10.3, (640, 480), ''), (10.3, SIZE, 'rear_camera')])
def test_another_time_size_or_camera_begins_anew(stamp, size, camera):
    tracker = started()
    first = tracker.update(found((100, 300)), round(stamp * S), size, camera=camera)
    second = tracker.update(found((100, 300)), round((stamp + 0.1) * S), size, camera=camera)
    # An id is never given to a second object.
    assert (first.ids.tolist(), second.ids.tolist()) == ([0], [2])


def test_reset():
    tracker = started()
    tracker.reset()
    assert len(tracker) == 0
    assert follow(tracker, lambda t: (100, 300), [10.3, 10.4]) == [0, 2]


def test_images_with_the_same_stamp_do_not_keep_objects_for_ever():
    tracker = Tracker(buffer_s=0.1)
    for _ in range(3):
        result = tracker.update(found((100, 300)), 0, SIZE)
    assert result.ids.tolist() == [1]
    for _ in range(101):
        tracker.update(found(), 0, SIZE)
    assert len(tracker) == 0
