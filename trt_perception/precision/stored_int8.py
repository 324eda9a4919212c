# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8 files that a CPU would compute wrongly as they are: made for TensorRT, by other programs, on other machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..model.external_data import external_files, load_external_data
from ..model.onnx_file import load_proto
from ..model.onnx_quantisation import INTEGER_LAYERS
from ..model.spec import ModelSpec
from ..openvino_runtime.unsigned import joins_signed, make_unsigned
from ..ort.saturation import exact_weight_bits, has_wide_weights

_SATURATES = 'its weights have 8 bits, and sums of int8 products saturate on this CPU'
_LAYERS = 'OpenVINO may crash on its layers of integers'
_JOINS = 'OpenVINO computes other results behind a Concat of int8'


@dataclass(frozen=True)
class OpenVinoInt8:
    """How OpenVINO gets the results of an int8 file.

    unsigned: its int8 activations are stored as uint8
    in_float: why it computes the layers in float, with the rounding of the file; '' if it computes them in int8
    """

    unsigned: bool = False
    in_float: str = ''


def sums_saturate(path: Path, precision: str) -> bool:
    """Return whether sums of int8 products saturate on this CPU with the weights of this ONNX file.

    precision: of the file; only int8 files can. Raises ModelError
    """
    if precision != 'int8' or exact_weight_bits() == 8:
        return False
    proto = load_proto(path)
    load_external_data(path, proto)
    return has_wide_weights(proto)


def for_openvino(spec: ModelSpec) -> OpenVinoInt8:
    """Return how OpenVINO gets this model's results; raises ModelError."""
    if spec.file_format != 'onnx' or spec.stored_precision != 'int8':
        return OpenVinoInt8()
    proto = load_proto(spec.path)
    apart = bool(external_files(spec.path, proto))
    load_external_data(spec.path, proto)
    if exact_weight_bits() < 8 and has_wide_weights(proto):
        return OpenVinoInt8(in_float=_SATURATES)
    if any(node.op_type.startswith(INTEGER_LAYERS) for node in proto.graph.node):
        return OpenVinoInt8(in_float=_LAYERS)
    if not joins_signed(proto):
        return OpenVinoInt8()
    # What OpenVINO gets as bytes has no external data.
    make_unsigned(proto)
    return OpenVinoInt8(in_float=_JOINS) if apart or joins_signed(proto) else OpenVinoInt8(unsigned=True)
