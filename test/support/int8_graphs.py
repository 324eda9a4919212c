# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small int8 networks with random weights, as other quantisers write them."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIZE = 8, 16


class Int8Graph:
    """Builds one; activations: np.int8 with the zero point 0, or np.uint8 with 128; bits: of the weights."""

    def __init__(self, activations=np.int8, bits=8):
        self.nodes, self.constants = [], []
        self._kind, self._top = activations, 2 ** (bits - 1) - 1
        self._random = np.random.default_rng(0)
        self._count = 0

    def constant(self, value, kind=None):
        return self._named(self.constants, lambda name: numpy_helper.from_array(np.asarray(value, kind), name))

    def node(self, operator, *inputs, **attributes):
        return self._named(self.nodes, lambda name: helper.make_node(operator, inputs, [name], name, **attributes))

    def rounded(self, tensor, scale=0.03):
        """QuantizeLinear and DequantizeLinear."""
        rule = self.constant(scale, np.float32), self.constant(0 if self._kind == np.int8 else 128, self._kind)
        return self.node('DequantizeLinear', self.node('QuantizeLinear', tensor, *rule), *rule)

    def convolved(self, tensor, channels=CHANNELS):
        """A convolution of 3x3 with a scale for each output channel."""
        weights = self._weights(channels)
        scales = (np.abs(weights).max(axis=(1, 2, 3)) / self._top).astype(np.float32)
        stored = np.round(weights / scales[:, None, None, None])
        return self.node(
            'Conv', tensor, self.node(
                'DequantizeLinear', self.constant(stored, np.int8), self.constant(scales),
                self.constant(np.zeros(CHANNELS), np.int8), axis=0), pads=[1] * 4, kernel_shape=[3, 3])

    def convolved_in_integers(self, tensor):
        """QuantizeLinear, QLinearConv and DequantizeLinear."""
        weights = self._weights(CHANNELS)
        scale = np.abs(weights).max() / self._top
        rule, result = ((
            self.constant(step, np.float32), self.constant(0 if self._kind == np.int8 else 128, self._kind))
            for step in (0.03, 0.05))
        stored = (self.constant(np.round(weights / scale), np.int8), self.constant(scale, np.float32),
                  self.constant(0, np.int8))
        made = self.node(
            'QLinearConv', self.node('QuantizeLinear', tensor, *rule), *rule, *stored, *result, pads=[1] * 4,
            kernel_shape=[3, 3])
        return self.node('DequantizeLinear', made, *result)

    def model(self, result, opset=13):
        """Return the onnx.ModelProto: x [1, 8, 16, 16] to `result` of the same shape."""
        shape = [1, CHANNELS, SIZE, SIZE]
        graph = helper.make_graph(
            self.nodes, 'int8', [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, shape)], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)])
        model.ir_version = 10
        onnx.checker.check_model(model)
        return model

    def _weights(self, channels):
        return self._random.normal(size=(CHANNELS, channels, 3, 3)) / np.sqrt(9 * channels)

    def _named(self, where, made):
        self._count += 1
        name = f't{self._count}'
        where.append(made(name))
        return name


def joined(activations, bits=8):
    """Two convolutions, Concat and a third convolution."""
    graph = Int8Graph(activations, bits)
    x = graph.rounded('x')
    both = graph.node('Concat', graph.convolved(x), graph.convolved(x), axis=1)
    return graph.model(graph.convolved(graph.rounded(both), 2 * CHANNELS))


def of_integers(activations, bits=8):
    """The same with QLinearConv in place of the first two."""
    graph = Int8Graph(activations, bits)
    both = graph.node('Concat', graph.convolved_in_integers('x'), graph.convolved_in_integers('x'), axis=1)
    return graph.model(graph.convolved(graph.rounded(both), 2 * CHANNELS))


def values():
    """An input."""
    return np.random.default_rng(5).normal(size=(1, CHANNELS, SIZE, SIZE)).astype(np.float32)


def exact(model):
    """Return what the file means: ONNX Runtime runs each node by itself, in float between Q/DQ nodes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    return session.run(None, {'x': values()})[0]
