# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts YOLOv3-family Darknet networks (cfg and weights) to ONNX with YOLOv5's decoded output layout.

The formulas are those of Darknet (https://github.com/pjreddie/darknet, src/convolutional_layer.c, maxpool_layer.c,
yolo_layer.c), which is in the public domain. Boxes are in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import ModelError
from .onnx_writer import OnnxWriter

# Darknet adds it to the standard deviation; other frameworks add it to the variance.
_BATCH_NORM_EPSILON = 1e-6
_LEAKY_SLOPE = 0.1


@dataclass(frozen=True)
class Section:
    """One `[kind]` section of a cfg file; `line` is the number of its first line, for messages."""

    kind: str
    options: dict[str, str]
    line: int

    def integer(self, key: str, default: int | None = None) -> int:
        """Return the option as int; ModelError if it is missing or not an integer."""
        text = self.options.get(key)
        if text is None and default is not None:
            return default
        try:
            return int(text)  # type: ignore[arg-type]  # None is a TypeError
        except (TypeError, ValueError):
            raise ModelError(
                f'Darknet cfg, [{self.kind}] at line {self.line}: expected an integer {key}, '
                f'found {text!r}') from None

    def numbers(self, key: str) -> list[float]:
        """Return a comma-separated option; ModelError if it is missing or malformed."""
        text = self.options.get(key, '')
        try:
            return [float(part) for part in text.split(',')]
        except ValueError:
            raise ModelError(
                f'Darknet cfg, [{self.kind}] at line {self.line}: expected comma-separated numbers '
                f'in {key}, found {text!r}') from None


def parse_cfg(text: str) -> list[Section]:
    """Split a Darknet cfg into its sections; the first one is [net]."""
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.split('#', maxsplit=1)[0].strip()
        if not line:
            continue
        if line.startswith('[') and line.endswith(']'):
            sections.append(Section(line[1:-1].strip(), {}, number))
        elif '=' in line and sections:
            key, value = line.split('=', maxsplit=1)
            sections[-1].options[key.strip()] = value.strip()
        else:
            raise ModelError(
                f'Darknet cfg, line {number}: expected [section] or key=value, found {line!r}')
    if not sections or sections[0].kind not in ('net', 'network'):
        raise ModelError('Darknet cfg: expected a [net] section first, found '
                         + (f'[{sections[0].kind}]' if sections else 'an empty file'))
    return sections


class _Weights:
    """Returns the numbers of a .weights file in the order of the file."""

    def __init__(self, data: bytes):
        if len(data) < 20:
            raise ModelError(f'Darknet weights: expected a header and numbers, found {len(data)} bytes')
        major, minor = np.frombuffer(data, '<i4', 2)
        # Since version 0.2 the count of training images has 64 bits.
        header = 12 + (8 if major * 10 + minor >= 2 else 4)
        if (len(data) - header) % 4:
            raise ModelError('Darknet weights: the file is cut off in the middle of a number')
        self._values = np.frombuffer(data, '<f4', offset=header)
        self._next = 0

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        if self._next + count > len(self._values):
            raise ModelError(
                f'Darknet weights: the cfg needs more than the {len(self._values)} numbers in the '
                'file; the cfg and the weights do not belong together')
        values = self._values[self._next:self._next + count].reshape(shape)
        self._next += count
        return values

    def check_used_up(self) -> None:
        left = len(self._values) - self._next
        if left:
            raise ModelError(
                f'Darknet weights: {left} numbers are left over; the cfg and the weights do not '
                'belong together')


@dataclass(frozen=True)
class _Layer:
    """The output of a layer: the tensor's name and its shape without the batch."""

    tensor: str
    channels: int
    height: int
    width: int


