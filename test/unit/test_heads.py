# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_perception.errors import EngineError
from trt_perception.model.geometry import letterbox
from trt_perception.model.heads.classification import (
    ClassificationHead,
    ClassificationSettings,
    SigmoidHead,
    is_distribution,
    softmax,
)
from trt_perception.model.heads.nms import non_maximum_suppression
from trt_perception.model.heads.yolo import MAX_CANDIDATES, DetectionSettings, YoloHead

# A 1280x720 image in a 640x640 network: half size, 140 rows of padding above and below.
GEOMETRY = letterbox(1280, 720, 640, 640)
SAME = letterbox(640, 640, 640, 640)
LAYOUTS = ('yolov5', 'yolov8', 'transposed', 'end_to_end')


def head_of(layout, num_classes=3):
    if layout == 'transposed':
        return YoloHead('yolov8', 'output0', num_classes, transposed=True)
    return YoloHead(layout, 'output0', num_classes)


def output_of(layout, candidates, num_classes=3, dtype=np.float32):
    """The raw tensor for candidates (cx, cy, w, h, score, class index), in network pixels."""
    rows = np.array(candidates, np.float64).reshape(-1, 6)
    if layout == 'end_to_end':
        rows = rows.copy()
        rows[:, :4] = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
        return rows[np.newaxis].astype(dtype)
    scores = np.zeros((len(rows), num_classes))
    scores[np.arange(len(rows)), rows[:, 5].astype(int)] = rows[:, 4]
    if layout == 'yolov5':
        # Objectness is 0.8; the class score is the rest.
        rows = np.concatenate([rows[:, :4], np.full((len(rows), 1), 0.8), scores / 0.8], axis=1)
        return rows[np.newaxis].astype(dtype)
    columns = np.concatenate([rows[:, :4], scores], axis=1)
    return (columns if layout == 'transposed' else columns.T)[np.newaxis].astype(dtype)


APART = [
    (100, 200, 40, 20, 0.5, 2),
    (300, 300, 100, 100, 0.75, 0),
    (500, 400, 60, 80, 0.375, 1),
    (500, 200, 60, 80, 0.125, 1),  # below the threshold
]


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_every_layout_by_hand(layout, dtype):
    result = head_of(layout).decode(output_of(layout, APART, dtype=dtype), GEOMETRY, DetectionSettings())
    # x * 2, (y - 140) * 2, best score first
    np.testing.assert_allclose(
        result.boxes, [[500, 220, 700, 420], [160, 100, 240, 140], [940, 440, 1060, 600]], rtol=0, atol=1e-3)
    np.testing.assert_allclose(result.scores, [0.75, 0.5, 0.375], rtol=1e-3)
    assert result.class_indices.tolist() == [0, 2, 1]
    assert (result.boxes.dtype, result.scores.dtype, result.class_indices.dtype) == (
        np.float32, np.float32, np.int64)
    assert len(result) == 3


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('candidates', [[], APART[3:]])
def test_nothing_found(layout, candidates):
    result = head_of(layout).decode(output_of(layout, candidates), GEOMETRY, DetectionSettings())
    assert (result.boxes.shape, result.scores.shape, result.class_indices.shape) == ((0, 4), (0,), (0,))
    assert (result.boxes.dtype, result.scores.dtype, result.class_indices.dtype) == (
        np.float32, np.float32, np.int64)


candidate = st.tuples(
    st.floats(0, 640, width=32), st.floats(0, 640, width=32), st.floats(4, 300, width=32),
    st.floats(4, 300, width=32), st.sampled_from([i / 64 for i in range(1, 65)]), st.integers(0, 2))


@settings(deadline=None)
@given(st.lists(candidate, max_size=15), st.booleans(), st.sampled_from([None, frozenset({1}), frozenset({0, 2})]))
def test_dense_layouts_agree_and_results_keep_their_promises(candidates, agnostic, keep):
    options = DetectionSettings(0.3, 0.5, agnostic, 10, keep)
    results = [
        head_of(layout).decode(output_of(layout, candidates), GEOMETRY, options)
        for layout in ('yolov8', 'transposed', 'yolov5')]
    for other in results[1:]:
        # YOLOv5's product of two float32 may change the order of equal scores, but not the scores or their number.
        np.testing.assert_allclose(other.scores, results[0].scores, rtol=1e-6)
    np.testing.assert_array_equal(results[0].boxes, results[1].boxes)
    result = results[0]
    assert len(result) <= 10
    assert np.all(result.scores >= 0.3)
    assert np.all(np.diff(result.scores) <= 0)
    x_min, y_min, x_max, y_max = result.boxes.T
    assert np.all((x_min >= 0) & (x_min < x_max) & (x_max <= 1280))
    assert np.all((y_min >= 0) & (y_min < y_max) & (y_max <= 720))
    if keep is not None:
        assert set(result.class_indices.tolist()) <= keep


