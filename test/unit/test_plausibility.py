# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Outputs that no network of the head gives are refused; those of genuine networks, trained or not, never are."""

import numpy as np
import pytest

from trt_perception.errors import ModelError
from trt_perception.model.heads.classification import ClassificationHead, SoftmaxHead, softmax
from trt_perception.model.heads.plausibility import problem_of, require_plausible
from trt_perception.model.heads.yolo import YoloHead

SIZE = (640, 480)
DENSE = ('yolov5', 'yolov8', 'transposed')


def head_of(layout, classes):
    return YoloHead('yolov8' if layout == 'transposed' else layout, 'out', classes, layout == 'transposed')


def output_of(layout, boxes, scores):
    """The raw output of boxes (N, 4) and class scores (N, C)."""
    objectness = [np.ones((len(boxes), 1))] if layout == 'yolov5' else []
    rows = np.concatenate([boxes, *objectness, scores], axis=1).astype(np.float32)
    return (rows.T if layout == 'yolov8' else rows)[np.newaxis]


def cells(size=SIZE, strides=(8, 16, 32)):
    """(N, 2) centres of the cells of a grid, and (N,) their strides."""
    centres, widths = [], []
    for stride in strides:
        y, x = np.mgrid[0:size[1] // stride, 0:size[0] // stride].reshape(2, -1)
        centres.append(np.stack([x + 0.5, y + 0.5], axis=1) * stride)
        widths.append(np.full(len(x), stride))
    return np.concatenate(centres), np.concatenate(widths)


def yolov8_boxes(size=SIZE, spread=0.0, seed=0):
    """Boxes as from YOLOv8 with random weights: distances of 7.5 strides, with this spread."""
    centres, strides = cells(size)
    distances = (7.5 + np.random.default_rng(seed).normal(0, spread, (len(centres), 4))) * strides[:, np.newaxis]
    first, second = centres - distances[:, :2], centres + distances[:, 2:]
    return np.concatenate([(first + second) / 2, second - first], axis=1)


def problem(layout, boxes, scores=0.01, classes=3, size=SIZE):
    scores = np.broadcast_to(scores, (len(boxes), classes))
    return problem_of(head_of(layout, classes), [output_of(layout, boxes, scores)] * 2, size)


def corners(boxes):
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


@pytest.mark.parametrize('layout', DENSE)
@pytest.mark.parametrize('size', [(640, 480), (64, 64), (32, 32), (1280, 736)])
@pytest.mark.parametrize('spread', [0.0, 1.0, 3.0])
def test_dense_boxes_of_random_weights_are_accepted(layout, size, spread):
    assert problem(layout, yolov8_boxes(size, spread), size=size) == ''


@pytest.mark.parametrize('layout', DENSE)
def test_boxes_that_all_cover_the_image_are_accepted(layout):
    boxes = yolov8_boxes(spread=1.0)
    boxes[:, 2:] = [700, 520]
    assert problem(layout, boxes) == ''


@pytest.mark.parametrize('size', [(640, 640), (416, 416)])
def test_anchors_in_any_order_are_accepted(size):
    # YOLOv5: anchors first; darknet: cells first; x before y
    centres, _ = cells(size)
    sizes = np.array([[10, 13], [62, 45], [156, 198]])
    for boxes in (
            np.concatenate([np.concatenate([centres, np.broadcast_to(side, centres.shape)], axis=1) for side in sizes]),
            np.concatenate([np.repeat(centres, 3, axis=0), np.tile(sizes, (len(centres), 1))], axis=1)):
        assert problem('yolov5', boxes, size=size) == ''
        assert problem('yolov5', boxes[:, [1, 0, 3, 2]], size=size[::-1]) == ''


@pytest.mark.parametrize('scores', [0.0, 1e-4, 0.5, 1.0, 1.005])
def test_scores_of_any_genuine_network_are_accepted(scores):
    assert problem('yolov8', yolov8_boxes(), scores) == ''


@pytest.mark.parametrize('layout', DENSE)
@pytest.mark.parametrize('scores, text', [
    ([-4.0, 2.2, 0.5], 'scores from -4 to 2.2'), ([300.0, 300.0, 300.0], ' to 300: '),
    ([-9.0, -8.0, -7.0], '-9'), ([-0.01, -0.01, -0.01], '-0.01')])
def test_scores_outside_of_0_to_1_are_refused(layout, scores, text):
    found = problem(layout, yolov8_boxes(), np.array(scores))
    assert text in found
    assert 'expected 0..1' in found
    # YOLOv5's objectness is right here.
    assert ('objectness is in 0..1 but the class scores are not' if layout == 'yolov5' else 'if these are raw logits') \
        in found


def test_one_wrong_score_in_the_second_image_is_enough():
    boxes = yolov8_boxes()
    scores = np.full((len(boxes), 3), 0.01)
    right = output_of('yolov8', boxes, scores)
    scores[7, 1] = 1.5
    assert problem_of(head_of('yolov8', 3), [right, output_of('yolov8', boxes, scores)], SIZE).startswith(
        'has scores from 0.01 to 1.5: expected 0..1')


def test_key_points_are_recognised_behind_the_scores():
    boxes = yolov8_boxes()
    points = np.tile(np.random.default_rng(0).uniform(-20, 640, (len(boxes), 3)), (1, 17))
    found = problem('yolov8', boxes, np.concatenate([np.full((len(boxes), 1), 0.01), points], axis=1), 52)
    assert 'only the first 1 of 52 columns after the box are scores: a segmentation, pose or oriented-box' in found
    masks = np.random.default_rng(0).normal(0, 1, (len(boxes), 32))
    found = problem('yolov8', boxes, np.concatenate([np.full((len(boxes), 80), 0.01), masks], axis=1), 112)
    assert 'only the first 80 of 112 columns after the box are scores' in found


def test_the_angle_of_an_untrained_oriented_box_model_is_recognised():
    boxes = yolov8_boxes()
    scores = np.full((len(boxes), 16), 0.01)
    scores[:, -1] = 0.785
    assert 'an oriented-box model has the angle there' in problem('yolov8', boxes, scores, 16)
    # Some other column, or a network that is as sure of all classes, is no angle.
    assert problem('yolov8', boxes, scores[:, ::-1], 16) == ''
    assert problem('yolov8', boxes, np.full((len(boxes), 16), 0.785), 16) == ''


@pytest.mark.parametrize('layout', DENSE)
def test_boxes_that_are_no_pixels_are_refused(layout):
    """YOLOX without decode_in_inference gives offsets within a cell."""
    random = np.random.default_rng(0)
    boxes = np.concatenate([random.uniform(-1, 2, (6300, 2)), random.normal(0, 1, (6300, 2))], axis=1)
    found = problem(layout, boxes)
    assert 'has 6300 boxes, half of them within 0.' in found
    assert 'expected boxes in pixels of the 640x480 input; export the model with box decoding (YOLOX: ' in found
    # A few boxes are not a grid.
    assert problem(layout, boxes[:7]) == ''


@pytest.mark.parametrize('layout', DENSE)
def test_fractions_of_the_image_are_refused_without_the_advice_for_yolox(layout):
    boxes = yolov8_boxes() / np.array([*SIZE, *SIZE])
    found = problem(layout, boxes)
    assert 'these look like fractions of the image, which this layout does not have' in found
    assert 'YOLOX' not in found


@pytest.mark.parametrize('layout', DENSE)
@pytest.mark.parametrize('spread', [0.0, 2.0])
def test_corners_in_place_of_centres_are_refused(layout, spread):
    found = problem(layout, corners(yolov8_boxes(spread=spread)))
    assert 'these are corners (x_min, y_min, x_max, y_max), expected centre, width and height' in found


def test_corners_of_boxes_of_all_sizes_are_refused():
    random = np.random.default_rng(0)
    first = random.uniform(0, 500, (90, 2))
    boxes = np.concatenate([first, first + random.uniform(1, 140, (90, 2))], axis=1)
    assert 'these are corners' in problem('yolov8', boxes)


def test_boxes_far_outside_of_the_input_are_refused():
    boxes = yolov8_boxes() * 640
    assert 'outside of the input' in problem('yolov8', boxes)


def test_boxes_without_the_order_of_a_grid_are_refused():
    random = np.random.default_rng(0)
    count = len(yolov8_boxes())
    boxes = np.concatenate([random.uniform(0, SIZE, (count, 2)), random.uniform(0, 300, (count, 2))], axis=1)
    assert 'as many as a grid has cells, but neighbours are usually 4' in problem('yolov8', boxes)
    # Another number of boxes need not be a grid.
    assert problem('yolov8', boxes[:-1]) == ''


@pytest.mark.parametrize('layout', DENSE)
def test_values_that_are_not_finite_are_left_to_decoding(layout):
    boxes = yolov8_boxes()
    boxes[3, 1], boxes[4, 2] = np.nan, np.inf
    scores = np.full((len(boxes), 3), 0.01)
    scores[9] = np.nan
    scores[10] = np.inf
    assert problem(layout, boxes, scores) == ''
    assert problem(layout, np.full((100, 4), np.nan), np.nan) == ''


# End-to-end


def rows_of(boxes, score=0.001, index=1):
    count = len(boxes)
    return np.concatenate(
        [boxes, np.broadcast_to(score, (count,))[:, np.newaxis], np.broadcast_to(index, (count,))[:, np.newaxis]],
        axis=1)


def after_nms(*images, classes=0, size=SIZE):
    return problem_of(
        YoloHead('end_to_end', 'out', classes),
        [np.asarray(rows, np.float32).reshape(1, -1, 6) for rows in images], size, classes)


def test_rows_of_random_weights_are_accepted():
    boxes = corners(yolov8_boxes(spread=1.0))[:300]
    assert after_nms(rows_of(boxes), rows_of(boxes)) == ''
    # Boxes may reach over the edges, and any class may be found.
    assert after_nms(rows_of(boxes - 100, 1.0, np.arange(300) % 80), classes=80) == ''


def test_images_without_a_detection_are_accepted():
    """NMS in the graph leaves all rows unused."""
    unused = np.zeros((300, 6))
    assert after_nms(unused, unused) == ''
    unused[:, 5] = -1
    assert after_nms(unused, unused, classes=3) == ''
    unused[:] = -1
    assert after_nms(unused) == ''
    # One object in the second image, the others unused
    unused[0] = [10, 20, 110, 220, 0.9, 2]
    assert after_nms(np.zeros((300, 6)), unused, classes=3) == ''


def test_rows_that_fill_may_repeat_a_box():
    rows = np.tile([0, 0, 640, 480, 0, 0], (300, 1)).astype(float)
    rows[0] = [10, 20, 110, 220, 0.9, 2]
    assert after_nms(rows) == ''


@pytest.mark.parametrize('row, text', [
    ([10, 20, 110, 220, 7.5, 2], 'scores from 7.5 to 7.5 in its fifth column: expected 0..1'),
    ([10, 20, 110, 220, -3.5, 2], 'scores from -3.5'),
    ([10, 20, 110, 220, 0.9, 0.25], 'the class 0.25 in its sixth column: expected the index of a class'),
    ([10, 20, 110, 220, 0.9, -0.25], 'the class -0.25 in its sixth column'),
    ([10, 20, 110, 220, 0.9, 3], 'the class 3, but there are only 3 class names, for 0 to 2'),
    ([0.5, 0.5, 0.2, 0.2, 0.9, 1], 'coordinates from 0.2 to 0.5: expected x_min, y_min, x_max, y_max in pixels'),
    ([200, 300, 40, 60, 0.01, 1], '1 of 1 boxes whose second corner lies before the first'),
])
def test_rows_that_no_end_to_end_model_gives_are_refused(row, text):
    assert text in after_nms(np.zeros((300, 6)), [row], classes=3)


def test_rtdetr_with_300_queries_is_refused():
    random = np.random.default_rng(0)
    fractions = random.uniform(0.05, 0.9, (300, 4))
    assert 'these look like fractions of the image' in after_nms(rows_of(fractions))
    pixels = fractions * np.array([*SIZE, *SIZE]) * [1, 1, 0.4, 0.4]
    assert 'if these are cx, cy, w, h, export the model with corners' in after_nms(rows_of(pixels))


def test_the_same_box_in_all_rows_is_refused():
    assert 'has 300 rows, only 1 of them different: expected each object once' in after_nms(
        rows_of(np.tile([10, 10, 30, 30], (300, 1)), 0.9))


def test_another_head_is_named_if_it_fits():
    boxes = corners(yolov8_boxes((320, 192)))[:300]
    rows = rows_of(boxes, 0.01, np.arange(300) % 3)[np.newaxis].astype(np.float32)
    found = problem_of(YoloHead('yolov5', 'out', 1), [rows], (320, 192))
    assert found.endswith('; if these are boxes after NMS, set head to end_to_end')


# Classification


def activation(*vectors):
    return require_plausible(
        ClassificationHead('p', len(vectors[0])), [np.array([v], np.float32) for v in vectors], (64, 64)).activation


def test_the_activation_of_a_classifier_by_values():
    assert activation([0.9, 0.8, 0.1, 0.7], [0.2, 0.3, 0.1, 0.0]) == 'sigmoid'
    assert activation([0.25] * 4, [0.125, 0.375, 0.25, 0.25]) == 'softmax'
    assert activation([2.2, -1.0, 0.5], [0.5, 0.25, 0.125]) == 'softmax'
    # One distribution, and nothing at all, are no multi-label scores.
    assert activation([0.5, 0.25, 0.25], [0.9, 0.8, 0.1]) == 'softmax'
    assert activation([0.0] * 4, [0.0] * 4) == 'softmax'
    assert activation([np.nan, 0.5], [0.5, 0.25]) == 'softmax'


def test_the_activation_of_the_graph_stays():
    head = SoftmaxHead('p', 2)
    assert require_plausible(head, [np.array([[0.9, 0.8]], np.float32)], (64, 64)) == head


def test_an_embedding_is_refused():
    random = np.random.default_rng(0)
    vectors = [vector / np.linalg.norm(vector) for vector in random.normal(0, 1, (2, 1, 512))]
    head = ClassificationHead('e', 512)
    with pytest.raises(ModelError, match=r"output 'e' is a vector of length 1 with 512 numbers, an embedding"):
        require_plausible(head, vectors, (112, 112))
    # Logits, and probabilities of which one is 1
    assert problem_of(head, [random.normal(0, 1, (1, 512)), vectors[0]], (112, 112)) == ''
    assert problem_of(head, [softmax(1000 * vectors[0])], (112, 112)) == ''


@pytest.mark.parametrize('kind', [np.uint8, np.int8, np.int64])
def test_whole_numbers_are_refused(kind):
    for head, shape in ((ClassificationHead('p', 9), (1, 9)), (YoloHead('yolov8', 'p', 3), (1, 7, 84))):
        assert f'has elements of type {np.dtype(kind)}: expected float32' in problem_of(
            head, [np.zeros(shape, kind)], (64, 64))
