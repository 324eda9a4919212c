# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Heads whose boxes the network does not decode, and those with further columns: an independent decode agrees.

The networks are 96x64; the image has the same size and is not resized, so boxes are compared in its pixels.
"""

import json

import numpy as np
import onnx
import pytest
from support.also_openvino import assert_same_with_openvino
from support.family_models import family_model
from support.recording_monitor import Told

from trt_perception.backends.create import create_pipeline
from trt_perception.cli.main import main
from trt_perception.errors import ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.detection import DetectionSettings
from trt_perception.model.normalisation import Preprocessing
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.options import PipelineOptions

WIDTH, HEIGHT = 96, 64


def opened(path, options=None, iou=0.45, monitor=None):
    settings = PostprocessSettings(DetectionSettings(iou_threshold=iou))
    frame = Frame.from_bgr(np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    model = load_model(path, options)
    with create_pipeline(model, PipelineOptions('onnxruntime', num_threads=1), settings, monitor) as pipeline:
        result, spec = pipeline.run(frame).result, pipeline.spec
    assert_same_with_openvino(model, settings, frame, result)
    return result, spec


def assert_detections(found, expected):
    """expected: rows of x_min, y_min, x_max, y_max (clipped here), score, class; best first."""
    expected = np.array(expected, np.float64)
    assert found.class_indices.tolist() == expected[:, 5].tolist()
    np.testing.assert_allclose(found.scores, expected[:, 4], atol=0.005)
    np.testing.assert_allclose(found.boxes, np.clip(expected[:, :4], 0, [WIDTH, HEIGHT] * 2), atol=0.5)


def places(strides):
    """(column, row, stride) of each cell, finest first, row by row."""
    return [
        (column, row, stride) for stride in strides for row in range(HEIGHT // stride)
        for column in range(WIDTH // stride)]


# YOLOX


def yolox_rows(cells, classes=3):
    random = np.random.default_rng(0)
    rows = np.concatenate([
        random.uniform(0, 1, (len(cells), 2)), random.uniform(0, 0.6, (len(cells), 2)),
        np.full((len(cells), 1 + classes), 0.02)], 1)
    rows[20, 4:] = 0.9, 0.1, 0.8, 0.2
    rows[100, 4:] = 1.0, 0.5, 0.1, 0.2
    return rows


def test_yolox_without_decoding(tmp_path):
    cells = places((8, 16, 32))
    rows = yolox_rows(cells)
    expected = []
    for place, score, index in ((20, 0.72, 1), (100, 0.5, 0)):
        column, row, stride = cells[place]
        x, y, w, h = rows[place, :4]
        x, y, w, h = (x + column) * stride, (y + row) * stride, np.exp(w) * stride, np.exp(h) * stride
        expected.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2, score, index])
    path = family_model(tmp_path / 'm.onnx', {'output': rows[np.newaxis].astype('f4')})
    found, spec = opened(path)
    assert_detections(found, expected)
    assert spec.head.kind == 'yolox'
    assert spec.preprocessing == Preprocessing(color_order='bgr', scale=1.0)


def test_decoded_yolox_keeps_its_head(tmp_path):
    cells = np.array(places((8, 16, 32)), np.float64)
    rows = yolox_rows(cells)
    rows[:, :2] = (cells[:, :2] + 0.5) * cells[:, 2:]
    rows[:, 2:4] = cells[:, 2:] * 1.5
    found, spec = opened(family_model(tmp_path / 'm.onnx', {'output': rows[np.newaxis].astype('f4')}))
    assert spec.head.kind == 'yolov5' and len(found) == 2


# NanoDet


@pytest.mark.parametrize('strides, offset, mode', [((8, 16, 32, 64), 0.0, 'stretch'), ((8, 16, 32), 0.5, 'letterbox')])
@pytest.mark.parametrize('bins, names', [(8, None), (11, ['a', 'b', 'c'])])
def test_nanodet(tmp_path, strides, offset, mode, bins, names):
    cells = places(strides)
    # At 64 rows there is one cell of stride 64 and a half: ceil(96 / 64) = 2 columns.
    cells = [cell for cell in cells if cell[2] != 64] + ([(0, 0, 64), (1, 0, 64)] if 64 in strides else [])
    classes = 80 if names is None else 3
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (len(cells), 4, bins))
    scores = np.full((len(cells), classes), 0.01)
    scores[30, 2], scores[len(cells) - 1, 1] = 0.9, 0.6
    expected = []
    for place, score, index in ((30, 0.9, 2), (len(cells) - 1, 0.6, 1)):
        column, row, stride = cells[place]
        left, top, right, bottom = (
            sum(k * np.exp(v) for k, v in enumerate(side)) / sum(np.exp(side)) * stride for side in values[place])
        x, y = (column + offset) * stride, (row + offset) * stride
        expected.append([x - left, y - top, x + right, y + bottom, score, index])
    rows = np.concatenate([scores, values.reshape(len(cells), -1)], 1)
    path = family_model(
        tmp_path / 'm.onnx', {'output': rows[np.newaxis].astype('f4')}, metadata={'names': names} if names else None)
    found, spec = opened(path)
    assert_detections(found, expected)
    assert spec.head.kind == 'nanodet'
    assert (spec.preprocessing.color_order, spec.preprocessing.resize_mode) == ('bgr', mode)
    assert spec.preprocessing.mean == (103.53, 116.28, 123.675)


# Raw maps with anchors


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def reference(layout, maps, anchors, classes):
    """All boxes of raw maps (A, h, w, 5 + C), one after the other, in Python's loops."""
    found = []
    for values, group in zip(maps, anchors):
        count, height, width, _ = values.shape
        for anchor in range(count):
            for row in range(height):
                for column in range(width):
                    x, y, w, h, objectness, *logits = values[anchor, row, column].tolist()
                    stride_x, stride_y = WIDTH / width, HEIGHT / height
                    if layout == 'yolov5':
                        x, y = (2 * sigmoid(x) - 0.5 + column) * stride_x, (2 * sigmoid(y) - 0.5 + row) * stride_y
                        w, h = (2 * sigmoid(w)) ** 2 * group[anchor][0], (2 * sigmoid(h)) ** 2 * group[anchor][1]
                    else:
                        x, y = (sigmoid(x) + column) * stride_x, (sigmoid(y) + row) * stride_y
                        w, h = np.exp(w) * group[anchor][0], np.exp(h) * group[anchor][1]
                    best = int(np.argmax(logits))
                    probability = (
                        np.exp(logits[best]) / sum(np.exp(logits)) if layout == 'yolov2' else sigmoid(logits[best]))
                    found.append([
                        x - w / 2, y - h / 2, x + w / 2, y + h / 2, sigmoid(objectness) * probability, best])
    assert len(logits) == classes
    return sorted((row for row in found if row[4] >= 0.25), key=lambda row: -row[4])


