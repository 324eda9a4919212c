# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Inserts QuantizeLinear and DequantizeLinear into a graph, in the form that ONNX Runtime and TensorRT fuse.

ONNX Runtime's static quantiser does the work, with the settings that TensorRT needs. In each quantised layer the input
is symmetric int8 and the weights are symmetric int8 per output channel. Outputs are not quantised, because a Q/DQ pair
would keep a convolution from fusing with its activation. Biases are not quantised. Each reader has its own Q/DQ pair.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import sys
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..advice.platform import this_platform
from ..dependencies import require
from ..errors import CalibrationError, MissingDependencyError, ModelError, one_line
from .graph import WEIGHTED, folded, opset_of, say_kernel_shapes, sort_nodes, weighted_nodes

# The first opset in which QuantizeLinear has scales per channel.
_OPSET = 13
_UINT8, _INT8 = 2, 3  # TensorProto.DataType
# onnx.save stores larger tensors (size of the Python object) as external data.
_EXTERNAL_BYTES = 1024
_TENSORRT_SETTINGS = {
    'ActivationSymmetric': True, 'QuantizeBias': False, 'DedicatedQDQPair': True,
    # Weights stay float in the file, with Q and DQ after them: all TensorRT versions accept that form.
    'AddQDQPairToWeight': True, 'OpTypesToExcludeOutputQuantization': list(WEIGHTED)}
CPU_SETTINGS = {'ActivationSymmetric': False, 'QuantizeBias': True}
OPENVINO_SETTINGS = {**_TENSORRT_SETTINGS, 'ActivationSymmetric': False, 'AddQDQPairToWeight': False}


def prepared(model: Any, name: str) -> Any:
    """Return the float model as the quantiser needs it: opset 13 or later, batch normalisations folded.

    name: of the model, for error messages
    Raises CalibrationError if the opset cannot be raised, ModelError if ONNX Runtime does not load the model.
    """
    opset = opset_of(model)
    if opset < _OPSET:
        onnx = require('onnx')
        try:
            model = onnx.version_converter.convert_version(model, _OPSET)
        except Exception as error:  # the converter's C++ exceptions
            raise CalibrationError(
                f'int8 needs opset {_OPSET} or later, found opset {opset}, and the conversion fails ({error}): export '
                f'the model with opset {_OPSET} or later') from error
    if any(node.op_type == 'BatchNormalization' for node in model.graph.node):
        model = folded(model, name)
    say_kernel_shapes(model.graph)
    return model


def insert_qdq(model: Any, thresholds: Mapping[str, float], layers: Collection[str]) -> Any:
    """Return a copy of the float model with these layers in int8, in the form that TensorRT fuses.

    thresholds: largest absolute value to represent, for each layer's input tensor
    layers: names of nodes of `weighted_nodes`
    Raises ModelError if ONNX Runtime's quantiser fails.
    """
    ranges = {name: (-value, value) for name, value in thresholds.items()}
    return quantised(model, ranges, layers, _TENSORRT_SETTINGS)


