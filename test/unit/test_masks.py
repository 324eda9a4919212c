# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Instance masks: equal to a pixel by pixel computation, inside of the box and the image, only if asked for."""

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from support.family_models import family_model
from support.tiny_models import COLORS, color_detector, color_segmenter

import trt_perception
from trt_perception.backends.create import create_pipeline
from trt_perception.cli.main import main
from trt_perception.errors import EngineError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.geometry import make_geometry
from trt_perception.model.heads.further_columns import SegmentHead
from trt_perception.model.heads.masks import instance_masks
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.results.draw import class_color, draw_detections
from trt_perception.results.masks import Masks
from trt_perception.results.results import Detections

RANDOM = np.random.default_rng(7)


def by_pixel(coefficients, prototypes, box, geometry):
    """(height, width) float64: the sum of the prototypes at the centre of each pixel of the image; -inf outside."""
    total = np.tensordot(coefficients.astype(np.float64), prototypes.astype(np.float64), 1)
    rows, columns = total.shape
    # Prototypes whose centre is in the image.
    x_step, y_step = geometry.network_width / columns, geometry.network_height / rows
    inside_x = [c for c in range(columns)
                if geometry.target_x <= (c + 0.5) * x_step <= geometry.target_x + geometry.target_width]
    inside_y = [r for r in range(rows)
                if geometry.target_y <= (r + 0.5) * y_step <= geometry.target_y + geometry.target_height]
    result = np.full((geometry.image_height, geometry.image_width), -np.inf)
    for y in range(geometry.image_height):
        for x in range(geometry.image_width):
            if not (box[0] <= x + 0.5 < box[2] and box[1] <= y + 0.5 < box[3]):
                continue
            network_x, network_y = geometry.to_network(np.array([[x + 0.5, y + 0.5, 0, 0]]))[0, :2]
            at_x = min(max(network_x / x_step - 0.5, inside_x[0]), inside_x[-1])
            at_y = min(max(network_y / y_step - 0.5, inside_y[0]), inside_y[-1])
            left, top = min(int(at_x), columns - 2), min(int(at_y), rows - 2)
            across, down = at_x - left, at_y - top
            upper = total[top, left] * (1 - across) + total[top, left + 1] * across
            lower = total[top + 1, left] * (1 - across) + total[top + 1, left + 1] * across
            result[y, x] = upper * (1 - down) + lower * down
    return result


@pytest.mark.parametrize('mode, image, network', [
    # Padding left and right, above and below, odd, none; enlarged; stretched; cropped.
    ('letterbox', (90, 120), (64, 64)), ('letterbox', (131, 77), (64, 64)), ('letterbox', (127, 100), (96, 64)),
    ('letterbox', (96, 64), (96, 64)), ('letterbox', (31, 23), (64, 64)), ('stretch', (75, 99), (64, 96)),
    ('center_crop', (120, 80), (64, 64))])
