# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The facts by which a head or a family of models is recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import printable

# The first two are those of YOLOv5 and v7.
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))


@dataclass(frozen=True)
class HeadEvidence:
    """The known facts about a model before its head is identified.

    outputs: (name, shape) in the graph's order, shapes without dynamic dimensions
    input_size: width, height of the network's input
    num_names: number of class names if known, else None
    end_to_end: whether the model includes NMS according to its metadata or graph, None if unknown
    element_types: element type of each output, such as float32; an output without a declared type is missing
    metadata: the exporter's metadata, such as Ultralytics' `head` and `description`
    scaled: whether the network multiplies its boxes by a size that is given to it (ort/size_inputs.py)
    open_outputs: outputs whose first dimension depends on the image: it is dynamic, but no batch
    channels_last: whether the network's input is [1, height, width, channels]
    asked: the kind of head that the user has set, auto if none
    """

    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    input_size: tuple[int, int]
    num_names: int | None = None
    end_to_end: bool | None = None
    element_types: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    scaled: bool = False
    open_outputs: frozenset[str] = frozenset()
    channels_last: bool = False
    asked: str = 'auto'

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the outputs."""
        return [shape for _, shape in self.outputs]

    def named(self, *names: str) -> tuple[str, tuple[int, ...]] | None:
        """Return the output (name, shape) with one of these names, without TensorFlow's ':0'; None if there is none."""
        return next((entry for entry in self.outputs if entry[0].lower().split(':')[0] in names), None)

    def is_float(self, output: str) -> bool:
        """Return whether the output's elements are floating-point numbers, or of an unknown type."""
        return self.element_types.get(output, 'float32') in FLOAT_TYPES

    def describe(self) -> str:
        """Return the outputs and the number of names, as error messages show them."""
        shapes = ', '.join(
            printable(name) + ('' if self.is_float(name) else f' {self.element_types[name]}') + f' {list(shape)}'
            for name, shape in self.outputs)
        text = f'found {shapes or "no outputs"}'
        if self.num_names is not None:
            text += f' and {self.num_names} class names'
        return text


FLOAT_TYPES = ('float32', 'float16', 'float64')


def dense_counts(input_size: tuple[int, int]) -> set[int]:
    """Return the candidate counts of dense YOLO heads: 1 or 3 anchors per cell at the usual strides."""
    return cell_counts(input_size) | anchor_counts(input_size)


def cell_counts(input_size: tuple[int, int], sets: Sequence[tuple[int, ...]] = _STRIDES) -> set[int]:
    """Return the candidate counts of heads with one candidate per cell: YOLOv6, YOLOX, YOLOv8 and later.

    sets: sets of strides
    """
    width, height = input_size
    return {sum(-(-width // s) * -(-height // s) for s in strides) for strides in sets}


def anchor_counts(input_size: tuple[int, int], sets: Sequence[tuple[int, ...]] = _STRIDES) -> set[int]:
    """Return the candidate counts of heads with three anchors per cell: YOLOv3, v5 and v7."""
    return {3 * count for count in cell_counts(input_size, sets)}


def are_turned_anchors(shape: tuple[int, ...], input_size: tuple[int, int]) -> bool:
    """Return whether it is [1, 5 + C, N] with the count of YOLOv5 or v7, whose own layout is [1, N, 5 + C]."""
    return len(shape) == 3 and 5 < shape[1] < shape[2] and shape[2] in anchor_counts(input_size, _STRIDES[:2])


def is_feature_map(shape: tuple[int, ...]) -> bool:
    """Return whether it is [1, channels, height, width] with more than one row and column."""
    return len(shape) == 4 and shape[0] == 1 and shape[2] > 1 and shape[3] > 1


def is_raw_map(shape: tuple[int, ...]) -> bool:
    """Return whether it is YOLOv5's training-time map: [1, anchors, h, w, 5 + C]."""
    return len(shape) == 5 and shape[0] == 1 and shape[4] > 5
