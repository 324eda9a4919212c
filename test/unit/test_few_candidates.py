# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A few candidates are selected in plain Python arithmetic: bit by bit what NumPy and OpenCV give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_perception.errors import EngineError
from trt_perception.model.geometry import make_geometry
from trt_perception.model.heads.detection_settings import DetectionSettings
from trt_perception.model.heads.few import FEW, FewCandidates, selected_of_few
from trt_perception.model.heads.nms import non_maximum_suppression
from trt_perception.model.heads.yolo import YoloHead

GEOMETRIES = [
    make_geometry('letterbox', 1280, 720, 416, 416), make_geometry('letterbox', 333, 517, 96, 64),
    make_geometry('stretch', 640, 480, 416, 416), make_geometry('center_crop', 999, 444, 224, 224)]
CLASSES = 4


def in_numpy(boxes, scores, classes, geometry, options, suppresses=True):
    """The selection with arrays, as it was before there was another way."""
    chosen = np.arange(len(scores))
    if options.keep_classes is not None:
        chosen = chosen[np.isin(classes, list(options.keep_classes))]
    if suppresses:
        kept = chosen[non_maximum_suppression(
            boxes[chosen], scores[chosen], classes[chosen], options.iou_threshold, options.class_agnostic_nms, 1000)]
    else:
        kept = chosen[(-scores[chosen]).argsort(kind='stable')]
    in_image = geometry.clip(geometry.to_image(boxes[kept]))
    visible = (in_image[:, 2:] > in_image[:, :2]).all(axis=1).nonzero()[0][:options.max_detections]
    return in_image[visible].astype(np.float32), scores[kept[visible]], classes[kept[visible]]


def decoded_in_numpy(kind, output, geometry, options):
    """The whole decoding with arrays."""
    rows = output[0] if kind != 'yolov8' else output[0].T
    first = 5 if kind == 'yolov5' else 4
    scores = rows[:, first:].max(axis=1)
    if kind == 'yolov5':
        scores = rows[:, 4] * scores
    kept = (scores >= np.float32(options.score_threshold))
    half = rows[kept, 2:4] / 2
    boxes = np.concatenate([rows[kept, :2] - half, rows[kept, :2] + half], axis=1)
    return in_numpy(boxes, scores[kept], rows[kept, first:].argmax(axis=1), geometry, options)


def assert_equal(found, expected):
    boxes, scores, classes = expected
    # tobytes: zeros of another sign would differ too.
    assert found.boxes.tobytes() == boxes.tobytes() and found.boxes.dtype == np.float32
    assert found.scores.tobytes() == scores.tobytes() and found.scores.dtype == np.float32
    assert found.class_indices.tolist() == classes.tolist() and found.class_indices.dtype == np.int64
    assert found.boxes.shape == boxes.shape


centre, side = st.floats(-30, 450, width=32), st.floats(0.5, 300, width=32)
# Few values give equal boxes, equal scores and overlaps of exactly the threshold.
coarse_centre, coarse_side = st.sampled_from([100.0, 110.0, 120.0]), st.sampled_from([20.0, 40.0])
probability = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.25, 0.5, 1.0]))
candidate = st.tuples(
    st.one_of(st.tuples(centre, centre, side, side), st.tuples(*[coarse_centre] * 2, *[coarse_side] * 2)),
    probability, st.tuples(*[probability] * CLASSES))
options = st.builds(
    DetectionSettings, st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    st.one_of(st.floats(0, 1), st.sampled_from([1 / 3, 0.6])), st.booleans(), st.integers(1, 20),
    st.sampled_from([None, frozenset(), frozenset({1}), frozenset({0, 2})]))


@pytest.mark.parametrize('kind', ['yolov5', 'yolov8', 'transposed'])
@settings(deadline=None, max_examples=400)
@given(st.lists(candidate, max_size=FEW + 4), options, st.sampled_from(GEOMETRIES))
def test_the_same_bits_as_with_arrays(kind, candidates, wanted, geometry):
    columns = (5 if kind == 'yolov5' else 4) + CLASSES
    rows = np.array(
        [(*box, *[objectness][:columns - 4 - CLASSES], *scores) for box, objectness, scores in candidates],
        np.float32).reshape(-1, columns)
    output = (np.ascontiguousarray(rows.T) if kind == 'yolov8' else rows)[np.newaxis]
    head = YoloHead('yolov5' if kind == 'yolov5' else 'yolov8', 'output0', CLASSES, kind == 'transposed')
    assert_equal(head.decode(output, geometry, wanted), decoded_in_numpy(kind, output, geometry, wanted))