def test_yolov5_score_is_objectness_times_class():
    # At a threshold of 0.3: 0.5 * 0.625 is kept, 0.6 * 0.4 and objectness 0.2 (with any class score) are removed.
    rows = np.array([[
        [100, 300, 10, 10, 0.5, 0.1, 0.625, 0.2],
        [200, 300, 10, 10, 0.6, 0.4, 0.1, 0.2],
        [300, 300, 10, 10, 0.2, 1.0, 1.0, 1.0]]], np.float32)
    result = head_of('yolov5').decode(rows, GEOMETRY, DetectionSettings(score_threshold=0.3))
    assert result.class_indices.tolist() == [1]
    assert result.scores.tolist() == [0.3125]
    result = head_of('yolov5').decode(rows, GEOMETRY, DetectionSettings(score_threshold=0.2))
    np.testing.assert_allclose(result.scores, [0.3125, 0.24, 0.2], rtol=1e-6)


def test_a_score_of_exactly_the_threshold_stays():
    for layout in ('yolov8', 'end_to_end'):
        result = head_of(layout).decode(
            output_of(layout, APART), GEOMETRY, DetectionSettings(score_threshold=0.375))
        assert result.scores.tolist() == [0.75, 0.5, 0.375]


OVERLAPPING = [
    (300, 300, 100, 100, 0.75, 0),
    (310, 300, 100, 100, 0.5, 0),  # the same object again
    (305, 300, 100, 100, 0.625, 1),  # another class at the same place
]


@pytest.mark.parametrize('layout', ['yolov5', 'yolov8', 'transposed'])
def test_suppression_within_a_class_or_over_all(layout):
    output = output_of(layout, OVERLAPPING)
    result = head_of(layout).decode(output, GEOMETRY, DetectionSettings())
    assert result.class_indices.tolist() == [0, 1]
    result = head_of(layout).decode(output, GEOMETRY, DetectionSettings(class_agnostic_nms=True))
    assert result.class_indices.tolist() == [0]
    result = head_of(layout).decode(output, GEOMETRY, DetectionSettings(iou_threshold=0.95))
    assert result.class_indices.tolist() == [0, 1, 0]


@pytest.mark.parametrize('count', [0, 1, 2, 7, 60, 400])
def test_suppression_is_opencvs_for_each_class(count):
    cv2 = pytest.importorskip('cv2')
    random = np.random.default_rng(count)
    boxes = np.sort(random.uniform(0, 100, (count, 2, 2)).astype('f4'), axis=1).reshape(-1, 4)
    # Equal scores, and some of 0.
    scores = np.round(random.uniform(0, 1, count), 1).astype('f4')
    classes = random.integers(0, 5, count)
    expected = []
    for one in range(5):
        members = np.flatnonzero(classes == one)
        rectangles = np.concatenate([boxes[members, :2], boxes[members, 2:].astype('f8') - boxes[members, :2]], 1)
        if len(members):
            found = cv2.dnn.NMSBoxes(rectangles.tolist(), scores[members].tolist(), 0.0, 0.3)
            expected += members[np.reshape(found, -1).astype(int)].tolist()
    expected = sorted(expected, key=lambda index: (-scores[index], index))
    kept = non_maximum_suppression(boxes, scores, classes, 0.3, max_detections=50)
    assert kept.tolist() == expected[:50] and kept.dtype == np.int64


def test_end_to_end_is_not_suppressed_again():
    result = head_of('end_to_end').decode(output_of('end_to_end', OVERLAPPING), GEOMETRY, DetectionSettings())
    np.testing.assert_array_equal(result.scores, np.float32([0.75, 0.625, 0.5]))
    assert result.class_indices.tolist() == [0, 1, 0]


def test_end_to_end_without_filling():
    rows = np.array([[
        [10, 200, 20, 220, 0.9, 2],
        [0, 0, 0, 0, 0, 0],
        [10, 200, 30, 220, 0.5, -1]]], np.float32)
    result = head_of('end_to_end').decode(rows, GEOMETRY, DetectionSettings(score_threshold=0.0))
    assert result.class_indices.tolist() == [2]


