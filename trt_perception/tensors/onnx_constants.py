# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The constants of an ONNX graph, by name. Does not import onnx."""

from __future__ import annotations

from typing import Any


def constants_of(graph: Any) -> dict[str, Any]:
    """Return the TensorProto of each initializer, and of each Constant node with a tensor; graph: onnx.GraphProto."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Constant':
            found.update((node.output[0], value.t) for value in node.attribute if value.name == 'value')
    return found