@pytest.mark.parametrize('layout', ['yolov2', 'yolov3', 'yolov5'])
@pytest.mark.parametrize('form', ['4 dimensions', '5 dimensions'])
def test_raw_maps(tmp_path, layout, form):
    random = np.random.default_rng(3)
    shapes = [(5, 2, 3)] if layout == 'yolov2' else [(3, 8, 12), (3, 4, 6)]
    anchors = [[[10 + 6 * i, 8 + 5 * i] for i in range(shape[0])] for shape in shapes]
    maps = [random.normal(0, 1, (*shape, 5 + 4)).astype('f4') for shape in shapes]
    for values in maps:
        values[..., 4] -= 3
    maps[0][1, 1, 2, 4:] = [3, 0, 4, 0, 0]
    maps[-1][2, 0, 1, 4:] = [4, 5, 0, 0, 0]
    outputs = {
        f'map{i}': values[np.newaxis] if form == '5 dimensions' else values.transpose(0, 3, 1, 2).reshape(
            1, -1, *values.shape[1:3]) for i, values in enumerate(maps)}
    path = family_model(
        tmp_path / 'm.onnx', outputs,
        metadata={'trt_perception.head': json.dumps({'layout': layout, 'anchors': anchors})})
    found, spec = opened(path, iou=1.0)
    expected = reference(layout, maps, anchors, 4)
    assert len(expected) >= 2 and spec.head.kind == 'anchors' and spec.head.num_classes == 4
    assert_detections(found, expected)


