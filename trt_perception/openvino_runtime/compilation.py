# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO compiles: the model file, the pixels that it takes, and the settings of the CPU plugin."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from .unsigned import make_unsigned

# OpenVINO's name of the inference precision -> the name in OPTIMIZATION_CAPABILITIES. bf16 comes first: a processor
# with both computes it several times as fast (AMX), and bf16 keeps the range of float32.
_HALF = (('bf16', 'BF16'), ('f16', 'FP16'))
# YOLOv8 has 16 bins for each side of a box.
_MOST_BINS = 64
# Values of a Compilation that came later.
_USUAL: Mapping[str, bool | int] = {'from_pixels': True, 'streams': 1, 'unsigned': False, 'in_float': False}


@dataclass(frozen=True)
class Compilation:
    """One model as OpenVINO compiles it. The compiled model takes uint8 pixels, [1, height, width, channels].

    Pixels of 3 channels are in the order BGR. The compiled model reorders them and computes
    (pixel - mean) / scale for each channel in the model's own order, `color_order`. Without `from_pixels` it takes the
    model's own input.

    path: the ONNX file, absolute
    input_shape: shape of the model's input; layout: nchw or nhwc
    mean, scale: in units of a pixel, one for each channel; () leaves the pixels as they are
    precision: f32, bf16 or f16, the type of float layers
    num_threads: threads for all inferences at the same time
    streams: inferences at the same time, each with its part of the threads
    size_inputs: further inputs, [1, 2] int64: they become constants, width and height of the model's own input
    unsigned: store int8 activations as uint8 (unsigned.py)
    in_float: compute the layers of an int8 model in float, with the rounding of the file
    """

    path: str
    input_name: str
    input_shape: tuple[int, ...]
    layout: str
    color_order: str
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    precision: str = 'f32'
    num_threads: int = 1
    streams: int = 1
    from_pixels: bool = True
    size_inputs: tuple[str, ...] = ()
    unsigned: bool = False
    in_float: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The properties for compile_model and import_model."""
        return {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': self.precision,
            'INFERENCE_NUM_THREADS': self.num_threads, **({'NUM_STREAMS': self.streams} if self.streams > 1 else {}),
            **({'LP_TRANSFORMS_MODE': 'NO'} if self.in_float else {}),
            # A pinned thread waits for other programs on its processor, and pinning fails in a process that may not use
            # all processors.
            'ENABLE_CPU_PINNING': False}

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.input_shape[1 if self.layout == 'nchw' else 3]

    def for_precision(self, precision: str, capabilities: Collection[str]) -> Compilation:
        """Return the same with the type of the float layers for a requested precision.

        precision: fp32, fp16 or int8. The float layers of an int8 model run in half precision too, as on TensorRT
        capabilities: OPTIMIZATION_CAPABILITIES of this CPU
        """
        half = half_type(capabilities)
        return replace(self, precision='f32' if precision == 'fp32' or half is None else half)

    def to_json(self) -> str:
        """Return the values as JSON, for the child process and for the cache key."""
        values = asdict(self)
        # The usual models keep the key that they always had.
        for name, usual in _USUAL.items():
            if values[name] == usual:
                del values[name]
        return json.dumps(values, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Compilation:
        """Return the values that `to_json` wrote."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(text).items()}
        return Compilation(**values)


def half_type(capabilities: Collection[str]) -> str | None:
    """Return bf16 or f16, the half precision that this CPU computes in, None if it has none."""
    return next((name for name, capability in _HALF if capability in capabilities), None)


def compiled(core: Any, work: Compilation) -> Any:
    """Return OpenVINO's CompiledModel. Raises RuntimeError if OpenVINO rejects the model."""
    model = core.read_model(_unsigned(work.path) if work.unsigned else Path(work.path))
    _give_sizes(model, work)
    if model.input(work.input_name).get_partial_shape().is_dynamic:
        model.reshape({work.input_name: list(work.input_shape)})
    if work.precision == 'bf16':
        _keep_expectations(model)
    return core.compile_model(_from_pixels(model, work) if work.from_pixels else model, 'CPU', work.config)


def _unsigned(path: str) -> bytes:
    proto = require('onnx').load(path)
    make_unsigned(proto)
    content: bytes = proto.SerializeToString()
    return content


def _give_sizes(model: Any, work: Compilation) -> None:
    """Replace the inputs that take the size of the image: it is the same for each frame."""
    constant = require('openvino.opset13').constant
    height, width = work.input_shape[2:4] if work.layout == 'nchw' else work.input_shape[1:3]
    for name in work.size_inputs:
        parameter = model.input(name).get_node()
        parameter.output(0).replace(constant(np.array([[width, height]], np.int64)).output(0))
        model.remove_parameter(parameter)


def _keep_expectations(model: Any) -> None:
    """Write the expectation over a box's bins (DFL of YOLOv8 to YOLO12) as a product and a sum.

    With bf16, OpenVINO keeps what follows the last convolutions in float32. It takes the expectation, a convolution
    with one result, for the last one, and bf16 has only 8 bits for the boxes then.
    """
    operations = require('openvino.opset13')
    for node in model.get_ordered_ops():
        if node.get_type_name() != 'Convolution':
            continue
        data, weights, result = (
            node.input(0).get_partial_shape(), node.input(1).get_partial_shape(), node.get_output_partial_shape(0))
        if any(shape.is_dynamic for shape in (data, weights, result)):
            continue
        kernel = list(weights.to_shape())
        if kernel[0] != 1 or kernel[1] > _MOST_BINS or kernel[2:] != [1, 1] or data[2:] != result[2:]:
            continue
        product = operations.multiply(node.input_value(0), node.input_value(1))
        expectation = operations.reduce_sum(product, operations.constant(np.array([1], np.int64)), keep_dims=True)
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(expectation.output(0))


def _from_pixels(model: Any, work: Compilation) -> Any:
    """Put the conversion of uint8 pixels before the model's input."""
    openvino = require('openvino')
    preprocess = require('openvino.preprocess')
    processor = preprocess.PrePostProcessor(model)
    inputs = processor.input(work.input_name)
    inputs.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout('NHWC'))
    inputs.model().set_layout(openvino.Layout(work.layout.upper()))
    steps = inputs.preprocess()
    if work.mean or work.scale:
        steps.convert_element_type(openvino.Type.f32)
    if work.channels == 3:
        inputs.tensor().set_color_format(preprocess.ColorFormat.BGR)
        if work.color_order == 'rgb':
            # OpenVINO then exchanges the first convolution's weights instead of the pixels.
            steps.convert_color(preprocess.ColorFormat.RGB)
    if work.mean:
        steps.mean(list(work.mean))
    if work.scale:
        steps.scale(list(work.scale))
    return processor.build()