@settings(deadline=None, max_examples=400)
@given(st.lists(candidate, min_size=1, max_size=FEW), options, st.sampled_from(GEOMETRIES), st.booleans())
def test_the_few_are_those_of_the_arrays_and_their_candidates_are_named(candidates, wanted, geometry, suppresses):
    table = np.array([box for box, _, _ in candidates], np.float32)
    boxes = np.concatenate([table[:, :2] - table[:, 2:] / 2, table[:, :2] + table[:, 2:] / 2], axis=1)
    scores = np.array([score for _, score, _ in candidates], np.float32)
    classes = np.array([int(values[0] * 3) for _, _, values in candidates], np.int64)
    few = selected_of_few(
        FewCandidates(boxes.tolist(), scores.tolist(), classes.tolist()), geometry, wanted, suppresses)
    if few is None:
        return
    assert_equal(few[0], in_numpy(boxes, scores, classes, geometry, wanted, suppresses))
    np.testing.assert_array_equal(few[0].scores, scores[few[1]])


def few_of(boxes, scores=(0.5, 0.25), classes=(0, 0), iou_threshold=0.45, suppresses=True):
    return selected_of_few(
        FewCandidates([list(box) for box in boxes], list(scores), list(classes)), GEOMETRIES[0],
        DetectionSettings(iou_threshold=iou_threshold), suppresses)


def test_by_hand():
    # An IoU of 1/3. In the image x * 1280 / 416 and (y - 91) * 720 / 234.
    boxes = [(104, 104, 208, 208), (156, 104, 260, 208)]
    found, chosen = few_of(boxes, scores=(0.25, 0.5))
    assert chosen == [1, 0]
    np.testing.assert_allclose(found.boxes, [[480, 40, 800, 360], [320, 40, 640, 360]], rtol=0, atol=1e-4)
    assert few_of(boxes, iou_threshold=0.3)[1] == [0]
    assert few_of(boxes, iou_threshold=0.3, classes=(0, 1))[1] == [0, 1]
    assert few_of(boxes, iou_threshold=0.3, suppresses=False)[1] == [0, 1]
    assert few_of(boxes, scores=(0.5, 0.0))[1] == [0]


@pytest.mark.parametrize('boxes, scores, iou_threshold', [
    ([(0, 100, 40, 140), (10, 100, 50, 140)], (0.5, 0.25), 0.6),  # an IoU of the threshold
    ([(0, 100, 40, 140), (50, 100, 50, 140)], (0.5, 0.25), 0.5),  # a box without an area
    ([(0, 100, 40, 140), (50, 100, np.inf, 140)], (0.5, 0.25), 0.5),
    ([(0, 100, 40, 140), (50, 100, 60, 140)], (0.5, np.nan), 0.5)])
def test_what_only_the_general_way_can_tell(boxes, scores, iou_threshold):
    assert few_of(boxes, scores, iou_threshold=iou_threshold) is None


@pytest.mark.parametrize('column, value', [(2, np.inf), (2, 3e38), (0, np.nan), (4, np.nan), (6, np.inf)])
@pytest.mark.parametrize('kind', ['yolov5', 'yolov8'])
def test_a_few_candidates_that_are_not_finite_are_an_error(kind, column, value):
    rows = np.full((1, 3, 5 + CLASSES), 0.5, np.float32)
    rows[0, 1, column] = value
    # 3e38 is finite, the edges of the box are not.
    rows[0, 1, 0] = 3e38 if value == 3e38 else rows[0, 1, 0]
    head = YoloHead(kind, 'output0', CLASSES + (kind == 'yolov8'), transposed=kind == 'yolov8')
    with np.errstate(over='ignore', invalid='ignore'), pytest.raises(EngineError, match='not finite'):
        head.decode(rows, GEOMETRIES[0], DetectionSettings())
