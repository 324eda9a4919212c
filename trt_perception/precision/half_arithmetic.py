# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The effect of half precision on a network, computed in float32.

ONNX Runtime's CPU provider runs a float16 graph in float32 and drops the casts, so it shows neither rounding nor
overflow. Here each result is rounded to the 11 significant bits of a half by float32 arithmetic that is not optimised
away: Veltkamp's splitting, c = x * (2^13 + 1), c - (c - x).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import ModelError, one_line
from ..progress import ProgressCallback, silent
from .calibration import Calibration
from .observe import largest_values

LARGEST = 65504.0
_SPLIT = np.float32(2**13 + 1)


def rounding_as_half(model: Any, kept: Collection[str]) -> Any:
    """Return a float32 model that rounds weights and results as float16 does, except in the nodes `kept`.

    Subnormals are rounded like other numbers. Results do not overflow: `overflowing` finds those that would.
    """
    onnx = require('onnx')
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    types = _float_tensors(model)
    copy = type(model)()
    copy.CopyFrom(model)
    graph = copy.graph
    used = {name for node in graph.node if node.name not in kept for name in node.input}
    for tensor in graph.initializer:
        if tensor.name in used and tensor.data_type == 1:
            values = np.clip(numpy_helper.to_array(tensor), -LARGEST, LARGEST)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16).astype(np.float32), tensor.name))
    graph.initializer.append(numpy_helper.from_array(np.array(_SPLIT, np.float32), 'half/split'))
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for index, name in enumerate(node.output):
            if node.name in kept or name not in types:
                continue
            exact = f'{name}/exact'
            node.output[index] = exact
            nodes += [
                helper.make_node('Mul', [exact, 'half/split'], [f'{name}/c'], f'{name}/c'),
                helper.make_node('Sub', [f'{name}/c', exact], [f'{name}/rest'], f'{name}/rest'),
                helper.make_node('Sub', [f'{name}/c', f'{name}/rest'], [name], f'{name}/half')]
    rounded = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(rounded)
    del graph.value_info[:]
    return copy


def overflowing(model: Any, calibration: Calibration, progress: ProgressCallback = silent) -> dict[str, float]:
    """Return the nodes whose result exceeds 65504 on the samples: name -> its largest finite absolute value.

    Infinite results (attention masks, logarithms of 0) do not count: they are infinite in a half too. Raises as
    observe.largest_values.
    """
    types = _float_tensors(model)
    producers = {name: node.name for node in model.graph.node for name in node.output if name in types}
    largest = largest_values(
        model, sorted(producers), calibration.reporting(progress), calibration.spec.path.name,
        'looking for values beyond float16', infinities=True)
    return {producers[name]: peak for name, peak in largest.items() if peak > LARGEST}


def _float_tensors(model: Any) -> set[str]:
    try:
        inferred = require('onnx').shape_inference.infer_shapes(model)
    except Exception as error:  # onnx's C++ exceptions
        raise ModelError(
            f'the types inside the model cannot be inferred ({one_line(error, 300)}): export it again, or use fp16 '
            'without calibration data') from error
    return {
        value.name for value in (*inferred.graph.value_info, *inferred.graph.output)
        if value.type.tensor_type.elem_type == 1}
