# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts EfficientNet-Lite0 weights to ONNX.

The network is that of TensorFlow's EfficientNet-Lite
(https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py,
Apache-2.0): MobileNetV2 blocks with ReLU6, no squeeze-and-excitation. The weights' names are those of
EfficientNet-PyTorch (`_conv_stem`, `_blocks.N`, `_conv_head`, `_fc`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import ModelError
from .onnx_writer import OnnxWriter

INPUT_SIZE = 224
_BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """`repeats` inverted residual blocks; only the first one has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


LITE0_STAGES = (
    Stage(1, 3, 1, 1, 16), Stage(2, 3, 2, 6, 24), Stage(2, 5, 2, 6, 40), Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112), Stage(4, 5, 2, 6, 192), Stage(1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32


class _Lite:
    """Writes the layers from the image to the logits."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._weights = weights
        self._writer = OnnxWriter('efficientnet-lite0')
        self._used: set[str] = set()

    def _take(self, name: str) -> np.ndarray:
        if name not in self._weights:
            raise ModelError(f'EfficientNet-Lite0: the checkpoint has no {name}')
        self._used.add(name)
        return self._weights[name].astype(np.float64)

    def _conv(self, source: str, size: int, conv: str, norm: str, *, stride: int = 1,
              depthwise: bool = False, relu6: bool = True) -> tuple[str, int]:
        """Convolution, batch normalisation (folded) and ReLU6; returns the tensor and its side."""
        weight = self._take(f'{conv}.weight')
        factor = self._take(f'{norm}.weight') / np.sqrt(
            self._take(f'{norm}.running_var') + _BATCH_NORM_EPSILON)
        bias = self._take(f'{norm}.bias') - self._take(f'{norm}.running_mean') * factor
        kernel = weight.shape[2]
        # TensorFlow's SAME padding: the odd pixel goes to the right and the bottom.
        out_size = -(-size // stride)
        total = max((out_size - 1) * stride + kernel - size, 0)
        begin = total // 2
        tensor = self._writer.conv(
            source, conv.lstrip('_'), weight * factor[:, None, None, None], bias, stride=stride,
            pads=[begin, begin, total - begin, total - begin],
            group=weight.shape[0] if depthwise else 1)
        if relu6:
            tensor = self._writer.node('Clip', [tensor, 'zero', 'six'], f'{tensor}.relu6')
        return tensor, out_size

    def _block(self, source: str, size: int, index: int, stage: Stage, stride: int,
               channels_in: int) -> tuple[str, int]:
        prefix = f'_blocks.{index}'
        tensor, out_size = source, size
        if stage.expand != 1:
            tensor, out_size = self._conv(tensor, size, f'{prefix}._expand_conv', f'{prefix}._bn0')
        tensor, out_size = self._conv(
            tensor, out_size, f'{prefix}._depthwise_conv', f'{prefix}._bn1', stride=stride,
            depthwise=True)
        tensor, out_size = self._conv(
            tensor, out_size, f'{prefix}._project_conv', f'{prefix}._bn2', relu6=False)
        if stride == 1 and channels_in == stage.channels:
            tensor = self._writer.node('Add', [tensor, source], f'blocks.{index}.skip')
        return tensor, out_size

    def write(self, metadata: Mapping[str, str]) -> bytes:
        writer = self._writer
        writer.constant('zero', np.array(0, np.float32))
        writer.constant('six', np.array(6, np.float32))
        tensor, size = self._conv('images', INPUT_SIZE, '_conv_stem', '_bn0', stride=2)
        channels, index = _STEM_CHANNELS, 0
        for stage in LITE0_STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                tensor, size = self._block(tensor, size, index, stage, stride, channels)
                channels, index = stage.channels, index + 1
        tensor, size = self._conv(tensor, size, '_conv_head', '_bn1')
        tensor = writer.node('GlobalAveragePool', [tensor], 'pool')
        tensor = writer.node('Flatten', [tensor], 'features', axis=1)
        weight, bias = self._take('_fc.weight'), self._take('_fc.bias')
        writer.node('Gemm', [
            tensor, writer.constant('fc.weight', weight.astype(np.float32)),
            writer.constant('fc.bias', bias.astype(np.float32))], 'logits', transB=1)
        # Inference needs all weights except the step counters of batch normalisation.
        left = [name for name in self._weights
                if name not in self._used and not name.endswith('num_batches_tracked')]
        if left:
            raise ModelError(
                f'EfficientNet-Lite0: the checkpoint has {len(left)} weights that this network does '
                f'not have: {", ".join(left[:3])}')
        return writer.finish(
            {'images': (1, 3, INPUT_SIZE, INPUT_SIZE)}, {'logits': (1, len(bias))}, metadata)


def convert_efficientnet_lite0(
    weights: Mapping[str, np.ndarray], metadata: Mapping[str, str],
) -> bytes:
    """Convert EfficientNet-Lite0 weights to the bytes of an ONNX file (opset 13).

    weights: arrays by the names of EfficientNet-PyTorch's state_dict
    metadata: becomes the model's metadata_props

    Input `images` (1, 3, 224, 224) float32, RGB as (pixel - 127) / 128. Output `logits` (1, classes) float32, before
    softmax. Batch normalisation is folded. Raises ModelError when weights are missing, superfluous or misshapen.
    """
    return _Lite(weights).write(metadata)
