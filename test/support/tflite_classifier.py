# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the catalogue's EfficientNet-Lite0 as a float .tflite file, operator by operator.

It handles the operators of that ONNX file only: Conv with Clip as ReLU6, Add, GlobalAveragePool, Flatten, Gemm. Images
and tensors become NHWC. The ONNX file has TensorFlow's SAME padding, so the .tflite file has the same numbers.

  PYTHONPATH=test python -m support.tflite_classifier efficientnet-lite0.onnx efficientnet-lite0.tflite
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

from support.tiny_tflite import Writer

ACTIVATION = schema.ActivationFunctionType


def from_onnx(source, path):
    """Write the .tflite file with the metadata of the ONNX file; return its path."""
    model = onnx.load(str(source))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    # The result of a Conv that is clipped is only read by the Clip.
    clipped = {node.input[0]: node.output[0] for node in nodes if node.op_type == 'Clip'}
    writer, sizes = Writer(), {'images': (224, 3)}
    tensors = {'images': writer.tensor('images', [1, 224, 224, 3])}

    def made(name, size, channels):
        sizes[name] = size, channels
        tensors[name] = writer.tensor(name, [1, size, size, channels])
        return [tensors[name]]

    def constant(name, value):
        return writer.tensor(name, value.shape, value=value)

    for node in nodes:
        if node.op_type == 'Conv':
            options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
            size, _ = sizes[node.input[0]]
            stride, kernel = options['strides'][0], weights[node.input[1]]
            depthwise = options['group'] > 1
            chosen = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
            chosen.padding, chosen.strideW, chosen.strideH = schema.Padding.SAME, stride, stride
            chosen.dilationWFactor = chosen.dilationHFactor = 1
            if depthwise:
                chosen.depthMultiplier = 1
            name = clipped.get(node.output[0], node.output[0])
            chosen.fusedActivationFunction = ACTIVATION.RELU6 if name != node.output[0] else ACTIVATION.NONE
            # OIHW to OHWI; depthwise (O, 1, H, W) to (1, H, W, O).
            stored = kernel.transpose(1, 2, 3, 0) if depthwise else kernel.transpose(0, 2, 3, 1)
            inputs = [
                tensors[node.input[0]], constant(node.input[1], stored),
                constant(node.input[2], weights[node.input[2]])]
            writer.operator(
                'DEPTHWISE_CONV_2D' if depthwise else 'CONV_2D', inputs,
                made(name, -(-size // stride), kernel.shape[0]), chosen)
        elif node.op_type == 'Add':
            chosen = schema.AddOptionsT()
            chosen.fusedActivationFunction = ACTIVATION.NONE
            writer.operator(
                'ADD', [tensors[name] for name in node.input], made(node.output[0], *sizes[node.input[0]]), chosen)
        elif node.op_type == 'GlobalAveragePool':
            axes = writer.tensor('axes', [2], 'int32', value=[1, 2])
            features = writer.tensor('features', [1, sizes[node.input[0]][1]])
            writer.operator('MEAN', [tensors[node.input[0]], axes], [features], schema.ReducerOptionsT())
        elif node.op_type == 'Gemm':
            chosen = schema.FullyConnectedOptionsT()
            chosen.fusedActivationFunction = ACTIVATION.NONE
            matrix, bias = (weights[name] for name in node.input[1:])
            logits = writer.tensor('logits', [1, len(bias)])
            writer.operator(
                'FULLY_CONNECTED', [features, constant('matrix', matrix), constant('bias', bias)], [logits], chosen)
        else:
            assert node.op_type in ('Clip', 'Flatten'), node.op_type
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert np.isfinite(matrix).all()
    return writer.save(path, [tensors['images']], [logits], files={'metadata.json': json.dumps(metadata)})


if __name__ == '__main__':
    from_onnx(sys.argv[1], Path(sys.argv[2]))
