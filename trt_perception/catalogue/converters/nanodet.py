# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts NanoDet-g, a graph model of TensorFlow.js, to ONNX with YOLOv8's output layout.

The decoding is that of NanoDet 0.x (https://github.com/RangiLyu/nanodet, Apache-2.0, nanodet/model/head/gfl_head.py):
the distances from the centre of a cell to the four sides of the box are expectations over REG_MAX + 1 bins (Generalized
Focal Loss, https://arxiv.org/abs/2006.04388).

In the file the tensors are NCHW, with Transposes around each convolution. ONNX is NCHW everywhere: here a Transpose
only changes how TensorFlow's axes are mapped to ONNX's, and no node is written for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import ModelError
from .onnx_writer import OnnxWriter
from .tfjs_graph import TfjsGraph, TfjsNode, read_graph_model

REG_MAX = 10
STRIDES = (8, 16, 32)
_NHWC = (0, 2, 3, 1)


@dataclass(frozen=True)
class _Tensor:
    """A tensor of TensorFlow as it exists in the ONNX graph.

    shape: in ONNX, NCHW, without the pads
    axes: the ONNX axis of each axis of TensorFlow
    pads: top, left, bottom, right of a Pad that the next convolution or pooling does
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)


class _Network:
    """Walks the nodes and writes each as ONNX."""

    def __init__(self, graph: TfjsGraph):
        self._graph = graph
        self._writer = OnnxWriter('nanodet-g')
        self._tensors: dict[str, _Tensor] = {}
        self._kinds = {node.name: node.kind for node in graph.nodes}
        # In this network each convolution is followed by the addition of its bias.
        self._biases = {
            node.inputs[0]: graph.weights[node.inputs[1]] for node in graph.nodes
            if node.kind == 'Add' and self._kinds.get(node.inputs[0]) == 'Conv2D' and node.inputs[1] in graph.weights}
        self._counts: Counter[str] = Counter()
        self._outputs: list[_Tensor] = []
        self._side = 0

    def write(self, metadata: Mapping[str, str]) -> bytes:
        handlers = {
            'Placeholder': self._placeholder, 'Transpose': self._transpose, 'Pad': self._pad, 'PadV2': self._pad,
            'Conv2D': self._convolution, 'Add': self._add, 'LeakyRelu': self._leaky, 'MaxPool': self._maxpool,
            'ConcatV2': self._concat, 'ResizeBilinear': self._resize, 'SplitV': self._split, 'Sigmoid': self._sigmoid,
            'Reshape': self._flatten, 'Identity': self._output}
        for node in self._graph.nodes:
            # The shapes that Reshape is given are computed from weights; here they are known.
            if node.kind in ('Const', 'SparseToDense', 'AddV2'):
                continue
            if node.kind not in handlers:
                raise self._wrong(node, f'{node.kind} is not supported')
            handlers[node.kind](node)
        output, shape = self._decode()
        return self._writer.finish({'images': (1, 3, self._side, self._side)}, {output: shape}, metadata)

    def _wrong(self, node: TfjsNode, what: str) -> ModelError:
        return ModelError(f'TensorFlow.js graph, node {node.name}: {what}')

    def _input(self, node: TfjsNode, index: int = 0) -> _Tensor:
        name = node.inputs[index]
        if name not in self._tensors:
            raise self._wrong(node, f'its input {name} is not computed before it')
        return self._tensors[name]

    def _unpadded(self, node: TfjsNode, index: int = 0) -> _Tensor:
        tensor = self._input(node, index)
        if any(tensor.pads):
            raise self._wrong(node, 'expected a convolution or a pooling after a Pad')
        return tensor

    def _spatial(self, node: TfjsNode) -> _Tensor:
        """Return the input of an operation on images; TensorFlow has it in NHWC."""
        tensor = self._input(node)
        if tensor.axes != _NHWC:
            raise self._wrong(node, f'expected an input in NHWC, found the axes {tensor.axes}')
        return tensor

    def _weight(self, node: TfjsNode, index: int) -> np.ndarray:
        name = node.inputs[index]
        if name not in self._graph.weights:
            raise self._wrong(node, f'the file has no weight {name}')
        return self._graph.weights[name]

    def _name(self, kind: str) -> str:
        """Return the next name of a kind: conv0, conv1, ..."""
        self._counts[kind] += 1
        return f'{kind}{self._counts[kind] - 1}'

    def _placeholder(self, node: TfjsNode) -> None:
        shape = tuple(int(entry['size']) for entry in node.attributes['shape']['shape']['dim'])
        if len(shape) != 4 or shape[:2] != (1, 3) or shape[2] != shape[3] or shape[2] % max(STRIDES):
            raise self._wrong(node, f'expected the input shape [1, 3, side, side], found {list(shape)}')
        self._side = shape[2]
        self._tensors[node.name] = _Tensor('images', shape, (0, 1, 2, 3))

    def _transpose(self, node: TfjsNode) -> None:
        tensor = self._input(node)
        order = self._weight(node, 1).tolist()
        self._tensors[node.name] = replace(tensor, axes=tuple(tensor.axes[axis] for axis in order))

    def _pad(self, node: TfjsNode) -> None:
        tensor = self._unpadded(node)
        # (before, after) by ONNX axis.
        pads = dict(zip(tensor.axes, self._weight(node, 1).tolist()))
        if any(pads[0]) or any(pads[1]):
            raise self._wrong(node, 'expected to pad only rows and columns')
        (top, bottom), (left, right) = pads[2], pads[3]
        self._tensors[node.name] = replace(tensor, pads=(top, left, bottom, right))

    def _convolution(self, node: TfjsNode) -> None:
        tensor, kernel = self._spatial(node), self._weight(node, 1)
        stride = self._stride(node)
        if node.name not in self._biases:
            raise self._wrong(node, 'expected the addition of a bias after it')
        # HWIO to OIHW.
        name = self._writer.conv(
            tensor.name, self._name('conv'), kernel.transpose(3, 2, 0, 1), self._biases[node.name], stride=stride,
            pads=tensor.pads)
        self._tensors[node.name] = _Tensor(
            name, (1, kernel.shape[3], *_sides(tensor, kernel.shape[0], stride)), _NHWC)

    def _stride(self, node: TfjsNode) -> int:
        strides = node.integers('strides')
        if node.text('padding') != 'VALID' or node.text('data_format') != 'NHWC' or strides != [
                1, strides[1], strides[1], 1] or set(node.integers('dilations')) - {1}:
            raise self._wrong(node, 'expected VALID padding, NHWC, one stride and no dilation')
        return strides[1]

    def _add(self, node: TfjsNode) -> None:
        if node.inputs[0] in self._biases:
            self._tensors[node.name] = self._input(node)
            return
        first, second = self._unpadded(node), self._unpadded(node, 1)
        if (first.shape, first.axes) != (second.shape, second.axes):
            raise self._wrong(node, f'expected inputs of the same shape, found {first.shape} and {second.shape}')
        name = self._writer.node('Add', [first.name, second.name], self._name('add'))
        self._tensors[node.name] = replace(first, name=name)

    def _leaky(self, node: TfjsNode) -> None:
        tensor = self._unpadded(node)
        name = self._writer.node('LeakyRelu', [tensor.name], self._name('leaky'), alpha=node.number('alpha', 0.2))
        self._tensors[node.name] = replace(tensor, name=name)

    def _sigmoid(self, node: TfjsNode) -> None:
        tensor = self._unpadded(node)
        name = self._writer.node('Sigmoid', [tensor.name], self._name('sigmoid'))
        self._tensors[node.name] = replace(tensor, name=name)

    def _maxpool(self, node: TfjsNode) -> None:
        tensor, stride, (_, size, _, _) = self._spatial(node), self._stride(node), node.integers('ksize')
        # The file pads with the lowest number, as MaxPool does.
        name = self._writer.node(
            'MaxPool', [tensor.name], self._name('pool'), kernel_shape=[size, size], strides=[stride, stride],
            pads=list(tensor.pads))
        self._tensors[node.name] = _Tensor(name, (*tensor.shape[:2], *_sides(tensor, size, stride)), _NHWC)

    def _concat(self, node: TfjsNode) -> None:
        tensors = [self._unpadded(node, index) for index in range(len(node.inputs) - 1)]
        axes = tensors[0].axes
        if {tensor.axes for tensor in tensors} != {axes} or axes[int(self._weight(node, -1))] != 1:
            raise self._wrong(node, 'expected to join channels')
        name = self._writer.node('Concat', [tensor.name for tensor in tensors], self._name('concat'), axis=1)
        channels = sum(tensor.shape[1] for tensor in tensors)
        self._tensors[node.name] = _Tensor(name, (1, channels, *tensors[0].shape[2:]), axes)

    def _resize(self, node: TfjsNode) -> None:
        tensor = self._spatial(node)
        if not node.flag('half_pixel_centers') or node.flag('align_corners'):
            raise self._wrong(node, 'expected half-pixel centres')
        sides = tuple(self._weight(node, 1).tolist())
        name = self._name('resize')
        scales = self._writer.constant(
            f'{name}.scales', np.array([1, 1, *(new / old for new, old in zip(sides, tensor.shape[2:]))], np.float32))
        self._writer.node(
            'Resize', [tensor.name, '', scales], name, mode='linear', coordinate_transformation_mode='half_pixel')
        self._tensors[node.name] = _Tensor(name, (*tensor.shape[:2], *sides), _NHWC)

    def _split(self, node: TfjsNode) -> None:
        tensor, sizes = self._unpadded(node), self._weight(node, 1).tolist()
        if tensor.axes[int(self._weight(node, 2))] != 1 or sum(sizes) != tensor.shape[1]:
            raise self._wrong(node, 'expected to split channels')
        name = self._name('split')
        names = [f'{name}.{index}' for index in range(len(sizes))]
        lengths = self._writer.constant(f'{name}.sizes', np.array(sizes, np.int64))
        self._writer.node('Split', [tensor.name, lengths], names, axis=1)
        for index, (part, size) in enumerate(zip(names, sizes)):
            key = f'{node.name}:{index}' if index else node.name
            self._tensors[key] = replace(tensor, name=part, shape=(1, size, *tensor.shape[2:]))

    def _flatten(self, node: TfjsNode) -> None:
        """Reshape (1, channels, rows, columns) to (1, channels, rows * columns); the file has no other Reshape."""
        tensor = self._unpadded(node)
        if tensor.axes != (0, 1, 2, 3):
            raise self._wrong(node, f'expected an input in NCHW, found the axes {tensor.axes}')
        shape = (1, tensor.shape[1], tensor.shape[2] * tensor.shape[3])
        name = self._name('flat')
        target = self._writer.constant(f'{name}.shape', np.array(shape, np.int64))
        self._writer.node('Reshape', [tensor.name, target], name)
        self._tensors[node.name] = _Tensor(name, shape, (0, 1, 2))

    def _output(self, node: TfjsNode) -> None:
        self._outputs.append(self._unpadded(node))

    def _decode(self) -> tuple[str, Sequence[int]]:
        """Decode the outputs of all strides; returns the name of the output and its shape [1, 4 + classes, cells]."""
        sides = [self._side // stride for stride in STRIDES]
        cells, bins = sum(side * side for side in sides), 4 * (REG_MAX + 1)
        distances = self._joined([tensor for tensor in self._outputs if tensor.shape[1] == bins], sides, 'distances')
        scores = self._joined([tensor for tensor in self._outputs if tensor.shape[1] != bins], sides, 'scores')
        classes = next(tensor.shape[1] for tensor in self._outputs if tensor.shape[1] != bins)

        writer = self._writer

        def numbers(name: str, values: np.ndarray, *shape: int) -> str:
            return writer.constant(name, values.astype(np.float32).reshape(shape))

        by_bin = writer.node('Reshape', [
            distances, writer.constant('bins.shape', np.array([1, 4, REG_MAX + 1, cells], np.int64))], 'bins')
        likely = writer.node('Softmax', [by_bin], 'bins.likely', axis=2)
        weighted = writer.node(
            'Mul', [likely, numbers('bins.index', np.arange(REG_MAX + 1), 1, 1, REG_MAX + 1, 1)], 'bins.weighted')
        expected = writer.node(
            'ReduceSum', [weighted, writer.constant('bins.axis', np.array([2], np.int64))], 'bins.expected', keepdims=0)
        strides = np.repeat(STRIDES, [side * side for side in sides])
        pixels = writer.node('Mul', [expected, numbers('strides', strides, 1, 1, cells)], 'pixels')
        halves = writer.constant('halves', np.array([2, 2], np.int64))
        writer.node('Split', [pixels, halves], ['left_top', 'right_bottom'], axis=1)
        # (x, y) of each cell, row by row.
        places = np.concatenate([
            (np.stack(np.meshgrid(np.arange(side), np.arange(side))).reshape(2, -1) + 0.5) * stride
            for side, stride in zip(sides, STRIDES)], axis=1)
        apart = writer.node('Sub', ['right_bottom', 'left_top'], 'apart')
        shift = writer.node('Mul', [apart, numbers('half', np.array(0.5))], 'shift')
        centre = writer.node('Add', [shift, numbers('places', places, 1, 2, cells)], 'centre')
        size = writer.node('Add', ['left_top', 'right_bottom'], 'size')
        output = writer.node('Concat', [centre, size, scores], 'output0', axis=1)
        return output, (1, 4 + classes, cells)

    def _joined(self, tensors: Sequence[_Tensor], sides: Sequence[int], name: str) -> str:
        """Join the cells of all strides, the finest first."""
        ordered = sorted(tensors, key=lambda tensor: -tensor.shape[2])
        if [tensor.shape[2] for tensor in ordered] != [side * side for side in sides] or len(
                {tensor.shape[1] for tensor in ordered}) != 1:
            raise ModelError(
                f'NanoDet: expected {name} of the strides {STRIDES}, found the shapes '
                f'{[tensor.shape for tensor in ordered]}')
        return self._writer.node('Concat', [tensor.name for tensor in ordered], name, axis=2)


def _sides(tensor: _Tensor, kernel: int, stride: int) -> tuple[int, int]:
    """Return rows and columns after a convolution or a pooling."""
    rows, columns = tensor.shape[2:]
    top, left, bottom, right = tensor.pads
    return (rows + top + bottom - kernel) // stride + 1, (columns + left + right - kernel) // stride + 1


def convert_nanodet(model: bytes, weights: bytes, metadata: Mapping[str, str]) -> bytes:
    """Convert NanoDet-g to the bytes of an ONNX file (opset 13).

    model, weights: the files model.json and .bin of TensorFlow.js
    metadata: becomes the model's metadata_props

    Input `images` (1, 3, side, side) float32, BGR as (pixel - mean) / std. Output `output0` (1, 4 + classes, cells)
    float32: centre x, centre y, width, height in input pixels, class scores in 0..1. Raises ModelError if the files are
    malformed, do not belong together or use other operations.
    """
    return _Network(read_graph_model(model, weights)).write(metadata)
