# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Places the cells of a graph in layers from top to bottom, as Sugiyama's method does (Sugiyama, Tagawa, Toda 1981).

Each cell is in the layer after the cells that it reads. An edge over several layers gets a bend in each of them. The
order within a layer is improved by the mean position of the neighbours; the coordinates then minimise the sum of
squared distances to the neighbours, with straight long edges, by isotonic regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_SWEEPS = 12
_GAP = 18.0
# The width of a bend.
_BEND = 14.0
_ACROSS = 16.0
# Weights of an edge between two cells, a cell and a bend, two bends: the main way and long edges become straight.
_WEIGHTS = (4.0, 0.5, 8.0)


@dataclass
class _Point:
    """A cell, or a bend if `cell` is None; above and below: (index of a point, weight of the edge)."""

    layer: int
    cell: int | None
    width: float
    height: float
    x: float = 0.0
    above: list[tuple[int, float]] = field(default_factory=list)
    below: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """Positions in pixels. cells: (left, top) of each; paths: the points of each edge, from top to bottom."""

    width: float
    height: float
    cells: tuple[tuple[float, float], ...]
    paths: tuple[tuple[tuple[float, float], ...], ...]


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Return the layout.

    sizes: (width, height) of each cell
    edges: (from, to) as indices of cells, without cycles; each pair once
    """
    points, chains = _points(sizes, edges)
    layers: list[list[int]] = [[] for _ in range(max((point.layer for point in points), default=-1) + 1)]
    for index, point in enumerate(points):
        layers[point.layer].append(index)
    _order(points, layers)
    _set_x(points, layers)
    left = min((point.x - point.width / 2 for point in points), default=0.0)
    tops, total = _tops(points, layers, chains)
    cells = tuple((points[i].x - points[i].width / 2 - left, tops[points[i].layer]) for i in range(len(sizes)))
    paths = tuple(_path(points, chain, tops, layers, left) for chain in chains)
    width = max((point.x + point.width / 2 - left for point in points), default=0.0)
    return Layout(width, total, cells, paths)


def _points(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]],
) -> tuple[list[_Point], list[list[int]]]:
    """Return the points and, for each edge, the points on its way."""
    depth = _depths(len(sizes), edges)
    points = [_Point(depth[index], index, width, height) for index, (width, height) in enumerate(sizes)]
    chains = []
    for start, end in edges:
        chain = [start]
        for layer in range(depth[start] + 1, depth[end]):
            chain.append(len(points))
            points.append(_Point(layer, None, _BEND, 0.0))
        chain.append(end)
        for upper, lower in pairwise(chain):
            weight = _WEIGHTS[(points[upper].cell is None) + (points[lower].cell is None)]
            points[upper].below.append((lower, weight))
            points[lower].above.append((upper, weight))
        chains.append(chain)
    return points, chains


def _depths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    readers: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for start, end in edges:
        readers[start].append(end)
        missing[end] += 1
    depth = [0] * count
    ready = [index for index in range(count) if not missing[index]]
    while ready:
        index = ready.pop()
        for reader in readers[index]:
            depth[reader] = max(depth[reader], depth[index] + 1)
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    return depth


def _order(points: list[_Point], layers: list[list[int]]) -> None:
    """Sort each layer by the mean position of the neighbours, downwards and upwards in turn; keep the best order."""
    best, fewest = [list(layer) for layer in layers], _crossings(points, layers)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _sort(points, layer, down)
        count = _crossings(points, layers)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    for layer, order in zip(layers, best):
        layer[:] = order


def _sort(points: list[_Point], layer: list[int], down: bool) -> None:
    keys = {}
    for index in layer:
        near = points[index].above if down else points[index].below
        keys[index] = sum(points[other].x for other, _ in near) / len(near) if near else points[index].x
    layer.sort(key=lambda index: keys[index])
    for position, index in enumerate(layer):
        points[index].x = position


def _crossings(points: list[_Point], layers: list[list[int]]) -> int:
    for layer in layers:
        for position, index in enumerate(layer):
            points[index].x = position
    count = 0
    for layer in layers:
        ends = [sorted(points[lower].x for lower, _ in points[index].below) for index in layer]
        flat: list[float] = []
        for row in ends:
            count += sum(1 for x in row for other in flat if other > x)
            flat.extend(row)
    return count


def _set_x(points: list[_Point], layers: list[list[int]]) -> None:
    for layer in layers:
        at = 0.0
        for index in layer:
            points[index].x = at + points[index].width / 2
            at += points[index].width + _ACROSS
    for sweep in range(3 * _SWEEPS):
        # First from above and from below in turn, then towards both.
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = []
            for index in layer:
                point = points[index]
                near = point.above + point.below if sweep >= _SWEEPS else (
                    point.above if sweep % 2 == 0 else point.below)
                weight = sum(weight for _, weight in near)
                mean = sum(points[other].x * weight for other, weight in near) / weight if weight else point.x
                wanted.append((mean, weight or 0.1))
            for index, x in zip(layer, _apart(wanted, [points[index].width for index in layer])):
                points[index].x = x


def _apart(wanted: list[tuple[float, float]], widths: list[float]) -> list[float]:
    """Return the positions nearest to each (position, weight), in this order and without overlap.

    By the method "pool adjacent violators".
    """
    offsets = [0.0]
    for before, after in pairwise(widths):
        offsets.append(offsets[-1] + (before + after) / 2 + _ACROSS)
    blocks: list[tuple[float, float, int]] = []
    for (position, weight), offset in zip(wanted, offsets):
        mean, total, count = position - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_count = blocks.pop()
            mean = (mean * total + other * other_weight) / (total + other_weight)
            total, count = total + other_weight, count + other_count
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets)]


def _tops(
    points: list[_Point], layers: list[list[int]], chains: list[list[int]],
) -> tuple[list[float], float]:
    """Return the top of each layer, and the height of all. An edge that goes far to the side gets more height."""
    aside = [0.0] * len(layers)
    for chain in chains:
        for upper, lower in pairwise(chain):
            layer = points[upper].layer
            aside[layer] = max(aside[layer], abs(points[upper].x - points[lower].x))
    tops, at = [], 0.0
    for row, far in zip(layers, aside):
        tops.append(at)
        at += max(points[index].height for index in row) + _GAP + min(far / 12, 22.0)
    return tops, max(at - _GAP, 0.0)


def _path(
    points: list[_Point], chain: list[int], tops: list[float], layers: list[list[int]], left: float,
) -> tuple[tuple[float, float], ...]:
    path = []
    for index in chain:
        point = points[index]
        top = tops[point.layer]
        bottom = top + max(points[other].height for other in layers[point.layer])
        if index != chain[0]:
            path.append((point.x - left, top))
        if index != chain[-1]:
            if index == chain[0]:
                path.append((point.x - left, top + point.height))
            path.append((point.x - left, bottom))
    return tuple(path)
