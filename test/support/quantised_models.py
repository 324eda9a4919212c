# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models with a quantised input or quantised outputs, made from models with float ones as a quantiser would."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from trt_perception.model.spec import load_model
from trt_perception.pipeline.preprocess import Preprocessor

TYPES = {'uint8': 2, 'int8': 3}


def quantise_edges(path, rules, metadata=None, in_graph=True):
    """Give tensors of a model's edge another type: {name: (type, scale, zero point)}; returns the path.

    in_graph: whether DequantizeLinear and QuantizeLinear have the rules, otherwise Cast, Sub and Mul without them
    metadata: added to that of the file
    """
    model = onnx.load(str(path))
    graph = model.graph
    for name, (kind, scale, zero) in rules.items():
        is_input = any(value.name == name for value in graph.input)
        inner = f'{name}_inner'
        for node in graph.node:
            for names in (node.input, node.output):
                for index, tensor in enumerate(names):
                    if tensor == name:
                        names[index] = inner
        graph.initializer.extend([
            numpy_helper.from_array(np.float32(scale), f'{name}_scale'),
            numpy_helper.from_array(np.array(zero, kind), f'{name}_zero'),
            numpy_helper.from_array(np.float32(zero), f'{name}_zero_float')])
        if is_input:
            graph.node.insert(0, helper.make_node(
                'DequantizeLinear', [name, f'{name}_scale', f'{name}_zero'], [inner], f'{name}_dequantise'))
            if not in_graph:
                del graph.node[0]
                for node in reversed([
                        helper.make_node('Cast', [name], [f'{name}_cast'], to=1),
                        helper.make_node('Sub', [f'{name}_cast', f'{name}_zero_float'], [f'{name}_less']),
                        helper.make_node('Mul', [f'{name}_less', f'{name}_scale'], [inner])]):
                    graph.node.insert(0, node)
        elif in_graph:
            graph.node.append(helper.make_node(
                'QuantizeLinear', [inner, f'{name}_scale', f'{name}_zero'], [name], f'{name}_quantise'))
        else:
            graph.node.extend([
                helper.make_node('Div', [inner, f'{name}_scale'], [f'{name}_ratio']),
                helper.make_node('Add', [f'{name}_ratio', f'{name}_zero_float'], [f'{name}_moved']),
                helper.make_node('Round', [f'{name}_moved'], [f'{name}_rounded']),
                helper.make_node('Cast', [f'{name}_rounded'], [name], to=TYPES[kind])])
        for value in (*graph.input, *graph.output):
            if value.name == name:
                value.type.tensor_type.elem_type = TYPES[kind]
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def quantised_inside(path, target, frames, kind, symmetric):
    """Quantise the convolutions of a model by ONNX Runtime's quantiser; returns the target.

    kind: 'QUInt8' or 'QInt8', of the activations; symmetric: whether their zero points are 0
    """
    from onnxruntime import quantization

    spec = load_model(path)
    preprocess = Preprocessor(spec)

    class Inputs(quantization.CalibrationDataReader):
        def __init__(self):
            self._inputs = iter([{spec.input_name: preprocess(frame)[0].copy()} for frame in frames])

        def get_next(self):
            return next(self._inputs, None)

    quantization.quantize_static(
        str(path), str(target), Inputs(), op_types_to_quantize=['Conv'],
        activation_type=getattr(quantization.QuantType, kind), weight_type=quantization.QuantType.QInt8,
        extra_options={'ActivationSymmetric': symmetric})
    return target


def without_first_node(path, target):
    """Give a quantised model the integers of its first QuantizeLinear as input; returns the target."""
    model = onnx.load(str(path))
    graph = model.graph
    name = graph.input[0].name
    first = next(node for node in graph.node if node.op_type == 'QuantizeLinear' and node.input[0] == name)
    for node in graph.node:
        for index, tensor in enumerate(node.input):
            if tensor == first.output[0]:
                node.input[index] = name
    zeros = {tensor.name: tensor.data_type for tensor in graph.initializer}
    graph.node.remove(first)
    graph.input[0].type.tensor_type.elem_type = zeros[first.input[2]]
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return target
