# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes an ONNX file of YOLOv8n's size: its layer structure with random weights.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/yolov8n_sized.py FILE [SIZE] [normalised]

The structure is the published YOLOv8 architecture (depth 0.33, width 0.25): 3.2 M parameters and 8.7 GFLOPs at 640x640,
output [1, 4 + 80, 8400]. Its detections have no meaning.

For measuring memory and time, the class scores are biased low, so about as few candidates pass the threshold as with a
trained model. For measuring int8, `normalised` scales the weights on the shipped photos (normalised_weights.py), so
some boxes of a photo pass the threshold.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from network_graph import Graph
from normalised_weights import SIZE, normalise
from onnx import TensorProto, helper

# Mean and spread of the last layers' outputs, if normalised: 4 distributions of 16 bins, before the softmax; classes,
# before the sigmoid.
BINS, CLASS = (0.0, 2.5), (-5.5, 1.2)


class Yolov8Graph(Graph):
    """A graph with the blocks of YOLOv8."""

    def c2f(self, x: str, cin: int, cout: int, depth: int, shortcut: bool) -> str:
        half = cout // 2
        y = self.conv(x, cin, cout)
        parts = self.op('Split', [y, self.constant(np.array([half, half], np.int64))], 2, axis=1)
        for _ in range(depth):
            z = self.conv(self.conv(parts[-1], half, half, 3), half, half, 3)
            parts.append(self.op('Add', [parts[-1], z])[0] if shortcut else z)
        return self.conv(self.op('Concat', parts, axis=1)[0], half * (2 + depth), cout)


def build(size: int = 640, classes: int = 80, normalised: bool = False) -> onnx.ModelProto:
    """Return the model for a size x size input."""
    model, last = _graph(size, classes)
    if normalised:
        normalise(model, _graph(SIZE, classes)[0], lambda weight, _: last.get(weight))
    return model


def _graph(size: int, classes: int) -> tuple[onnx.ModelProto, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the model, and the wanted mean and spread of its last convolutions, by the name of their weights."""
    g = Yolov8Graph()
    last = {}
    x = g.conv('images', 3, 16, 3, 2)
    x = g.c2f(g.conv(x, 16, 32, 3, 2), 32, 32, 1, True)
    p3 = g.c2f(g.conv(x, 32, 64, 3, 2), 64, 64, 2, True)
    p4 = g.c2f(g.conv(p3, 64, 128, 3, 2), 128, 128, 2, True)
    p5 = g.sppf(g.c2f(g.conv(p4, 128, 256, 3, 2), 256, 256, 1, True), 256)
    n4 = g.c2f(g.op('Concat', [g.upsample(p5), p4], axis=1)[0], 384, 128, 1, False)
    n3 = g.c2f(g.op('Concat', [g.upsample(n4), p3], axis=1)[0], 192, 64, 1, False)
    m4 = g.c2f(g.op('Concat', [g.conv(n3, 64, 64, 3, 2), n4], axis=1)[0], 192, 128, 1, False)
    m5 = g.c2f(g.op('Concat', [g.conv(m4, 128, 128, 3, 2), p5], axis=1)[0], 384, 256, 1, False)
    maps = []
    anchors = []
    strides = []
    for source, channels, stride in ((n3, 64, 8), (m4, 128, 16), (m5, 256, 32)):
        box = g.conv(g.conv(g.conv(source, channels, 64, 3), 64, 64, 3), 64, 64, act=False)
        last[g.nodes[-1].input[1]] = np.full(64, BINS[0]), np.full(64, BINS[1])
        cls = g.conv(g.conv(g.conv(source, channels, 80, 3), 80, 80, 3), 80, classes, act=False, offset=-8.0)
        last[g.nodes[-1].input[1]] = np.full(classes, CLASS[0]), np.full(classes, CLASS[1])
        cells = size // stride
        shape = g.constant(np.array([1, 64 + classes, cells * cells], np.int64))
        maps.append(g.op('Reshape', [g.op('Concat', [box, cls], axis=1)[0], shape])[0])
        grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells))).reshape(2, -1) + 0.5
        anchors.append(grid)
        strides.append(np.full((1, cells * cells), stride))
    cells_total = sum((size // s) ** 2 for s in (8, 16, 32))
    joined = g.op('Concat', maps, axis=2)[0]
    box, cls = g.op('Split', [joined, g.constant(np.array([64, classes], np.int64))], 2, axis=1)
    box = g.op('Reshape', [box, g.constant(np.array([1, 4, 16, cells_total], np.int64))])[0]
    box = g.op('Softmax', [g.op('Transpose', [box], perm=[0, 2, 1, 3])[0]], axis=1)[0]
    weight = g.constant(np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1))
    box = g.op('Conv', [box, weight], kernel_shape=[1, 1])[0]
    box = g.op('Reshape', [box, g.constant(np.array([1, 4, cells_total], np.int64))])[0]
    near, far = g.op('Split', [box, g.constant(np.array([2, 2], np.int64))], 2, axis=1)
    anchor = g.constant(np.concatenate(anchors, 1)[np.newaxis].astype(np.float32))
    low, high = g.op('Sub', [anchor, near])[0], g.op('Add', [anchor, far])[0]
    half = g.constant(np.array(0.5, np.float32))
    centre = g.op('Mul', [g.op('Add', [low, high])[0], half])[0]
    extent = g.op('Sub', [high, low])[0]
    scale = g.constant(np.concatenate(strides, 1)[np.newaxis].astype(np.float32))
    box = g.op('Mul', [g.op('Concat', [centre, extent], axis=1)[0], scale])[0]
    g.nodes.append(helper.make_node('Concat', [box, g.op('Sigmoid', [cls])[0]], ['output0'], axis=1))
    graph = helper.make_graph(
        g.nodes, 'yolov8n_sized',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT, [1, 4 + classes, cells_total])],
        g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model, last


if __name__ == '__main__':
    onnx.save(build(*map(int, sys.argv[2:3]), normalised='normalised' in sys.argv[3:]), str(Path(sys.argv[1])))