@pytest.mark.parametrize('layout', LAYOUTS)
def test_classes_to_keep(layout):
    options = DetectionSettings(keep_classes=frozenset({0, 1}))
    result = head_of(layout).decode(output_of(layout, APART), GEOMETRY, options)
    assert result.class_indices.tolist() == [0, 1]
    nothing = DetectionSettings(keep_classes=frozenset())
    assert len(head_of(layout).decode(output_of(layout, APART), GEOMETRY, nothing)) == 0


def test_an_unwanted_class_suppresses_no_wanted_one():
    options = DetectionSettings(keep_classes=frozenset({1}), class_agnostic_nms=True)
    result = head_of('yolov8').decode(output_of('yolov8', OVERLAPPING), GEOMETRY, options)
    assert result.class_indices.tolist() == [1]


@pytest.mark.parametrize('layout', LAYOUTS)
def test_max_detections_keeps_the_best(layout):
    result = head_of(layout).decode(output_of(layout, APART), GEOMETRY, DetectionSettings(max_detections=2))
    np.testing.assert_allclose(result.scores, [0.75, 0.5], rtol=1e-6)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_boxes_are_clipped_and_those_in_the_padding_dropped(layout):
    candidates = [
        (10, 160, 60, 80, 0.5, 0),  # over the left and the top edge of the image
        (320, 70, 100, 100, 0.75, 1),  # in the padding above the image
        (630, 490, 40, 60, 0.375, 2),  # over the right and the bottom edge
    ]
    result = head_of(layout).decode(output_of(layout, candidates), GEOMETRY, DetectionSettings())
    np.testing.assert_allclose(result.boxes, [[0, 0, 80, 120], [1220, 640, 1280, 720]], rtol=0, atol=1e-3)
    assert result.class_indices.tolist() == [0, 2]


