# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds out whether int8 arithmetic is exact on this CPU, and with which weights.

x86-64 CPUs without VNNI multiply uint8 by int8 with an instruction that adds two products in 16 bits and saturates.
Weights of 7 bits cannot exceed that. The computation itself tells, so no list of CPUs is needed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dependencies import require
from ..tensors.onnx_constants import constants_of
from .backend import load_session, run_session

# Enough for the kernels that compute several channels at once.
_CHANNELS = 32
_EXPECTED = 200
_SEVERITY_FATAL = 4
_INT8 = 3  # TensorProto.INT8
# Two products of it with 255 fit in 16 bits.
_LARGEST_OF_7_BITS = 64


@functools.cache
def exact_weight_bits() -> int:
    """Return the bits of int8 weights with which a convolution of uint8 is exact here: 8, or 7 if sums saturate.

    Raises ModelError or EngineError if ONNX Runtime does not run such a convolution.
    """
    found = _convolved()
    return 8 if bool(np.all(found == _EXPECTED)) else 7


def _convolved() -> np.ndarray:
    """Return the sums of 32 products of 255 and 127, scaled to 200 if they are exact: [1, 32, 4, 4] uint8."""
    onnx = require('onnx')
    helper, to_tensor = onnx.helper, onnx.numpy_helper.from_array
    values = {
        'one': np.float32(1), 'none': np.uint8(0), 'ones': np.ones(_CHANNELS, np.float32),
        'nones': np.zeros(_CHANNELS, np.int8), 'scale': np.float32(_CHANNELS * 255 * 127 / _EXPECTED),
        'weights': np.full((_CHANNELS, _CHANNELS, 1, 1), 127, np.int8)}
    shape = [1, _CHANNELS, 4, 4]
    graph = helper.make_graph(
        [helper.make_node(
            'QLinearConv', ['x', 'one', 'none', 'weights', 'ones', 'nones', 'scale', 'none'], ['y'])],
        'saturation', [helper.make_tensor_value_info('x', onnx.TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info('y', onnx.TensorProto.UINT8, shape)],
        [to_tensor(np.asarray(value), name) for name, value in values.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    options = require('onnxruntime').SessionOptions()
    options.log_severity_level = _SEVERITY_FATAL
    options.intra_op_num_threads = 1
    name = 'a convolution of 8 bits'
    session = load_session(model.SerializeToString(), options, name)
    (result,) = run_session(session, ['y'], {'x': np.full(shape, 255, np.uint8)}, name)
    return result


def has_wide_weights(proto: Any) -> bool:
    """Return whether a model has int8 weights of more than 7 bits, as integers or as floats that the graph quantises.

    proto: onnx.ModelProto without external data
    """
    constants = constants_of(proto.graph)
    stored = (tensor for tensor in constants.values() if tensor.data_type == _INT8 and len(tensor.dims) > 1)
    return any(_largest(tensor) > _LARGEST_OF_7_BITS for tensor in stored) or any(
        _largest_quantised(node, constants) > _LARGEST_OF_7_BITS
        for node in proto.graph.node if node.op_type == 'QuantizeLinear')


def _largest(tensor: Any) -> float:
    return float(np.abs(require('onnx').numpy_helper.to_array(tensor).astype(np.float32)).max(initial=0))


def _largest_quantised(node: Any, constants: Mapping[str, Any]) -> float:
    """Return the largest integer that a QuantizeLinear makes of constant weights; 0 for other tensors."""
    weights, scale = (constants.get(name) for name in node.input[:2])
    if weights is None or len(weights.dims) < 2:
        return 0.0
    if scale is None:
        return math.inf
    to_array = require('onnx').numpy_helper.to_array
    values, steps = to_array(weights).astype(np.float32), to_array(scale).astype(np.float32)
    if steps.size > 1:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == 'axis'), 1)
        # Blocks of values with a scale each have as many dimensions as the weights.
        if steps.ndim > 1 or steps.size != values.shape[axis]:
            return math.inf
        steps = np.expand_dims(steps, tuple(i for i in range(values.ndim) if i != axis % values.ndim))
    return float(np.round(np.abs(values) / steps).max(initial=0))