def quantised(
    model: Any, ranges: Mapping[str, tuple[float, float]], nodes: Collection[str], settings: Mapping[str, Any],
    kinds: Collection[str] = (), reduce_range: bool = False,
) -> Any:
    """Return a copy of the float model in which ONNX Runtime's quantiser put Q and DQ at these nodes.

    ranges: smallest and largest value to represent, for each tensor; settings: the quantiser's options
    kinds: operators that `nodes` may have beside WEIGHTED; reduce_range: weights in 7 bits
    Raises ModelError if the quantiser fails.
    """
    require('onnxruntime')
    try:
        quantization = require('onnxruntime.quantization')
        calibrate = require('onnxruntime.quantization.calibrate')
    except MissingDependencyError as error:
        # ONNX Runtime from 1.20 on with onnx before 1.16.
        raise _misfit(error.__cause__ or error) from error
    observed = calibrate.TensorsData(quantization.CalibrationMethod.MinMax, {
        name: (np.array(low, np.float32), np.array(high, np.float32)) for name, (low, high) in ranges.items()})
    symmetric = bool(settings['ActivationSymmetric'])
    types = quantization.QuantType
    arguments: dict[str, Any] = {
        'per_channel': True, 'reduce_range': reduce_range, 'weight_qType': types.QInt8,
        'activation_qType': types.QInt8 if symmetric else types.QUInt8, 'tensors_range': observed,
        'nodes_to_quantize': sorted(nodes), 'nodes_to_exclude': [], 'op_types_to_quantize': [*WEIGHTED, *kinds],
        'extra_options': {
            # ONNX numbers a MatMul's weights [in, out].
            'WeightSymmetric': True, 'QDQOpTypePerChannelSupportToAxis': {'MatMul': 1}, **settings}}
    if 'mode' in inspect.signature(quantization.QDQQuantizer.__init__).parameters:
        # ONNX Runtime before 1.19 requires these two arguments, and plain numbers as types.
        arguments.update(
            mode=quantization.QuantizationMode.QLinearOps, static=True,
            weight_qType=_INT8, activation_qType=_INT8 if symmetric else _UINT8)
    with contextlib.redirect_stdout(io.StringIO()), _silenced():
        try:
            arguments['model'] = _with_shapes(model)
            result = quantization.QDQQuantizer(**arguments).quantize_model()
        except Exception as error:  # asserts, ValueErrors and onnx's C++ exceptions
            if isinstance(error, (AttributeError, ImportError)) and "module 'onnx" in str(error):
                # ONNX Runtime before 1.20 with onnx 1.17 and later.
                raise _misfit(error) from error
            raise ModelError(
                f"the quantiser of ONNX Runtime {require('onnxruntime').__version__} fails on the model "
                f'({one_line(error, 300) or type(error).__name__}): export it again, keep the layers that it does not '
                'support in float, or use fp16') from error
    sort_nodes(result.graph)
    return result


def _misfit(error: BaseException) -> ModelError:
    version, onnx_version = (require(name).__version__ for name in ('onnxruntime', 'onnx'))
    reason = one_line(error, 300) or type(error).__name__
    return ModelError(
        f'the quantiser of ONNX Runtime {version} does not work with onnx {onnx_version} ({reason}): run '
        + this_platform().pip('--upgrade onnxruntime onnx'))


def _with_shapes(model: Any) -> Any:
    """Return a copy with inferred shapes and the quantiser's mark for it, so it does not infer them through TMPDIR.

    That takes longer, and a full disk would look like a bad model. Old versions ignore the mark and do it again.
    """
    inferred = require('onnx').shape_inference.infer_shapes(model)
    inferred.metadata_props.add(key='onnx.infer', value='onnxruntime.quant')
    for tensor in inferred.graph.initializer:
        # As the quantiser's own way through a file: the same bytes are the same engine, which is not built again.
        if sys.getsizeof(tensor.raw_data) >= _EXTERNAL_BYTES:
            tensor.data_location = 0
    return inferred


def quantised_layers(model: Any) -> list[str]:
    """Return the names of the weighted layers that read their weights through a DequantizeLinear."""
    dequantised = {name for node in model.graph.node if node.op_type == 'DequantizeLinear' for name in node.output}
    return [
        node.name for node in model.graph.node
        if node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in dequantised]


def read_by(model: Any, layers: Collection[str]) -> list[str]:
    """Return the names of the tensors that these layers get as inputs."""
    inputs = input_tensors(model)
    return sorted({inputs[layer] for layer in layers})


def input_tensors(model: Any) -> dict[str, str]:
    """Return the layers that can be int8: name -> name of the input tensor."""
    return {node.name: node.input[0] for node in weighted_nodes(model.graph)}


@contextlib.contextmanager
def _silenced() -> Any:
    """Silence the root logger: the quantiser logs advice about its own command line there."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