class _Network:
    """Walks the sections and writes each as ONNX nodes."""

    def __init__(self, sections: Sequence[Section], weights: bytes, input_size: int | None,
                 masks: Sequence[Sequence[int]] | None):
        net = sections[0]
        self.width = input_size or net.integer('width')
        self.height = input_size or net.integer('height')
        self.channels = net.integer('channels', 3)
        self._sections = sections[1:]
        self._weights = _Weights(weights)
        self._masks = masks
        self._writer = OnnxWriter('darknet')
        self._layers: list[_Layer] = []
        self._heads: list[str] = []
        self.rows = 0
        self.values_per_row = 0

    def write(self, metadata: Mapping[str, str]) -> bytes:
        handlers = {
            'convolutional': self._convolutional, 'maxpool': self._maxpool, 'route': self._route,
            'upsample': self._upsample, 'yolo': self._yolo,
        }
        last = _Layer('images', self.channels, self.height, self.width)
        for index, section in enumerate(self._sections):
            if section.kind not in handlers:
                raise ModelError(
                    f'Darknet cfg, line {section.line}: layer [{section.kind}] is not supported; '
                    f'known are {", ".join(sorted(handlers))}')
            last = handlers[section.kind](section, f'layer{index}', last)
            self._layers.append(last)
        self._weights.check_used_up()
        if not self._heads:
            raise ModelError('Darknet cfg: expected a [yolo] section, found none')
        if self._masks is not None and len(self._masks) != len(self._heads):
            raise ModelError(f'{len(self._masks)} masks were given for {len(self._heads)} [yolo] sections')
        self._writer.node('Concat', self._heads, 'output0', axis=1)
        return self._writer.finish(
            {'images': (1, self.channels, self.height, self.width)},
            {'output0': (1, self.rows, self.values_per_row)}, metadata)

    def _convolutional(self, section: Section, name: str, source: _Layer) -> _Layer:
        filters, size = section.integer('filters', 1), section.integer('size', 1)
        stride, groups = section.integer('stride', 1), section.integer('groups', 1)
        padding = size // 2 if section.integer('pad', 0) else section.integer('padding', 0)
        bias = self._weights.take(filters).astype(np.float64)
        if section.integer('batch_normalize', 0):
            scale = self._weights.take(filters).astype(np.float64)
            mean = self._weights.take(filters).astype(np.float64)
            variance = self._weights.take(filters).astype(np.float64)
            factor = scale / (np.sqrt(variance) + _BATCH_NORM_EPSILON)
        else:
            mean, factor = np.zeros(filters), np.ones(filters)
        weight = self._weights.take(filters, source.channels // groups, size, size)
        tensor = self._writer.conv(
            source.tensor, name, weight * factor[:, None, None, None], bias - mean * factor,
            stride=stride, pads=[padding] * 4, group=groups)
        activation = section.options.get('activation', 'logistic')
        if activation == 'leaky':
            tensor = self._writer.node('LeakyRelu', [tensor], f'{name}.leaky', alpha=_LEAKY_SLOPE)
        elif activation != 'linear':
            raise ModelError(
                f'Darknet cfg, line {section.line}: activation {activation!r} is not supported; '
                'known are leaky, linear')
        return _Layer(tensor, filters, *(
            (side + 2 * padding - size) // stride + 1 for side in (source.height, source.width)))

    def _maxpool(self, section: Section, name: str, source: _Layer) -> _Layer:
        stride = section.integer('stride', 1)
        size = section.integer('size', stride)
        total = section.integer('padding', size - 1)
        begin = total // 2
        sides = [(side + total - size) // stride + 1 for side in (source.height, source.width)]
        # Darknet's window may extend over the right and bottom edge; only then is padding needed.
        ends = [
            max(0, (out - 1) * stride - begin + size - side)
            for out, side in zip(sides, (source.height, source.width))
        ]
        tensor = self._writer.node(
            'MaxPool', [source.tensor], name, kernel_shape=[size, size], strides=[stride, stride],
            pads=[begin, begin, *ends])
        return _Layer(tensor, source.channels, *sides)

    def _route(self, section: Section, name: str, source: _Layer) -> _Layer:
        if section.integer('groups', 1) != 1:
            raise ModelError(f'Darknet cfg, line {section.line}: [route] with groups is not supported')
        layers = []
        for number in section.numbers('layers'):
            index = int(number) if number >= 0 else len(self._layers) + int(number)
            if not 0 <= index < len(self._layers):
                raise ModelError(f'Darknet cfg, line {section.line}: there is no layer {int(number)}')
            layers.append(self._layers[index])
        if len(layers) == 1:
            return layers[0]
        if len({(layer.height, layer.width) for layer in layers}) != 1:
            raise ModelError(
                f'Darknet cfg, line {section.line}: the routed layers differ in size; the input size '
                "must be a multiple of the network's largest stride")
        tensor = self._writer.node('Concat', [layer.tensor for layer in layers], name, axis=1)
        return _Layer(tensor, sum(layer.channels for layer in layers), layers[0].height, layers[0].width)

    def _upsample(self, section: Section, name: str, source: _Layer) -> _Layer:
        stride = section.integer('stride', 2)
        scales = self._writer.constant(
            f'{name}.scales', np.array([1, 1, stride, stride], np.float32))
        tensor = self._writer.node(
            'Resize', [source.tensor, '', scales], name, mode='nearest',
            coordinate_transformation_mode='asymmetric', nearest_mode='floor')
        return _Layer(tensor, source.channels, source.height * stride, source.width * stride)

    def _yolo(self, section: Section, name: str, source: _Layer) -> _Layer:
        """Decode one head: x = (sigmoid(tx) + column) * stride, w = exp(tw) * anchor width."""
        values = section.integer('classes', 20) + 5
        all_anchors = np.array(section.numbers('anchors')).reshape(-1, 2)
        mask = [int(index) for index in section.numbers('mask')]
        if self._masks is not None and len(self._heads) < len(self._masks):
            mask = list(self._masks[len(self._heads)])
        if any(not 0 <= index < len(all_anchors) for index in mask):
            raise ModelError(
                f'Darknet cfg, line {section.line}: mask {mask} names an anchor beyond the '
                f'{len(all_anchors)} that are listed')
        if self.height % source.height or self.width % source.width:
            raise ModelError(
                f'a Darknet network of input {self.width}x{self.height} does not divide into cells '
                f'of {source.width}x{source.height}; choose a multiple of its largest stride')
        if source.channels != len(mask) * values:
            raise ModelError(
                f'Darknet cfg, line {section.line}: expected {len(mask) * values} channels for '
                f'{len(mask)} anchors and {values - 5} classes, found {source.channels}')
        count, rows, columns = len(mask), source.height, source.width
        writer = self._writer

        def shaped(key: str, *shape: int) -> str:
            return writer.constant(f'{name}.{key}', np.array(shape, np.int64))

        def constant(key: str, value: np.ndarray) -> str:
            return writer.constant(f'{name}.{key}', value.astype(np.float32))

        split_shape = shaped('split_shape', 1, count, values, rows, columns)
        tensor = writer.node('Reshape', [source.tensor, split_shape], f'{name}.anchors_apart')
        tensor = writer.node('Transpose', [tensor], f'{name}.cells', perm=[0, 1, 3, 4, 2])
        parts = [f'{name}.txy', f'{name}.twh', f'{name}.tscores']
        writer.node('Split', [tensor, shaped('parts', 2, 2, values - 4)], parts, axis=4)

        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        strides = np.array([self.width // columns, self.height // rows])
        grid = constant('grid', np.stack([x, y], -1)[None, None])
        cell = constant('stride', strides.reshape(1, 1, 1, 1, 2))
        anchors = constant('anchor_sizes', all_anchors[mask].reshape(1, count, 1, 1, 2))
        offset = writer.node('Sigmoid', [parts[0]], f'{name}.offset')
        position = writer.node('Add', [offset, grid], f'{name}.position')
        centre = writer.node('Mul', [position, cell], f'{name}.centre')
        growth = writer.node('Exp', [parts[1]], f'{name}.growth')
        extent = writer.node('Mul', [growth, anchors], f'{name}.extent')
        scores = writer.node('Sigmoid', [parts[2]], f'{name}.scores')
        boxes = writer.node('Concat', [centre, extent, scores], f'{name}.boxes', axis=4)
        flat = shaped('rows', 1, count * rows * columns, values)
        self._heads.append(writer.node('Reshape', [boxes, flat], name))
        if self.values_per_row not in (0, values):
            raise ModelError('Darknet cfg: the [yolo] sections differ in their number of classes')
        self.rows += count * rows * columns
        self.values_per_row = values
        return source


def convert_darknet(
    cfg: str, weights: bytes, metadata: Mapping[str, str], *, input_size: int | None = None,
    masks: Sequence[Sequence[int]] | None = None,
) -> bytes:
    """Convert a Darknet YOLOv3-family network to the bytes of an ONNX file (opset 13).

    cfg: the text of the .cfg file
    weights: the content of the .weights file
    metadata: becomes the model's metadata_props
    input_size: side of the square input in pixels, a multiple of 32; None for the cfg's own
    masks: one list of anchor indices for each [yolo] section, if those in the cfg are wrong

    Input `images` (1, 3, height, width) float32, RGB in 0..1. Output `output0` (1, rows, 5 + classes) float32: centre
    x, centre y, width, height in input pixels, objectness, class scores in 0..1. Batch normalisation is folded into
    the convolutions. Raises ModelError if the files are malformed, do not belong together or use other layers.
    """
    return _Network(parse_cfg(cfg), weights, input_size, masks).write(metadata)
