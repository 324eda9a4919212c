# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts QuantizeLinear and DequantizeLinear into a graph, where ONNX Runtime and TensorRT look for them.

The work is done by ONNX Runtime's static quantiser, set as TensorRT wants it: symmetric int8 in and symmetric int8 per
output channel for the weights of each quantised layer; no quantisation of outputs (the activation after a convolution
fuses with it, and a Q/DQ pair between them would prevent that) nor of biases; a pair of its own for each reader.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import CalibrationError, ModelError, one_line
from .graph import WEIGHTED, folded, sort_nodes, weighted_nodes

# The first opset in which QuantizeLinear knows channels.
_OPSET = 13
_INT8 = 3  # TensorProto.INT8


def prepared(model: Any, name: str) -> Any:
    """Return the float model as the quantiser needs it: opset 13 or later, batch normalisations folded.

    name: what an error calls the model
    Raises CalibrationError where the opset cannot be raised, ModelError where ONNX Runtime does not take the model.
    """
    opset = max(entry.version for entry in model.opset_import if entry.domain in ('', 'ai.onnx'))
    if opset < _OPSET:
        onnx = require('onnx')
        try:
            model = onnx.version_converter.convert_version(model, _OPSET)
        except Exception as error:  # the converter's C++ exceptions
            raise CalibrationError(
                f'the model has opset {opset}, int8 needs {_OPSET} and the conversion fails ({error}): export it with '
                f'opset {_OPSET} or later') from error
    if any(node.op_type == 'BatchNormalization' for node in model.graph.node):
        model = folded(model, name)
    _say_kernel_shapes(model)
    return model


def _say_kernel_shapes(model: Any) -> None:
    """Write out the kernel_shape that ONNX lets be inferred: TensorRT 8.6 cannot, once the weights come from Q/DQ."""
    onnx = require('onnx')
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ('Conv', 'ConvTranspose') and node.input[1] in shapes and not any(
                attribute.name == 'kernel_shape' for attribute in node.attribute):
            node.attribute.append(onnx.helper.make_attribute('kernel_shape', shapes[node.input[1]][2:]))


def insert_qdq(model: Any, thresholds: Mapping[str, float], layers: Collection[str]) -> Any:
    """Return a copy of the float model with these layers in int8.

    thresholds: largest absolute value to represent of each layer's input tensor
    layers: names of nodes of `weighted_nodes`
    Raises ModelError where ONNX Runtime's quantiser fails.
    """
    require('onnxruntime')
    quantization = require('onnxruntime.quantization')
    calibrate = require('onnxruntime.quantization.calibrate')
    ranges = calibrate.TensorsData(quantization.CalibrationMethod.MinMax, {
        name: (np.array(-value, np.float32), np.array(value, np.float32)) for name, value in thresholds.items()})
    copy = type(model)()
    copy.CopyFrom(model)
    arguments: dict[str, Any] = {
        'model': copy, 'per_channel': True, 'reduce_range': False, 'weight_qType': quantization.QuantType.QInt8,
        'activation_qType': quantization.QuantType.QInt8, 'tensors_range': ranges,
        'nodes_to_quantize': sorted(layers), 'nodes_to_exclude': [], 'op_types_to_quantize': list(WEIGHTED),
        'extra_options': {
            'ActivationSymmetric': True, 'WeightSymmetric': True, 'QuantizeBias': False, 'DedicatedQDQPair': True,
            # Weights stay float in the file, with Q and DQ after them: all TensorRT versions take that form.
            'AddQDQPairToWeight': True, 'OpTypesToExcludeOutputQuantization': list(WEIGHTED),
            # ONNX numbers a MatMul's weights [in, out].
            'QDQOpTypePerChannelSupportToAxis': {'MatMul': 1}}}
    if 'mode' in inspect.signature(quantization.QDQQuantizer.__init__).parameters:
        # ONNX Runtime before 1.19 asked for these two, and for plain numbers as types.
        arguments.update(
            mode=quantization.QuantizationMode.QLinearOps, static=True,
            weight_qType=_INT8, activation_qType=_INT8)
    with contextlib.redirect_stdout(io.StringIO()), _silenced():
        try:
            result = quantization.QDQQuantizer(**arguments).quantize_model()
        except Exception as error:  # asserts, ValueErrors and onnx's C++ exceptions
            raise ModelError(
                f"the quantiser of ONNX Runtime {require('onnxruntime').__version__} fails on the model "
                f'({one_line(error, 300) or type(error).__name__}): export it again, keep layers that it does not '
                'know in float, or take fp16') from error
    sort_nodes(result.graph)
    return result


def quantised_layers(model: Any) -> list[str]:
    """Return the names of the weighted layers that read their weights through a DequantizeLinear."""
    dequantised = {name for node in model.graph.node if node.op_type == 'DequantizeLinear' for name in node.output}
    return [
        node.name for node in model.graph.node
        if node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in dequantised]


def input_tensors(model: Any) -> dict[str, str]:
    """Return for each layer that int8 can take the name of its input tensor."""
    return {node.name: node.input[0] for node in weighted_nodes(model.graph)}


@contextlib.contextmanager
def _silenced() -> Any:
    """The quantiser logs advice for its own command line through the root logger."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
