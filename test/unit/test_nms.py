# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trt_perception.model.heads.nms import non_maximum_suppression


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def reference(boxes, scores, classes, threshold, agnostic, most):
    """Greedy suppression, box by box."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all((classes[i] != classes[k] and not agnostic) or overlap(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(i)
    return kept[:most]


box = st.tuples(
    st.floats(-50, 700, width=32), st.floats(-50, 700, width=32), st.floats(1, 200, width=32),
    st.floats(1, 200, width=32)
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
# Integer coordinates give many equal and touching boxes; few score values give many equal scores.
coarse_box = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 4), st.integers(1, 4)).map(
    lambda b: (10.0 * b[0], 10.0 * b[1], 10.0 * (b[0] + b[2]), 10.0 * (b[1] + b[3])))
score = st.one_of(st.sampled_from([0.25, 0.5, 0.75]), st.floats(0.015625, 1.0, width=32))


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.one_of(box, coarse_box), score, st.integers(0, 3)), max_size=25), st.floats(0.05, 0.95),
    st.booleans(), st.integers(1, 30))
def test_same_as_box_by_box(candidates, threshold, agnostic, most):
    boxes = np.array([c[0] for c in candidates], np.float32).reshape(-1, 4)
    scores = np.array([c[1] for c in candidates], np.float32)
    classes = np.array([c[2] for c in candidates], np.int64)
    exact = boxes.astype(np.float64)
    # OpenCV compares in float32: an IoU equal to the threshold may fall on either side.
    assume(all(abs(overlap(a, b) - threshold) > 1e-5 for i, a in enumerate(exact) for b in exact[:i]))
    kept = non_maximum_suppression(boxes, scores, classes, threshold, agnostic, most)
    assert kept.dtype == np.int64
    assert kept.tolist() == reference(exact, scores, classes, threshold, agnostic, most)


# IoU of the first with the others: 1/3 (shifted by a half), 0.6 (shifted by a quarter), 0.
BOXES = np.array([[0, 0, 40, 40], [20, 0, 60, 40], [10, 0, 50, 40], [100, 100, 140, 140]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
SAME = np.zeros(4, np.int64)


@pytest.mark.parametrize('threshold, kept', [
    (0.0, [0, 3]), (0.3, [0, 3]), (0.4, [0, 1, 3]), (0.59, [0, 1, 3]), (0.61, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3])])
def test_by_hand(threshold, kept):
    assert non_maximum_suppression(BOXES, SCORES, SAME, threshold).tolist() == kept


def test_a_suppressed_box_suppresses_nothing():
    # IoU of neighbours is 1/3. The second is suppressed, so the third is kept.
    boxes = np.array([[0, 0, 40, 40], [20, 0, 60, 40], [40, 0, 80, 40]], np.float32)
    assert non_maximum_suppression(boxes, SCORES[:3], SAME[:3], 0.2).tolist() == [0, 2]


def test_classes_are_apart_unless_agnostic():
    boxes = np.array([[0, 0, 40, 40]] * 3, np.float32)
    classes = np.array([2, 0, 2])
    assert non_maximum_suppression(boxes, SCORES[:3], classes, 0.5).tolist() == [0, 1]
    assert non_maximum_suppression(boxes, SCORES[:3], classes, 0.5, class_agnostic=True).tolist() == [0]


def test_classes_stay_apart_with_boxes_outside_the_image_and_many_classes():
    # An offset per class must not make classes overlap or lose precision: the IoU of each pair is 0.6 or 0.
    boxes, classes = [], []
    for index in (0, 1, 499, 998, 999):
        for x in (-3000.0, 0.0, 3000.0):
            boxes += [[x, x, x + 40, x + 40], [x + 10, x, x + 50, x + 40]]
            classes += [index] * 2
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    boxes, classes = np.array(boxes, np.float32), np.array(classes)
    assert non_maximum_suppression(boxes, scores, classes, 0.601).tolist() == list(range(30))
    assert non_maximum_suppression(boxes, scores, classes, 0.599).tolist() == list(range(0, 30, 2))


def test_classes_stay_apart_wherever_their_boxes_are():
    # Each class covers the plane with touching boxes: if classes were moved onto each other, some would be lost.
    x, y = np.mgrid[-480:480:120, -480:480:120].reshape(2, -1).astype(np.float32)
    tiles = np.stack([x, y, x + 120, y + 120], axis=1)
    boxes, classes = np.tile(tiles, (4, 1)), np.repeat([0, 1, 2, 7], len(tiles))
    scores = np.linspace(1.0, 0.5, len(boxes)).astype(np.float32)
    assert non_maximum_suppression(boxes, scores, classes, 0.1).tolist() == list(range(len(boxes)))
    assert non_maximum_suppression(boxes, scores, classes, 0.1, True).tolist() == list(range(len(tiles)))


def test_of_equal_scores_the_first_wins():
    boxes = np.array([[0, 0, 40, 40], [1, 0, 41, 40], [200, 0, 240, 40]], np.float32)
    scores = np.full(3, 0.5, np.float32)
    assert non_maximum_suppression(boxes, scores, SAME[:3], 0.5).tolist() == [0, 2]
    assert non_maximum_suppression(boxes[[1, 0, 2]], scores, SAME[:3], 0.5).tolist() == [0, 2]


def test_highest_score_first_and_no_more_than_max_detections():
    boxes = np.array([[100 * i, 0, 100 * i + 50, 50] for i in range(5)], np.float32)
    scores = np.array([0.3, 0.9, 0.5, 0.7, 0.1], np.float32)
    assert non_maximum_suppression(boxes, scores, np.arange(5), 0.5).tolist() == [1, 3, 2, 0, 4]
    assert non_maximum_suppression(boxes, scores, np.arange(5), 0.5, max_detections=2).tolist() == [1, 3]


def test_nothing():
    kept = non_maximum_suppression(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_one():
    assert non_maximum_suppression(BOXES[:1], SCORES[:1], SAME[:1], 0.5).tolist() == [0]
