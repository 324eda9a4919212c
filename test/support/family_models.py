# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of other exporters' signatures: the outputs are given arrays, made with ordinary operators."""

import numpy as np
from onnx import helper

from support.tiny_models import FLOAT, save

TYPES = {'float32': 1, 'uint8': 2, 'int8': 3, 'int32': 6, 'int64': 7, 'float16': 10}


def family_model(path, outputs, input_shape=(1, 3, 64, 96), metadata=None, scaled=None, open_rows=False):
    """A model with these outputs (name -> array), whatever the image shows.

    scaled: name of an output (1, N, 4) that is multiplied by the second input orig_target_sizes, int64 [1, 2]
    open_rows: declares the first dimension of each output as dynamic
    """
    nodes = [
        helper.make_node('ReduceMean', ['images'], ['mean'], keepdims=0),
        helper.make_node('Mul', ['mean', 'zero'], ['nothing'])]
    constants = {'zero': np.float32(0)}
    inputs = {'images': (FLOAT, list(input_shape))}
    if scaled:
        inputs['orig_target_sizes'] = (TYPES['int64'], ['N', 2])
        nodes += [
            helper.make_node('Cast', ['orig_target_sizes'], ['as_float'], to=FLOAT),
            helper.make_node('Concat', ['as_float', 'as_float'], ['both'], axis=1)]
    declared = {}
    for name, array in outputs.items():
        kind = TYPES[str(array.dtype)]
        last = f'{name}_sum'
        nodes.append(helper.make_node('Add', [f'{name}_values', 'nothing'], [last]))
        constants[f'{name}_values'] = array.astype(np.float32)
        if not array.size:
            # OpenVINO 2026.4 reads a constant without elements as a scalar, so one row is cut off.
            constants[f'{name}_values'] = np.zeros((1, *array.shape[1:]), np.float32)
            constants['none'] = np.zeros(1, np.int64)
            nodes.append(helper.make_node('Slice', [last, 'none', 'none'], [f'{name}_cut']))
            last = f'{name}_cut'
        if name == scaled:
            nodes.append(helper.make_node('Mul', [last, 'both'], [f'{name}_scaled']))
            last = f'{name}_scaled'
        nodes.append(helper.make_node('Cast', [last], [name], to=kind))
        shape = list(array.shape)
        if open_rows:
            # As an exporter declares it whose number of rows depends on the image.
            shape[0] = f'{name}_rows'
        declared[name] = (kind, shape)
    return save(path, nodes, inputs, declared, constants, metadata)
