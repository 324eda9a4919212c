# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds an ONNX graph node by node, always with the same bytes, and hashes its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...dependencies import require

OPSET = 13
# The oldest IR version that goes with opset 13: it loads in every ONNX Runtime and TensorRT of this package.
IR_VERSION = 7
PRODUCER = 'trt_perception'


class OnnxWriter:
    """Collects nodes and weights. A tensor has the name of the layer that produces it."""

    def __init__(self, graph_name: str):
        self._onnx = require('onnx')
        self._graph_name = graph_name
        self._nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        """Store a weight or a constant under `name` and return the name."""
        array = np.ascontiguousarray(value)
        if name in self._initializers:
            raise ValueError(f'two constants are named {name}')
        helper, proto = self._onnx.helper, self._onnx.TensorProto
        types = {'float32': proto.FLOAT, 'int64': proto.INT64}
        # raw_data is little-endian on every machine.
        raw = array.astype(array.dtype.newbyteorder('<')).tobytes()
        self._initializers[name] = helper.make_tensor(
            name, types[array.dtype.name], array.shape, raw, raw=True)
        return name

    def node(
        self, op_type: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: Any,
    ) -> str:
        """Add a node named after its first output and return that output's name."""
        outputs = [output] if isinstance(output, str) else list(output)
        self._nodes.append(self._onnx.helper.make_node(
            op_type, list(inputs), outputs, name=outputs[0], **attributes))
        return outputs[0]

    def conv(
        self, source: str, name: str, weight: np.ndarray, bias: np.ndarray, *,
        stride: int = 1, pads: Sequence[int] = (0, 0, 0, 0), group: int = 1,
    ) -> str:
        """Add a 2D convolution: weight (out, in / group, k, k), pads top, left, bottom, right."""
        inputs = [
            source,
            self.constant(f'{name}.weight', weight.astype(np.float32)),
            self.constant(f'{name}.bias', bias.astype(np.float32)),
        ]
        return self.node(
            'Conv', inputs, name, kernel_shape=list(weight.shape[2:]), strides=[stride, stride],
            pads=list(pads), dilations=[1, 1], group=group)

    def finish(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]],
        metadata: Mapping[str, str],
    ) -> bytes:
        """Return the checked model, all inputs and outputs float32, as the bytes of an ONNX file."""
        onnx = self._onnx

        def describe(tensors: Mapping[str, Sequence[int]]) -> list[Any]:
            return [
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))
                for name, shape in tensors.items()
            ]

        graph = onnx.helper.make_graph(
            self._nodes, self._graph_name, describe(inputs), describe(outputs),
            list(self._initializers.values()))
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid('', OPSET)], producer_name=PRODUCER)
        model.ir_version = IR_VERSION
        # Versions of onnx write different empty strings; clear them all, so that the bytes are the same.
        for message in (model, model.graph, *model.graph.node, *model.graph.initializer,
                        *model.graph.input, *model.graph.output):
            message.ClearField('doc_string')
        model.ClearField('domain')
        model.ClearField('model_version')
        model.ClearField('producer_version')
        onnx.helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def graph_sha256(model_bytes: bytes) -> str:
    """Hash the content of an ONNX model: nodes, attributes, weights, inputs, outputs and metadata.

    Unlike the hash of the file, it does not depend on the version of protobuf that wrote the file.
    """
    onnx = require('onnx')
    numpy_helper = require('onnx.numpy_helper')  # Versions before 1.13 do not import it by themselves.
    model = onnx.load_model_from_string(model_bytes)
    digest = hashlib.sha256()

    def add(*parts: Any) -> None:
        digest.update(json.dumps(parts, sort_keys=True, default=_as_text).encode() + b'\n')

    add('opset', [[entry.domain, entry.version] for entry in model.opset_import])
    add('metadata', sorted((entry.key, entry.value) for entry in model.metadata_props))
    for kind, values in (('input', model.graph.input), ('output', model.graph.output)):
        for value in values:
            tensor = value.type.tensor_type
            shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
            add(kind, value.name, tensor.elem_type, shape)
    for node in model.graph.node:
        attributes = {
            attribute.name: onnx.helper.get_attribute_value(attribute)
            for attribute in node.attribute
        }
        add('node', node.op_type, list(node.input), list(node.output), attributes)
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        array = numpy_helper.to_array(tensor)
        add('tensor', tensor.name, array.dtype.name, list(array.shape))
        digest.update(array.astype(array.dtype.newbyteorder('<')).tobytes())
    return digest.hexdigest()


def _as_text(value: Any) -> Any:
    """Convert bytes and protobuf's lists, which json does not know, to text and lists."""
    return value.decode() if isinstance(value, bytes) else list(value)
