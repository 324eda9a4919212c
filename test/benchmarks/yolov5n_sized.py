# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes an ONNX file of YOLOv5n's size: the layers of its export, with random weights.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/yolov5n_sized.py FILE [SIZE [dynamic]]

`dynamic`: with a dynamic batch; the same weights and the same results.

The structure is the published YOLOv5 6.x architecture (depth 0.33, width 0.25, COCO anchors): 1.87 M parameters and 4.5
GFLOPs at 640x640, output [1, 25200, 5 + 80]. It is for measuring time, memory and the agreement of two runs of the same
file; its detections have no meaning. The weights are normalised on the shipped photos (normalised_weights.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from network_graph import Graph
from onnx import TensorProto, helper, numpy_helper

# Width and height in pixels, by stride; the published anchors for COCO.
ANCHORS = {
    8: ((10, 13), (16, 30), (33, 23)), 16: ((30, 61), (62, 45), (59, 119)), 32: ((116, 90), (156, 198), (373, 326))}
# Mean and standard deviation of the last layers' outputs before the sigmoid: box, objectness, class.
BOX, OBJECTNESS, CLASS = (0.0, 0.7), (-3.8, 0.9), (-2.5, 0.7)


class Yolov5Graph(Graph):
    """A graph with the blocks of YOLOv5."""

    def c3(self, x: str, cin: int, cout: int, depth: int, shortcut: bool) -> str:
        half = cout // 2
        y = self.conv(x, cin, half)
        for _ in range(depth):
            z = self.conv(self.conv(y, half, half), half, half, 3)
            y = self.op('Add', [y, z])[0] if shortcut else z
        return self.conv(self.op('Concat', [y, self.conv(x, cin, half)], axis=1)[0], cout, cout)

    def head(self, x: str, channels: int, stride: int, size: int, classes: int) -> str:
        """Boxes of one stride in input pixels, decoded as in the export: 2s - 0.5 + cell, (2s)^2 anchor."""
        cells, columns = size // stride, 5 + classes
        y = self.conv(x, channels, 3 * columns, act=False)
        y = self.op('Reshape', [y, self.constant(np.array([1, 3, columns, cells, cells], np.int64))])[0]
        y = self.op('Sigmoid', [self.op('Transpose', [y], perm=[0, 1, 3, 4, 2])[0]])[0]
        parts = self.constant(np.array([2, 2, 1 + classes], np.int64))
        centre, extent, scores = self.op('Split', [y, parts], 3, axis=4)
        two = self.constant(np.array(2, np.float32))
        grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).astype(np.float32) - 0.5
        grid = np.broadcast_to(grid, (1, 3, cells, cells, 2)).copy()
        centre = self.op('Add', [self.op('Mul', [centre, two])[0], self.constant(grid)])[0]
        centre = self.op('Mul', [centre, self.constant(np.array(stride, np.float32))])[0]
        anchors = np.array(ANCHORS[stride], np.float32)[None, :, None, None]
        anchors = np.broadcast_to(anchors, (1, 3, cells, cells, 2)).copy()
        extent = self.op('Pow', [self.op('Mul', [extent, two])[0], two])[0]
        extent = self.op('Mul', [extent, self.constant(anchors)])[0]
        y = self.op('Concat', [centre, extent, scores], axis=4)[0]
        return self.op('Reshape', [y, self.constant(np.array([1, 3 * cells * cells, columns], np.int64))])[0]


def build(size: int = 640, classes: int = 80) -> onnx.ModelProto:
    """Return the model for a size x size input."""
    # Not at the top: yolov5n_torch.py runs without OpenCV and ONNX Runtime.
    from normalised_weights import SIZE, normalise

    model = graph_of(size, classes)
    mean, spread = np.array(([BOX] * 4 + [OBJECTNESS] + [CLASS] * classes) * 3).T
    normalise(model, graph_of(SIZE, classes), lambda _, channels: (mean, spread) if channels == len(mean) else None)
    return model


def graph_of(size: int, classes: int) -> onnx.ModelProto:
    """Return the model with random weights that are not normalised."""
    g = Yolov5Graph()
    x = g.conv('images', 3, 16, 6, 2, pad=2)
    x = g.c3(g.conv(x, 16, 32, 3, 2), 32, 32, 1, True)
    p3 = g.c3(g.conv(x, 32, 64, 3, 2), 64, 64, 2, True)
    p4 = g.c3(g.conv(p3, 64, 128, 3, 2), 128, 128, 3, True)
    p5 = g.sppf(g.c3(g.conv(p4, 128, 256, 3, 2), 256, 256, 1, True), 256)
    t5 = g.conv(p5, 256, 128)
    n4 = g.c3(g.op('Concat', [g.upsample(t5), p4], axis=1)[0], 256, 128, 1, False)
    t4 = g.conv(n4, 128, 64)
    n3 = g.c3(g.op('Concat', [g.upsample(t4), p3], axis=1)[0], 128, 64, 1, False)
    m4 = g.c3(g.op('Concat', [g.conv(n3, 64, 64, 3, 2), t4], axis=1)[0], 128, 128, 1, False)
    m5 = g.c3(g.op('Concat', [g.conv(m4, 128, 128, 3, 2), t5], axis=1)[0], 256, 256, 1, False)
    maps = [g.head(n3, 64, 8, size, classes), g.head(m4, 128, 16, size, classes), g.head(m5, 256, 32, size, classes)]
    g.nodes.append(helper.make_node('Concat', maps, ['output0'], axis=1))
    boxes = sum(3 * (size // stride) ** 2 for stride in ANCHORS)
    graph = helper.make_graph(
        g.nodes, 'yolov5n_sized',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT, [1, boxes, 5 + classes])],
        g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    helper.set_model_props(model, {'names': str({i: f'class{i}' for i in range(classes)}), 'task': 'detect'})
    return model


def with_dynamic_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let the model take any number of images: only the targets of its reshapes name the batch."""
    targets = {node.input[1] for node in model.graph.node if node.op_type == 'Reshape'}
    for constant in model.graph.initializer:
        if constant.name in targets:
            sizes = numpy_helper.to_array(constant).copy()
            sizes[0] = -1
            constant.CopyFrom(numpy_helper.from_array(sizes, constant.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'batch'
    return model


if __name__ == '__main__':
    made = build(*map(int, sys.argv[2:3]))
    onnx.save(with_dynamic_batch(made) if sys.argv[3:] == ['dynamic'] else made, str(Path(sys.argv[1])))