def test_masks_are_those_of_each_pixel(mode, image, network):
    geometry = make_geometry(mode, *image, *network)
    prototypes = RANDOM.normal(0, 1, (5, network[1] // 4, network[0] // 4)).astype(np.float32)
    # Numbers with an edge inside of a pixel, the whole image, and one that touches its last column and row.
    width, height = image
    boxes = np.float32([
        [3.3, 4.6, width * 0.7, height * 0.6], [0, 0, width, height], [width - 7.5, height - 9.2, width, height]])
    coefficients = RANDOM.normal(0, 1, (3, 5)).astype(np.float32)
    masks = instance_masks(coefficients, prototypes, boxes, geometry)
    assert (len(masks), masks.width, masks.height) == (3, width, height)
    for index in range(3):
        expected = by_pixel(coefficients[index], prototypes, boxes[index], geometry)
        clear = np.abs(expected) > 1e-4
        assert clear.mean() > 0.99
        np.testing.assert_array_equal(masks[index][clear], expected[clear] > 0)
    assert 0 < masks[1].sum() < width * height


def test_padding_does_not_reach_into_the_image():
    """The prototype says no in the whole padding and yes in the whole image, whose edge is inside of its pixels."""
    geometry = make_geometry('letterbox', 100, 57, 64, 64)
    # Rows 14 to 50: with a step of 4, the centres of the rows 3 to 12 are in the image, two of them on its edges.
    assert (geometry.target_y, geometry.target_height) == (14, 36)
    prototypes = np.full((1, 16, 16), -100, np.float32)
    prototypes[:, 3:13] = 1
    masks = instance_masks(np.ones((1, 1), np.float32), prototypes, np.float32([[0, 0, 100, 57]]), geometry)
    assert masks[0].all()


def test_boxes_without_a_pixel_and_masks_without_one():
    geometry = make_geometry('stretch', 64, 64, 64, 64)
    boxes = np.float32([[10.6, 10, 11.4, 20], [5, 5, 9, 9], [20, 20, 24, 24]])
    masks = instance_masks(np.float32([[1], [-1], [1]]), np.ones((1, 16, 16), np.float32), boxes, geometry)
    assert [int(masks[index].sum()) for index in range(3)] == [0, 0, 16]
    assert masks[2][20:24, 20:24].all()
    assert len(instance_masks(
        np.zeros((0, 1), np.float32), np.ones((1, 16, 16), np.float32), np.zeros((0, 4), np.float32), geometry)) == 0


def test_prototypes_of_one_row():
    geometry = make_geometry('stretch', 8, 8, 8, 8)
    masks = instance_masks(
        np.float32([[1]]), np.float32([[[-1, 1]]]), np.float32([[0, 0, 8, 8]]), geometry)
    # Zero between the centres at 2 and 6: in the middle, at 4.
    assert masks[0].tolist() == [[False] * 4 + [True] * 4] * 8


def test_the_label_image_has_the_best_object_on_top():
    masks = Masks((np.ones((2, 2), bool), np.array([[True, False], [True, True]])), np.array([[0, 0], [1, 1]]), 4, 3)
    assert masks.label_image([7, 9], 255, np.uint8).tolist() == [[7, 7, 255, 255], [7, 7, 255, 255], [255, 9, 9, 255]]
    assert masks[1].tolist() == [[False] * 4, [False, True, False, False], [False, True, True, False]]
    with pytest.raises(IndexError):
        masks[2]


def squares(width=128, height=64):
    """Red left half of a cell, and a whole blue cell, in an image that is letterboxed into 64x64 (cells of 16)."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[16:32, 32:40, 2] = 255
    picture[32:48, 80:96, 0] = 255
    return picture


def test_masks_of_a_network(tmp_path):
    spec = load_model(color_segmenter(tmp_path / 'm.onnx'))
    assert spec.has_masks and spec.head == SegmentHead(3, 'output0', 'yolov8', 'output1')
    with create_pipeline(spec, PipelineOptions('onnxruntime', 'fp32')) as pipeline:
        assert pipeline.run(Frame.from_bgr(squares())).result.masks is None
        found = pipeline.run(Frame.from_bgr(squares()), masks=True).result
    assert [COLORS[index] for index in found.class_indices] == ['blue', 'red']
    np.testing.assert_allclose(found.boxes, [[80, 32, 96, 48], [32, 16, 48, 32]], atol=1e-3)
    # The prototype's pixels are 8x8 of the image. The blue cell is full; of the red one it is 1/3 in the left pixels
    # and 0 in the right ones, so the limit of 0.1 is at 70 % of the way from one centre (36) to the other (44): 41.6.
    assert found.masks[0][32:48, 80:96].all() and found.masks[0].sum() == 256
    expected = np.zeros((64, 128), bool)
    expected[16:32, 32:42] = True
    inside = np.zeros_like(expected)
    # Between the centres of the first and the last row nothing of the black around comes in.
    inside[20:28] = True
    np.testing.assert_array_equal(found.masks[1] & inside, expected & inside)
    assert not (found.masks[1] & ~expected).any()


def rows_of(layout):
    """Two candidates of three classes and two coefficients, in a layout; the first output of a network of 96x64."""
    if layout == 'end_to_end':
        rows = np.zeros((1, 50, 8), 'f4')
        rows[0, 0], rows[0, 1] = [8, 8, 40, 40, 0.9, 1, 1, 0], [48, 8, 90, 40, 0.7, 2, 0, 1]
        return rows, {'end2end': 'True'}
    count = sum(-(-96 // step) * -(-64 // step) for step in (8, 16, 32)) * (3 if layout == 'yolov5' else 1)
    objectness = layout == 'yolov5'
    rows = np.zeros((count, 9 + objectness), 'f4')
    rows[:, :4] = 24, 24, 8, 8
    for index, (box, score, label, coefficients) in enumerate((
            ((24, 24, 32, 32), 0.9, 1, (1, 0)), ((69, 24, 42, 32), 0.7, 2, (0, 1)))):
        rows[10 + index, :4] = box
        rows[10 + index, 4 + objectness + label] = score
        rows[10 + index, 7 + objectness:] = coefficients
        if objectness:
            rows[10 + index, 4] = 1
    return (rows if objectness else np.ascontiguousarray(rows.T))[np.newaxis], {}


@pytest.mark.parametrize('layout', ['yolov8', 'yolov5', 'end_to_end'])
@pytest.mark.parametrize('order', [('output0', 'output1'), ('b', 'a')])
def test_each_layout_has_its_coefficients(tmp_path, layout, order):
    rows, metadata = rows_of(layout)
    prototypes = np.full((1, 2, 16, 24), -1, 'f4')
    # The first object is the upper half, the second the right part of the picture.
    prototypes[0, 0, :6] = 1
    prototypes[0, 1, :, 18:] = 1
    outputs = {order[0]: rows, order[1]: prototypes}
    spec = load_model(family_model(
        tmp_path / 'm.onnx', outputs, metadata={'names': ['a', 'b', 'c'], 'task': 'segment', **metadata}))
    assert spec.head.layout == layout and spec.head.prototypes_name == order[1]
    with create_pipeline(spec, PipelineOptions('onnxruntime', 'fp32')) as pipeline:
        found = pipeline.run(Frame.from_bgr(np.zeros((64, 96, 3), np.uint8)), masks=True).result
    assert found.class_indices.tolist() == [1, 2]
    expected = np.zeros((2, 64, 96), bool)
    expected[0, 8:24, 8:40] = True
    expected[1, 8:40, 72:90] = True
    np.testing.assert_array_equal([found.masks[0], found.masks[1]], expected)


def test_values_that_are_not_finite(tmp_path):
    rows, _ = rows_of('yolov8')
    prototypes = np.full((1, 2, 16, 24), np.nan, 'f4')
    spec = load_model(family_model(
        tmp_path / 'm.onnx', {'output0': rows, 'output1': prototypes}, metadata={'names': list('abc')}))
    frame = Frame.from_bgr(np.zeros((64, 96, 3), np.uint8))
    with create_pipeline(spec, PipelineOptions('onnxruntime', 'fp32')) as pipeline:
        assert len(pipeline.run(frame).result) == 2
        with pytest.raises(EngineError, match='values that are not finite'):
            pipeline.run(frame, masks=True)


def test_classes_and_limits_keep_boxes_and_masks_together(tmp_path):
    """The selection leaves out candidates: the masks are those of the boxes that stay."""
    rows, _ = rows_of('yolov8')
    prototypes = np.full((1, 2, 16, 24), -1, 'f4')
    prototypes[0, 1] = 1
    path = family_model(tmp_path / 'm.onnx', {'output0': rows, 'output1': prototypes}, metadata={'names': list('abc')})
    with trt_perception.open(path, backend='onnxruntime', masks=True) as model:
        model._pipeline.settings = type(model._pipeline.settings)(
            type(model._pipeline.settings.detection)(keep_classes=frozenset({2})))
        found = model(np.zeros((64, 96, 3), np.uint8))
    assert found.class_indices.tolist() == [2] and found.masks[0].sum() == 42 * 32


def test_open_gives_masks_if_asked(tmp_path):
    path = color_segmenter(tmp_path / 'm.onnx')
    with trt_perception.open(path, backend='onnxruntime') as model:
        assert model(squares()).masks is None
    with trt_perception.open(path, backend='onnxruntime', masks=True) as model:
        first = model(squares())
        model(np.zeros((64, 128, 3), np.uint8))
        assert first.masks[0].sum() == 256
        assert len(model(np.zeros((64, 128, 3), np.uint8)).masks) == 0
    with pytest.raises(ModelError, match=r'masks is True, but d.onnx has no instance masks \(head yolov8\)'):
        trt_perception.open(color_detector(tmp_path / 'd.onnx'), masks=True)


def test_masks_are_drawn():
    picture = np.full((60, 80, 3), 100, np.uint8)
    part = np.zeros((30, 40), bool)
    part[:, :20] = True
    found = Detections(
        np.float32([[20, 20, 60, 50]]), np.float32([0.9]), np.array([3]),
        masks=Masks((part,), np.array([[20, 20]]), 80, 60))
    drawn = draw_detections(picture, found, ['a', 'b', 'c', 'd'])
    tint = np.rint(100 * 0.6 + np.array(class_color(3)) * 0.4).astype(np.uint8)
    assert (drawn[30:40, 28:35] == tint).all()
    assert (drawn[30:40, 39] == class_color(3)).all()
    assert (drawn[30:40, 42:55] == 100).all() and (picture == 100).all()
    plain = draw_detections(picture, Detections(found.boxes, found.scores, found.class_indices), [])
    assert (plain[30:40, 28:35] == 100).all()


def test_predict_draws_them(tmp_path):
    path = color_segmenter(tmp_path / 'm.onnx')
    # The boxes and labels of small images cover much: enlarged, the inside of the blue cell is free.
    big = cv2.resize(squares(), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / 'i.png'), big)
    source, folder = str(tmp_path / 'i.png'), str(tmp_path / 'out')
    assert main(['predict', str(path), source, '--draw', folder, '--backend', 'onnxruntime']) == 0
    drawn = cv2.imread(str(tmp_path / 'out' / 'i_000000.png'))
    tint = np.rint(np.array([255, 0, 0]) * 0.6 + np.array(class_color(2)) * 0.4)
    # Row 47 of 64, the last one of the box, is under its line; the middle of the cell is not under the label.
    np.testing.assert_allclose(drawn[350, 700], tint, atol=1)
