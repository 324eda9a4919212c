# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of `compare`, computed by hand: boxes, scores, percentiles, first classes, the largest differences."""

import numpy as np
import pytest
from support.annotations import START

from trt_perception.precision.parity import Agreement
from trt_perception.regression.figures import BoxFigures, Differences, TopFigures
from trt_perception.regression.first_classes import compare_classes
from trt_perception.regression.frames import compare_boxes
from trt_perception.regression.largest import LargeDifference, Largest
from trt_perception.regression.options import CompareOptions
from trt_perception.regression.tally import BoxTally, TopTally
from trt_perception.results.json_reader import Found, LineResult
from trt_perception.results.results import Detections

OPTIONS = CompareOptions()


def boxes(*rows):
    return [Found(name, score, tuple(map(float, corners))) for name, score, *corners in rows]


A = boxes(('car', 0.9, 0, 0, 10, 10), ('car', 0.8, 20, 0, 30, 10), ('dog', 0.7, 40, 0, 50, 10),
          ('cat', 0.6, 60, 0, 70, 10))
# The same car, a car at 0.7 of the place, a cup in place of the dog, no cat, a new bus.
B = boxes(('car', 0.85, 0, 0, 10, 10), ('car', 0.8, 20, 0, 30, 7), ('cup', 0.65, 40, 0, 50, 10),
          ('bus', 0.5, 80, 0, 90, 10))


def test_boxes_are_matched_moved_lost_gained_and_changed():
    found = compare_boxes(A, B, OPTIONS)
    assert [(pair.a, pair.b, pair.iou) for pair in found.matched] == [(A[0], B[0], 1.0), (A[1], B[1], 0.7)]
    assert (found.lost, found.gained) == (tuple(A[2:]), tuple(B[2:]))
    assert [(pair.a.name, pair.b.name) for pair in found.changed] == [('dog', 'cup')]
    assert found.weight == pytest.approx(0.05 + 0.3 + (0.7 + 0.6) + (0.65 + 0.5))
    # The other way round, what was lost is gained.
    back = compare_boxes(B, A, OPTIONS)
    assert (back.lost, back.gained, back.weight) == (found.gained, found.lost, pytest.approx(found.weight))


def test_the_figures_of_all_and_of_each_class():
    tally, bag = BoxTally(0.75), BoxFigures()
    tally.add(compare_boxes(A, B, OPTIONS), bag)
    for total in (tally.total, bag):
        assert (total.a, total.b, total.matched, total.moved, total.lost, total.gained) == (4, 4, 2, 1, 2, 2)
        assert (total.changed_from, total.changed_to, total.agreement) == (1, 1, 0.5)
        assert (total.lost_fraction, total.gained_fraction, total.moved_fraction) == (0.5, 0.5, 0.5)
        assert (total.mean_iou, total.lowest_iou) == (pytest.approx(0.85), pytest.approx(0.7))
        assert total.differences.as_dict() == {'mean': 0.025, 'p95': 0.05, 'max': 0.05, 'shift': -0.025}
    counts = {name: (one.matched, one.lost, one.gained, one.changed_from, one.changed_to)
              for name, one in tally.classes.items()}
    assert counts == {
        'car': (2, 0, 0, 0, 0), 'dog': (0, 1, 0, 1, 0), 'cat': (0, 1, 0, 0, 0), 'cup': (0, 0, 1, 0, 1),
        'bus': (0, 0, 1, 0, 0)}
    assert tally.classes['dog'].agreement == 0.0 and tally.classes['car'].agreement == 1.0
    assert tally.changes == {('dog', 'cup'): 1}
    assert BoxFigures().agreement == 1.0 and BoxFigures().lost_fraction == 0.0


@pytest.mark.parametrize('score', [0.0, 0.5])
def test_the_figures_are_those_of_the_accuracy_gate(score):
    random, gate, tally = np.random.default_rng(3), Agreement('detection'), BoxTally(0.75)
    weight = 0.0
    for _ in range(40):
        corners = random.uniform(0, 90, (12, 2))
        first = np.concatenate([corners, corners + random.uniform(5, 30, (12, 2))], axis=1).round(3)
        second = (first + random.normal(0, 1.5, first.shape)).round(3)[random.permutation(12)[:11]]
        sides = []
        for places in (first, second):
            scores, classes = random.uniform(score, 1, len(places)).round(6), random.integers(0, 2, len(places))
            order = np.argsort(-scores)
            sides.append(Detections(places[order], scores[order], classes[order]))
        gate.add_frame(*sides, score)
        difference = compare_boxes(*(
            boxes(*((str(name), value, *place) for name, value, place in zip(
                side.class_indices, side.scores.tolist(), side.boxes.tolist()))) for side in sides),
            CompareOptions(score=score))
        tally.add(difference, BoxFigures())
        weight += difference.weight
    total = tally.total
    assert (total.matched, total.lost, total.gained) == (gate.matched, gate.missing, gate.extra)
    assert min(total.matched, total.lost, total.gained, total.moved, total.changed_from) > 5
    assert total.agreement == gate.value
    assert (total.mean_iou, total.lowest_iou) == (pytest.approx(gate.mean_iou), gate.min_iou)
    assert (total.differences.mean, total.differences.largest) == (
        pytest.approx(gate.mean_score_difference), pytest.approx(gate.max_score_difference))
    assert weight == pytest.approx(gate.loss * (total.matched + total.lost + total.gained))


