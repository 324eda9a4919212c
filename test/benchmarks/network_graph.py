# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Convolutional networks as ONNX graphs, layer by layer, with random weights."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """An ONNX graph that is built layer by layer."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def op(self, kind: str, inputs: list[str], outputs: int = 1, **attributes: object) -> list[str]:
        names = [f'{kind.lower()}_{len(self.nodes)}_{i}' for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def constant(self, value: np.ndarray) -> str:
        name = f'weight_{len(self.weights)}'
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def conv(
        self, x: str, cin: int, cout: int, kernel: int = 1, stride: int = 1, act: bool = True, offset: float = 0.0,
        pad: int | None = None,
    ) -> str:
        spread = (2.0 / (cin * kernel * kernel)) ** 0.5
        weight = self._random.normal(0, spread, (cout, cin, kernel, kernel)).astype(np.float32)
        bias = np.full(cout, offset, np.float32)
        y = self.op(
            'Conv', [x, self.constant(weight), self.constant(bias)], kernel_shape=[kernel, kernel],
            strides=[stride, stride], pads=[kernel // 2 if pad is None else pad] * 4)[0]
        return self.op('Mul', [y, self.op('Sigmoid', [y])[0]])[0] if act else y

    def sppf(self, x: str, channels: int) -> str:
        """Spatial pyramid pooling of YOLOv5 and YOLOv8: three poolings in a chain, with all results concatenated."""
        y = [self.conv(x, channels, channels // 2)]
        for _ in range(3):
            y.append(self.op('MaxPool', [y[-1]], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4)[0])
        return self.conv(self.op('Concat', y, axis=1)[0], 2 * channels, channels)

    def upsample(self, x: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        return self.op('Resize', [x, '', scales], mode='nearest')[0]
