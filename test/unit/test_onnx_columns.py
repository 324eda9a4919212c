# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors with one row for each cell and without class names: the graph shows whether there is an objectness.

The graphs end as those of the exporters that the comments name.
"""

import numpy as np
import pytest
from onnx import helper
from support.tiny_models import FLOAT, save

from trt_perception.errors import ModelError
from trt_perception.model.spec import ModelOptions, load_model

SIDE = 64
STRIDES = (8, 16, 32)
ROWS = 64 + 16 + 4
CLASSES = 12


class Graph:
    """Nodes and constants; each method returns the name of its result."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def add(self, operator, *inputs, **attributes):
        name = f'{operator.lower()}{len(self.nodes)}'
        names = [self.constant(value) if isinstance(value, np.ndarray) else value for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], **attributes))
        return name

    def constant(self, array):
        name = f'constant{len(self.constants)}'
        self.constants[name] = array
        return name

    def conv(self, channels, stride):
        weights = np.random.default_rng(channels).normal(0, 0.01, (channels, 3, stride, stride)).astype(np.float32)
        return self.add('Conv', 'images', weights, strides=[stride, stride])

    def save(self, path, output, columns, metadata=None):
        self.nodes.append(helper.make_node('Identity', [output], ['output0']))
        return save(
            path, self.nodes, {'images': (FLOAT, [1, 3, SIDE, SIDE])}, {'output0': (FLOAT, [1, ROWS, columns])},
            self.constants, metadata)


def flat(graph, channels_of):
    """One row for each cell of all grids, [1, channels, N]."""
    parts = [
        graph.add('Reshape', channels_of(stride), np.array([1, -1, (SIDE // stride) ** 2])) for stride in STRIDES]
    return graph.add('Concat', *parts, axis=2)


def columns_of(graph, source, start, end, axis=2):
    return graph.add('Slice', source, np.array([start]), np.array([end]), np.array([axis]))


def in_pixels(graph, boxes):
    return graph.add('Add', graph.add('Mul', graph.add('Sigmoid', boxes), np.array(8, np.float32)), np.array(
        16, np.float32))


def yolov8(graph):
    """YOLOv8: box and classes of one convolution for each grid, split after the grids are joined."""
    whole = flat(graph, lambda stride: graph.add(
        'Concat', graph.conv(4, stride), graph.conv(CLASSES, stride), axis=1))
    graph.nodes.append(helper.make_node(
        'Split', [whole, graph.constant(np.array([4, CLASSES]))], ['boxes', 'classes'], axis=1))
    joined = graph.add('Concat', in_pixels(graph, 'boxes'), graph.add('Sigmoid', 'classes'), axis=1)
    return graph.add('Transpose', joined, perm=[0, 2, 1])


def yolov8_two_groups(graph):
    """The same with rows before columns, as converters from other frameworks write it."""
    boxes, classes = (
        graph.add('Transpose', flat(graph, lambda stride, count=count: graph.conv(count, stride)), perm=[0, 2, 1])
        for count in (4, CLASSES))
    return graph.add('Concat', in_pixels(graph, boxes), graph.add('Sigmoid', classes), axis=-1)


def yolox(graph):
    """YOLOX with --decode_in_inference, PyTorch 2: the columns behind the box are a slice."""
    whole = graph.add('Transpose', flat(graph, lambda stride: graph.add(
        'Concat', graph.conv(4, stride), graph.add('Sigmoid', graph.conv(1, stride)),
        graph.add('Sigmoid', graph.conv(CLASSES - 1, stride)), axis=1)), perm=[0, 2, 1])
    centres, sizes = columns_of(graph, whole, 0, 2), graph.add('Exp', columns_of(graph, whole, 2, 4))
    return graph.add('Concat', in_pixels(graph, centres), sizes, columns_of(graph, whole, 4, 2 ** 31), axis=2)


def yolox_scattered(graph):
    """YOLOX with --decode_in_inference, PyTorch 1: the boxes are written over the first columns."""
    whole = graph.add('Transpose', flat(graph, lambda stride: graph.add(
        'Concat', graph.conv(4, stride), graph.add('Sigmoid', graph.conv(1, stride)),
        graph.add('Sigmoid', graph.conv(CLASSES - 1, stride)), axis=1)), perm=[0, 2, 1])
    places = np.stack(np.meshgrid([0], np.arange(ROWS), np.arange(4), indexing='ij'), axis=-1)
    return graph.add('ScatterND', whole, places, in_pixels(graph, columns_of(graph, whole, 0, 4)))


def yolov6(graph):
    """YOLOv6: the objectness is 1."""
    boxes, classes = (
        graph.add('Transpose', flat(graph, lambda stride, count=count: graph.conv(count, stride)), perm=[0, 2, 1])
        for count in (4, CLASSES - 1))
    return graph.add(
        'Concat', in_pixels(graph, boxes), np.ones((1, ROWS, 1), np.float32), graph.add('Sigmoid', classes), axis=-1)


def one_convolution(graph):
    """All columns of a grid from one convolution: nothing shows what the fifth is."""
    whole = graph.add(
        'Transpose', flat(graph, lambda stride: graph.conv(4 + CLASSES, stride)), perm=[0, 2, 1])
    return graph.add(
        'Concat', in_pixels(graph, columns_of(graph, whole, 0, 4)),
        graph.add('Sigmoid', columns_of(graph, whole, 4, 99)), axis=2)


def head_of(tmp_path, build, metadata=None, **options):
    graph = Graph()
    path = graph.save(tmp_path / 'model.onnx', build(graph), 4 + CLASSES, metadata)
    return load_model(path, ModelOptions(**options)).head


@pytest.mark.parametrize('build', [yolov8, yolov8_two_groups])
def test_a_graph_without_objectness_is_a_transposed_yolov8(tmp_path, build):
    head = head_of(tmp_path, build)
    assert (head.kind, head.transposed, head.num_classes) == ('yolov8', True, CLASSES)
    assert head_of(tmp_path, build, head='yolov5').kind == 'yolov5'


@pytest.mark.parametrize('build', [yolox, yolox_scattered, yolov6])
def test_a_graph_with_objectness_is_read_with_it(tmp_path, build):
    head = head_of(tmp_path, build)
    assert (head.kind, head.num_classes) == ('yolov5', CLASSES - 1)
    # Names of as many classes as columns without the box decide, as before.
    assert head_of(tmp_path, build, {'names': dict(enumerate('abcdefghijkl'))}).kind == 'yolov8'


def test_a_graph_that_does_not_show_it_keeps_the_usual_layout(tmp_path):
    head = head_of(tmp_path, one_convolution)
    assert (head.kind, head.num_classes) == ('yolov5', CLASSES - 1)


def test_three_columns_for_each_cell_are_no_yolov8(tmp_path):
    graph = Graph()
    columns = 3 * ROWS
    zeros = graph.constant(np.zeros((1, 85, columns), np.float32))
    graph.nodes.append(helper.make_node('Identity', [zeros], ['output0']))
    path = save(
        tmp_path / 'turned.onnx', graph.nodes, {'images': (FLOAT, [1, 3, SIDE, SIDE])},
        {'output0': (FLOAT, [1, 85, columns])}, graph.constants)
    with pytest.raises(ModelError, match=r'with its last two axes exchanged.*without the Transpose'):
        load_model(path)