@pytest.mark.parametrize('text, problem', [
    ('[1', r'metadata trt_perception\.head is \[1: expected {"layout"'),
    ('{"layout": "yolov9", "anchors": [[[1, 2]]]}', 'expected {"layout": "yolov2", "yolov3" or "yolov5"'),
    ('{"layout": "yolov3", "anchors": [[[1, -2]]]}', 'expected {"layout"'),
    ('{"layout": "yolov3", "anchors": [[[1, 2]], [[1, 2]]]}', r'anchors for 2 outputs, but found map \[1, 27, 8, 12\]'),
    ('{"layout": "yolov3", "anchors": [[[1, 2], [3, 4]]]}', r'anchors .* do not fit: found map \[1, 27, 8, 12\]'),
])
def test_anchors_that_do_not_fit_are_refused(tmp_path, text, problem):
    path = family_model(
        tmp_path / 'm.onnx', {'map': np.zeros((1, 27, 8, 12), 'f4')}, metadata={'trt_perception.head': text})
    with pytest.raises(ModelError, match=problem):
        load_model(path)


def test_maps_of_another_shape_than_the_file_declares_are_refused(tmp_path):
    path = family_model(
        tmp_path / 'm.onnx', {'map': np.zeros((1, 24, 8, 12), 'f4')},
        metadata={'trt_perception.head': '{"layout": "yolov3", "anchors": [[[9, 9], [8, 8], [7, 7]]]}'})
    proto = onnx.load(str(path))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 27
    onnx.save(proto, str(path))
    with pytest.raises(ModelError, match=r"gives \[1, 24, 8, 12\] in 'map', not what the file declares: expected 9 "):
        opened(path)


def test_maps_without_anchors_are_told_where_to_write_them(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {'grid': np.zeros((1, 125, 8, 12), 'f4')})
    with pytest.raises(ModelError, match=r'write its anchors into the metadata \(models/README\.md\)'):
        load_model(path)


# Further columns


def dense_columns(classes, further, layout, objects):
    """(1, K, N) or (1, N, K): a box of 14x10 for each cell of the strides 8, 16, 32; YOLOv5 has three for each."""
    cells = places((8, 16, 32)) * (3 if layout == 'yolov5' else 1)
    objectness = layout == 'yolov5'
    rows = np.zeros((len(cells), 4 + objectness + classes + further), 'f4')
    rows[:, :4] = [[(c + 0.5) * s, (r + 0.5) * s, 14, 10] for c, r, s in cells]
    rows[:, 4:4 + objectness + classes] = 0.02
    rows[:, 4 + objectness + classes:] = np.random.default_rng(0).normal(0, 30, (len(cells), further))
    expected = []
    for place, score, index in objects:
        rows[place, 4 + objectness + index] = score
        if objectness:
            rows[place, 4] = 1.0
        x, y, w, h = rows[place, :4]
        expected.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2, score, index])
    return rows[np.newaxis] if objectness else np.ascontiguousarray(rows.T)[np.newaxis], expected


OBJECTS = ((20, 0.9, 1), (60, 0.6, 0))


@pytest.mark.parametrize('layout', ['yolov8', 'yolov5'])
@pytest.mark.parametrize('metadata', [{'names': ['a', 'b'], 'task': 'segment'}, {'names': ['a', 'b']}, {}])
def test_the_boxes_of_segmentation(tmp_path, layout, metadata):
    rows, expected = dense_columns(2, 32, layout, OBJECTS)
    told = Told()
    path = family_model(
        tmp_path / 'm.onnx', {'output0': rows, 'output1': np.zeros((1, 32, 16, 24), 'f4')}, metadata=metadata)
    found, spec = opened(path, monitor=told.monitor)
    assert_detections(found, expected)
    assert spec.head.kind == 'segment' and spec.task == 'detection'
    assert [text for severity, text in told.log if severity == 'info'] == [
        'm.onnx is a segmentation model of YOLOv5 or Ultralytics: its masks are computed while they are wanted']


@pytest.mark.parametrize('metadata', [
    {'names': ['person', 'cat'], 'task': 'pose', 'head': 'Pose'}, {'task': 'pose', 'kpt_shape': '[17, 3]'}])
