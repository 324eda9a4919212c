# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models with a quantised input or quantised outputs, made from models with float ones as a quantiser would."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

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