def test_more_candidates_than_suppression_looks_at():
    count = MAX_CANDIDATES + 500
    rng = np.random.default_rng(1)
    side = 75  # boxes of 4 pixels, 8 apart, do not overlap
    index = rng.permutation(side * side)[:count]
    columns = np.zeros((5, count), np.float32)
    columns[0], columns[1] = 10 + 8 * (index % side), 10 + 8 * (index // side)
    columns[2:4] = 4
    columns[4] = rng.permutation(count) / count
    head = YoloHead('yolov8', 'output0', 1)
    result = head.decode(columns[np.newaxis], SAME, DetectionSettings(score_threshold=0.0, max_detections=count))
    # A box with the score 0 is none.
    np.testing.assert_array_equal(result.scores, np.sort(columns[4])[:0:-1])
    # All but the weakest one lie on each other.
    columns[:2, columns[4] > 0.5 / count] = 10
    columns[:2, columns[4] == 1 / count] = 400
    for most, found in ((300, 1), (count, 2)):
        result = head.decode(columns[np.newaxis], SAME, DetectionSettings(score_threshold=0.0, max_detections=most))
        assert len(result) == found


def test_without_suppression_every_row_counts():
    count = MAX_CANDIDATES + 500
    rows = np.tile(np.float32([10, 10, 14, 14, 0.5, 0]), (count, 1))
    # The best ones lie outside of the image, so none of the others may be dropped for them.
    rows[:MAX_CANDIDATES, :4] -= 100
    rows[:MAX_CANDIDATES, 4] = 0.9
    head = YoloHead('end_to_end', 'output0', 1)
    assert len(head.decode(rows[np.newaxis], SAME, DetectionSettings(max_detections=count))) == 500


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('column', [0, 3, 4])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error(layout, column, value):
    output = output_of(layout, APART)
    if layout == 'yolov8':
        output[0, column, 0] = value
    else:
        output[0, 0, column] = value
    with np.errstate(invalid='ignore'), \
            pytest.raises(EngineError, match="output 'output0' holds values that are not finite"):
        head_of(layout).decode(output, GEOMETRY, DetectionSettings())


def test_all_nan_is_an_error_too():
    for layout in LAYOUTS:
        output = np.full_like(output_of(layout, APART), np.nan)
        with pytest.raises(EngineError, match='not finite'):
            head_of(layout).decode(output, GEOMETRY, DetectionSettings())


def test_boxes_below_the_threshold_may_be_anything():
    for layout in LAYOUTS:
        output = output_of(layout, APART)
        view = output[0].T if layout != 'yolov8' else output[0]
        view[2, 3] = np.inf
        assert len(head_of(layout).decode(output, GEOMETRY, DetectionSettings())) == 3


def test_decoding_leaves_the_output_alone():
    for layout in LAYOUTS:
        output = output_of(layout, APART)
        before = output.copy()
        head_of(layout).decode(output, GEOMETRY, DetectionSettings(score_threshold=0.0))
        np.testing.assert_array_equal(output, before)


# Classification

CLASSIFIER = ClassificationHead('logits', 4)


def classify(values, top_k=5, dtype=np.float32, shape=(1, -1)):
    return CLASSIFIER.decode(np.array(values, dtype).reshape(shape), ClassificationSettings(top_k))


@pytest.mark.parametrize('shape', [(1, 4), (1, 4, 1, 1)])
def test_logits_go_through_softmax(shape):
    # log of 1, 2, 4, 3: softmax is 0.1, 0.2, 0.4, 0.3
    result = classify(np.log([1, 2, 4, 3]), shape=shape)
    assert result.class_indices.tolist() == [2, 3, 1, 0]
    np.testing.assert_allclose(result.scores, [0.4, 0.3, 0.2, 0.1], rtol=1e-6)
    assert (result.class_indices.dtype, result.scores.dtype) == (np.int64, np.float32)


def test_probabilities_stay_as_they_are():
    result = classify([0.125, 0.5, 0.25, 0.125])
    assert result.class_indices.tolist() == [1, 2, 0, 3]
    assert result.scores.tolist() == [0.5, 0.25, 0.125, 0.125]


def test_float16_probabilities_of_a_thousand_classes_stay_as_they_are():
    values = softmax(np.random.default_rng(0).normal(0, 1, 1000)).astype(np.float16)
    result = ClassificationHead('p', 1000).decode(values[np.newaxis], ClassificationSettings(3))
    np.testing.assert_array_equal(result.scores, np.sort(values)[::-1][:3].astype(np.float32))


@pytest.mark.parametrize('values', [
    [2.0, -1.0, 0.0, 0.0],  # sum is 1, but one is negative
    [0.2, 0.2, 0.2, 0.2],  # sum is 0.8
    [3.0, 1.0, 0.5, 0.0]])
def test_what_is_no_distribution_goes_through_softmax(values):
    np.testing.assert_allclose(classify(values).scores, np.sort(softmax(np.array(values)))[::-1], rtol=1e-6)
    assert not is_distribution(np.array(values))


def test_scores_of_a_multi_label_classifier_stay_as_they_are():
    head = SigmoidHead('p', 5)
    result = head.decode(np.array([[0.9, 0.8, 0.1, 0.7, 0.2]], np.float32), ClassificationSettings(3))
    assert result.class_indices.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(result.scores, np.float32([0.9, 0.8, 0.7]))


def test_the_activation_is_no_part_of_the_identity_of_converted_files():
    assert asdict(SigmoidHead('p', 5)) == asdict(ClassificationHead('p', 5)) == {'output_name': 'p', 'num_classes': 5}


def test_scores_are_in_0_to_1_whatever_the_probe_images_showed():
    logits = [4.0, -1.0, 0.5]
    result = SigmoidHead('p', 3).decode(np.array([logits]), ClassificationSettings())
    np.testing.assert_allclose(result.scores, np.sort(softmax(np.array(logits)))[::-1], rtol=1e-6)


@pytest.mark.parametrize('shape', [(4,), (1, 1, 1, 4)])
def test_scores_without_the_batch_dimension_or_with_channels_last(shape):
    assert classify(np.log([1, 2, 4, 3]), shape=shape).class_indices.tolist() == [2, 3, 1, 0]


def test_large_logits_do_not_overflow():
    result = classify([1000.0, 999.0, -1000.0, 0.0])
    np.testing.assert_allclose(result.scores, [0.7310586, 0.2689414, 0, 0], atol=1e-7)


def test_top_k():
    assert classify(np.log([1, 2, 4, 3]), top_k=2).class_indices.tolist() == [2, 3]
    assert len(classify(np.log([1, 2, 4, 3]), top_k=1)) == 1
    assert len(classify(np.log([1, 2, 4, 3]), top_k=100)) == 4


def test_of_equal_scores_the_lower_index_comes_first():
    assert classify([0.25] * 4).class_indices.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(value):
    with pytest.raises(EngineError, match="output 'logits' holds values that are not finite"):
        classify([0.1, value, 0.2, 0.3])


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=20))
def test_softmax_sums_to_one_and_keeps_the_order(values):
    probabilities = softmax(np.array(values))
    assert abs(probabilities.sum() - 1) < 1e-12
    assert is_distribution(probabilities)
    assert np.all(np.diff(probabilities[np.argsort(values)]) >= 0)