def test_the_boxes_of_pose(tmp_path, metadata):
    rows, expected = dense_columns(2, 51, 'yolov8', OBJECTS)
    found, spec = opened(family_model(tmp_path / 'm.onnx', {'output0': rows}, metadata=metadata))
    assert_detections(found, expected)
    assert spec.head.kind == 'pose' and spec.head.num_classes == 2


def test_the_upright_box_around_an_oriented_box(tmp_path):
    rows, _ = dense_columns(2, 1, 'yolov8', OBJECTS)
    rows[0, -1] = np.pi / 2
    rows[0, -1, 60] = np.pi / 6
    found, spec = opened(family_model(
        tmp_path / 'm.onnx', {'output0': rows}, metadata={'names': ['a', 'b'], 'task': 'obb'}))
    expected = []
    for place, score, index in OBJECTS:
        x, y, w, h, angle = *rows[0, :4, place].tolist(), float(rows[0, -1, place])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2 @ turn.T + [x, y]
        expected.append([*corners.min(axis=0), *corners.max(axis=0), score, index])
    assert_detections(found, expected)
    assert spec.head.kind == 'obb'


@pytest.mark.parametrize('task, further', [('segment', 32), ('pose', 51), ('obb', 1)])
def test_further_columns_after_nms(tmp_path, task, further):
    rows = np.zeros((1, 50, 6 + further), 'f4')
    rows[0, :2, :6] = [10, 8, 40, 30, 0.9, 1], [50, 20, 30, 20, 0.6, 0]
    if task != 'obb':
        rows[0, 1, 2:4] = 80, 40
    outputs = {'output0': rows}
    if task == 'segment':
        outputs['output1'] = np.zeros((1, 32, 16, 24), 'f4')
    path = family_model(
        tmp_path / 'm.onnx', outputs, metadata={'names': ['a', 'b'], 'task': task, 'end2end': 'True'})
    found, spec = opened(path)
    boxes = [[10, 8, 40, 30], [50, 20, 80, 40]] if task != 'obb' else [[-10, -7, 30, 23], [35, 10, 65, 30]]
    assert_detections(found, [[*boxes[0], 0.9, 1], [*boxes[1], 0.6, 0]])
    assert spec.head.kind == task


def test_a_pose_model_without_a_number_of_key_points_is_refused(tmp_path):
    rows, _ = dense_columns(2, 51, 'yolov8', OBJECTS)
    path = family_model(tmp_path / 'm.onnx', {'output0': rows}, metadata={'task': 'pose'})
    with pytest.raises(ModelError, match=r'this looks like a pose model of Ultralytics \(task: pose'):
        load_model(path)


@pytest.mark.parametrize('head, further', [('segment', 32), ('pose', 51), ('obb', 1)])
def test_the_user_says_that_there_are_further_columns(tmp_path, head, further):
    rows, _ = dense_columns(2, further, 'yolov8', OBJECTS)
    path = family_model(tmp_path / 'm.onnx', {'output0': rows})
    (tmp_path / 'names.txt').write_text('a\nb\n')
    spec = load_model(path, ModelOptions(head=head, labels=str(tmp_path / 'names.txt')))
    assert (spec.head.kind, spec.head.num_classes, spec.names) == (head, 2, ('a', 'b'))


@pytest.mark.parametrize('head', ['segment', 'pose'])
def test_only_the_class_names_show_how_many_columns_are_further_ones(tmp_path, head):
    rows, _ = dense_columns(2, 51, 'yolov8', OBJECTS)
    path = family_model(tmp_path / 'm.onnx', {'output0': rows})
    with pytest.raises(ModelError, match=rf"head is set to '{head}', and the number of class names .*set labels_file"):
        load_model(path, ModelOptions(head=head))


def test_the_user_chooses_yolox(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {'output': yolox_rows(places((8, 16, 32)))[np.newaxis].astype('f4')})
    assert load_model(path, ModelOptions(head='yolox')).head.kind == 'yolox'


def test_inspect_says_what_is_not_used(tmp_path, capsys):
    rows, _ = dense_columns(2, 51, 'yolov8', OBJECTS)
    path = family_model(tmp_path / 'm.onnx', {'output0': rows}, metadata={'names': ['a', 'b'], 'task': 'pose'})
    assert main(['inspect', str(path), '--backend', 'onnxruntime']) == 0
    assert 'detection (pose); its key points are not used, only its boxes\n' in capsys.readouterr().out