def test_a_higher_iou_is_asked_for():
    found = compare_boxes(A, B, CompareOptions(iou=0.71))
    assert [pair.iou for pair in found.matched] == [1.0]
    assert A[1] in found.lost and B[1] in found.gained


def test_a_box_around_the_score_is_neither_lost_nor_gained():
    """Boxes below the score serve as partners, down to 0.05 below it."""
    place, far = (0, 0, 10, 10), (50, 0, 60, 10)
    at = CompareOptions(score=0.25)
    found = compare_boxes(boxes(('car', 0.3, *place)), boxes(('car', 0.22, *place)), at)
    assert (len(found.matched), found.lost, found.gained) == (1, (), ())
    found = compare_boxes(boxes(('car', 0.3, *place)), boxes(('car', 0.19, *place)), at)
    assert (found.matched, len(found.lost), found.gained) == ((), 1, ())
    # Neither of two weak boxes counts, whether they fit or not.
    for weak in (boxes(('car', 0.24, *place)), boxes(('car', 0.23, *far)), []):
        found = compare_boxes(boxes(('car', 0.24, *place)), weak, at)
        assert (found.matched, found.lost, found.gained) == ((), (), ())


def test_the_percentile_is_that_of_the_nearest_rank():
    differences = Differences()
    for number in range(1, 21):
        differences.add(-number / 100)
    # 19 of 20 are 95 %.
    assert differences.p95 == pytest.approx(0.19)
    assert (differences.mean, differences.shift) == (pytest.approx(0.105), pytest.approx(-0.105))
    differences.add(0.5)
    # 20 of 21.
    assert (differences.p95, differences.largest) == (pytest.approx(0.2), 0.5)
    differences.close()
    assert differences.p95 == pytest.approx(0.2)
    assert Differences().p95 == Differences().mean == 0.0
    single = Differences()
    single.add(0.00012)
    assert single.p95 == 0.0001


def test_first_classes():
    a = [Found('cup', 0.5), Found('bowl', 0.46), Found('vase', 0.02)]
    same = compare_classes(a, [Found('cup', 0.7), Found('bowl', 0.2)])
    likely = compare_classes(a, [Found('bowl', 0.6), Found('cup', 0.3)])
    other = compare_classes(a, [Found('vase', 0.9), Found('bowl', 0.05)])
    assert (same.same, same.difference, same.weight) == (True, pytest.approx(0.2), pytest.approx(0.2))
    assert (likely.same, likely.likely, likely.difference) == (False, True, pytest.approx(-0.2))
    # B does not list A's first class.
    assert (other.likely, other.difference, other.weight) == (False, -0.5, pytest.approx(1.4))
    tally, bag = TopTally(), TopFigures()
    for one in (same, likely, other):
        tally.add(one, bag)
    assert (bag.frames, bag.same, bag.likely, bag.top1, bag.agreement) == (3, 1, 1, 1 / 3, 2 / 3)
    assert tally.changes == {('cup', 'bowl'): 1, ('cup', 'vase'): 1} and set(tally.classes) == {'cup'}
    nothing = compare_classes([], [])
    assert (nothing.same, nothing.weight) == (True, 0.0)
    assert not compare_classes([], [Found('cup', 0.9)]).likely


def large(weight, second=None, topic='/a', frame=0):
    stamp = None if second is None else START + int(second * 1e9)
    return LargeDifference(
        0, LineResult('bag', topic, frame, 640, 480, stamp, True, ()),
        compare_boxes(boxes(('car', weight, 0, 0, 9, 9)), [], OPTIONS))


def test_the_largest_differences_are_of_different_seconds():
    largest = Largest(3)
    for second, weight in ((0.1, 0.5), (0.2, 0.9), (0.3, 0.8), (1.1, 0.4), (2.1, 0.95), (3.1, 0.2)):
        largest.add(large(weight, second))
    largest.add(large(0.7, 0.25, '/b'))
    largest.end_of_bag()
    assert [(item.difference.weight, item.image.topic) for item in largest.sorted()] == [
        (0.95, '/a'), (0.9, '/a'), (0.7, '/b')]
    # Images without a time are all different; of equal ones the first stay; rounding is no difference.
    largest = Largest(2)
    for frame, weight in enumerate((0.009, 0.5, 0.5, 0.5, 0.6)):
        largest.add(large(weight, frame=frame))
    assert [item.image.frame for item in largest.sorted()] == [4, 1]
    nothing = Largest(0)
    nothing.add(large(0.9))
    assert nothing.sorted() == []
