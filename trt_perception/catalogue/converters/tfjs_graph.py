# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a graph model of TensorFlow.js: its nodes and weights, without TensorFlow.

The format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (WeightsManifestConfig). The graph
is TensorFlow's GraphDef as JSON; the weights lie one after the other in the binary files, in the order of the manifest.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ModelError

_DTYPES = {'float32': '<f4', 'float16': '<f2', 'int32': '<i4'}


@dataclass(frozen=True)
class TfjsNode:
    """One operation. inputs: names of nodes, with `:1` for the second output of one; attributes: GraphDef's `attr`."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integers(self, key: str) -> list[int]:
        """Return a list attribute such as strides; [] if it is missing."""
        return [int(number) for number in self.attributes.get(key, {}).get('list', {}).get('i', [])]

    def text(self, key: str) -> str:
        """Return a text attribute such as padding, '' if it is missing."""
        try:
            return base64.b64decode(self.attributes.get(key, {}).get('s', ''), validate=True).decode('ascii')
        except (binascii.Error, UnicodeDecodeError):
            raise ModelError(f'TensorFlow.js graph, node {self.name}: {key} is not text') from None

    def flag(self, key: str) -> bool:
        """Return a truth value, False if it is missing."""
        return bool(self.attributes.get(key, {}).get('b', False))

    def number(self, key: str, default: float) -> float:
        """Return a number, `default` if it is missing."""
        return float(self.attributes.get(key, {}).get('f', default))


@dataclass(frozen=True)
class TfjsGraph:
    """The nodes in the order of the file, and the weights by name: float32 or int32."""

    nodes: tuple[TfjsNode, ...]
    weights: Mapping[str, np.ndarray]


def read_graph_model(model: bytes, weights: bytes) -> TfjsGraph:
    """Read model.json and the content of its binary files (one after the other).

    Raises ModelError if one of them is malformed, or if they do not belong together.
    """
    try:
        document = json.loads(model)
        nodes = tuple(
            TfjsNode(node['name'], node['op'], tuple(node.get('input', ())), node.get('attr', {}))
            for node in document['modelTopology']['node'])
        manifest = [entry for group in document['weightsManifest'] for entry in group['weights']]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f'TensorFlow.js model: expected JSON with modelTopology and weightsManifest ({error!r})') from None
    values, offset = {}, 0
    for entry in manifest:
        values[entry['name']], offset = _weight(entry, weights, offset)
    if offset != len(weights):
        raise ModelError(
            f'TensorFlow.js weights: the manifest describes {offset} bytes, but there are {len(weights)}; the files do '
            'not belong together')
    return TfjsGraph(nodes, values)


def _weight(entry: Mapping[str, Any], data: bytes, offset: int) -> tuple[np.ndarray, int]:
    """Return a weight and the offset behind it."""
    quantised = entry.get('quantization')
    # float16 is stored to save space; other quantisations have a scale.
    stored = quantised.get('dtype') if quantised else entry.get('dtype')
    if stored not in _DTYPES or (quantised and stored != 'float16'):
        raise ModelError(f'TensorFlow.js weights: {entry.get("name")} has the type {stored}, which is not supported')
    # An empty shape is one number; [0, 1] is none.
    shape = tuple(int(size) for size in entry['shape'])
    count, dtype = math.prod(shape), np.dtype(_DTYPES[stored])
    end = offset + count * dtype.itemsize
    if end > len(data):
        raise ModelError(
            f'TensorFlow.js weights: the manifest needs more than the {len(data)} bytes in the file; the files do not '
            'belong together')
    values = np.frombuffer(data, dtype, count, offset).reshape(shape)
    return values.astype(np.int32 if stored == 'int32' else np.float32), end
