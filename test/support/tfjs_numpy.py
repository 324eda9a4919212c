# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a TensorFlow.js graph with NumPy, each node as TensorFlow defines it, and decodes NanoDet cell by cell.

It knows nothing of ONNX and keeps every Transpose, so it is an independent reference for the converter.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def run(graph, image):
    """Return the outputs by the name of their Identity node.

    graph: of read_graph_model; image: (1, 3, side, side) float32
    """
    values = dict(graph.weights)
    for node in graph.nodes:
        if node.kind == 'Const':
            continue
        if node.kind == 'Placeholder':
            values[node.name] = image
            continue
        given = [values[name] for name in node.inputs]
        if node.kind == 'SplitV':
            parts = np.split(given[0], np.cumsum(given[1])[:-1], int(given[2]))
            for index, part in enumerate(parts):
                values[f'{node.name}:{index}' if index else node.name] = part
        else:
            values[node.name] = _KINDS[node.kind](node, *given)
    return {node.name: values[node.name] for node in graph.nodes if node.kind == 'Identity'}


def _windows(node, image, size):
    stride = node.integers('strides')[1]
    return sliding_window_view(image, (size, size), (1, 2))[:, ::stride, ::stride]


def _convolution(node, image, kernel):
    # (1, rows, columns, channels, size, size) with (size, size, channels, filters).
    return np.tensordot(_windows(node, image, len(kernel)), kernel, ((4, 5, 3), (0, 1, 2)))


def _maxpool(node, image):
    return _windows(node, image, node.integers('ksize')[1]).max((4, 5))


def _resize(node, image, size):
    for axis, new in ((1, int(size[0])), (2, int(size[1]))):
        old = image.shape[axis]
        places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(places).astype(int)
        share = (places - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(4)])
        image = image.take(low, axis) * (1 - share) + image.take(np.minimum(low + 1, old - 1), axis) * share
    return image


def _sparse_to_dense(node, indices, shape, values, default):
    dense = np.full(shape, default)
    if len(values):
        dense[tuple(indices.T)] = values
    return dense


_KINDS = {
    'Transpose': lambda node, image, order: image.transpose(order),
    'Pad': lambda node, image, pads: np.pad(image, pads),
    'PadV2': lambda node, image, pads, value: np.pad(image, pads, constant_values=value),
    'Conv2D': _convolution, 'MaxPool': _maxpool, 'ResizeBilinear': _resize, 'SparseToDense': _sparse_to_dense,
    'Add': lambda node, a, b: a + b, 'AddV2': lambda node, a, b: a + b,
    'LeakyRelu': lambda node, image: np.where(image < 0, image * np.float32(node.number('alpha', 0.2)), image),
    'ConcatV2': lambda node, *given: np.concatenate(given[:-1], int(given[-1])),
    'Sigmoid': lambda node, image: 1 / (1 + np.exp(-image)),
    'Reshape': lambda node, image, shape: image.reshape(shape),
    'Identity': lambda node, image: image,
}


def decode(outputs, side, bins=11):
    """Return boxes (N, 4) as x_min, y_min, x_max, y_max in input pixels, and scores (N, classes), finest stride first.

    outputs: of `run`; each is (1, cells, classes) or (1, cells, 4 * bins)
    """
    def by_stride(is_box):
        return sorted((value[0] for value in outputs.values() if (value.shape[2] == 4 * bins) == is_box), key=len)[::-1]

    boxes, scores = [], []
    for distances, level in zip(by_stride(True), by_stride(False)):
        columns = round(len(level) ** 0.5)
        stride = side // columns
        for index, row in enumerate(distances.astype(np.float64)):
            x, y = (index % columns + 0.5) * stride, (index // columns + 0.5) * stride
            likely = np.exp(row.reshape(4, bins) - row.max())
            left, top, right, bottom = (likely / likely.sum(1, keepdims=True)) @ np.arange(bins) * stride
            boxes.append((x - left, y - top, x + right, y + bottom))
        scores.append(level)
    return np.array(boxes), np.concatenate(scores)


def corners(output):
    """Return boxes and scores as `decode` does, from the output [1, 4 + classes, cells] of the ONNX model."""
    x, y, width, height = output[0, :4]
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1), output[0, 4:].T
