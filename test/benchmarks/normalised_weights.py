# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Scales random weights on the shipped photos, as batch normalisation would do.

So the activations are as large as in a trained network, and some boxes of a photo pass the score threshold. The boxes
have no meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
# Statistics from a small input give the same weights as from a large one, in a tenth of the time.
SIZE = 320
# (name of the convolution's weights, number of its channels) -> mean and spread of each channel, None for 0 and 1.
Wanted = Callable[[str, int], 'tuple[np.ndarray, np.ndarray] | None']


def normalise(model: onnx.ModelProto, small: onnx.ModelProto, wanted: Wanted) -> None:
    """Replace the model's weights.

    small: the same network for a SIZE x SIZE input
    """
    weights = _normalised(small, wanted)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    onnx.checker.check_model(model)


def _normalised(model: onnx.ModelProto, wanted: Wanted) -> dict[str, np.ndarray]:
    """Return the convolutions' weights by name, scaled and shifted to the wanted mean and spread of each channel.

    One convolution after the other, because the input of each one depends on the previous ones. A convolution without
    bias stays.
    """
    images = _images()
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    done: dict[str, np.ndarray] = {}
    for node in [node for node in model.graph.node if node.op_type == 'Conv' and len(node.input) > 2]:
        values = _values(model, node.output[0], images)
        mean, spread = values.mean((0, 2, 3)), values.std((0, 2, 3))
        weight, bias = node.input[1], node.input[2]
        wanted_mean, wanted_spread = wanted(weight, len(mean)) or (np.zeros(len(mean)), np.ones(len(mean)))
        gain = wanted_spread / np.maximum(spread, 1e-6)
        done[weight] = (weights[weight] * gain[:, None, None, None]).astype(np.float32)
        done[bias] = ((weights[bias] - mean) * gain + wanted_mean).astype(np.float32)
        for tensor in model.graph.initializer:
            if tensor.name in (weight, bias):
                tensor.CopyFrom(numpy_helper.from_array(done[tensor.name], tensor.name))
    return done


def _images() -> list[np.ndarray]:
    images = []
    for path in sorted(PHOTOS.glob('*.jpg')):
        # The middle of the photo at the network's usual size, because the scale of textures matters.
        pixels = cv2.resize(cv2.imread(str(path)), (2 * SIZE,) * 2)
        first = SIZE // 2
        pixels = pixels[first:-first, first:-first]
        images.append(pixels[np.newaxis, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return images


def _values(model: onnx.ModelProto, name: str, images: list[np.ndarray]) -> np.ndarray:
    """Return one tensor inside the network for all images, concatenated."""
    needed, nodes = {name}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    graph = helper.make_graph(
        nodes[::-1], 'part', model.graph.input, [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        [tensor for tensor in model.graph.initializer if tensor.name in needed])
    part = helper.make_model(graph, opset_imports=model.opset_import)
    part.ir_version = model.ir_version
    session = onnxruntime.InferenceSession(part.SerializeToString(), providers=['CPUExecutionProvider'])
    return np.concatenate([session.run(None, {'images': image})[0] for image in images])
