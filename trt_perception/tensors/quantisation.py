# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantised tensors: integers that stand for real numbers, real = (stored - zero_point) * scale.

The same rule holds in ONNX (QuantizeLinear, DequantizeLinear) and in TensorFlow Lite
(https://ai.google.dev/edge/litert/models/quantization_spec).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quantisation:
    """How the integers of a tensor stand for real numbers.

    dtype: uint8, int8, uint16 or int16
    scales, zero_points: one number for the whole tensor, or one for each entry of the dimension `axis`
    """

    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    def stored(self, real: np.ndarray) -> np.ndarray:
        """Return real numbers as `dtype`; only for a tensor with one scale."""
        return to_stored(real, self.scales[0], self.zero_points[0], np.dtype(self.dtype))

    def real(self, stored: np.ndarray) -> np.ndarray:
        """Return stored numbers as float32."""
        return to_real(stored, self.scales, self.zero_points, self.axis)

    def describe(self) -> str:
        """Return the rule, such as 'value = (number +128) * 0.00390625'."""
        if len(self.scales) > 1:
            return f'value = (number - zero point) * scale, {len(self.scales)} channels'
        return rule_text(self.scales[0], self.zero_points[0])


def real_outputs(
    outputs: Mapping[str, np.ndarray], quantised: Sequence[tuple[str, Quantisation]],
) -> Mapping[str, np.ndarray]:
    """Return the outputs of a network, the quantised ones as float32."""
    rules = dict(quantised)
    if not rules:
        return outputs
    return {
        name: rules[name].real(array) if name in rules and array.dtype.kind in 'iu' else array
        for name, array in outputs.items()}


def rule_text(scale: float, zero_point: int) -> str:
    """Return what a stored number stands for, such as 'value = (number +128) * 0.00390625'."""
    return f'value = (number {-zero_point:+d}) * {scale:.6g}'


def to_stored(real: np.ndarray, scale: float, zero_point: int, dtype: np.dtype) -> np.ndarray:
    """Return round(real / scale) + zero_point within the range of `dtype`; halves are rounded to even numbers."""
    limits = np.iinfo(dtype)
    codes = real * np.float32(1.0 / scale)
    codes += np.float32(zero_point)
    np.rint(codes, out=codes)
    stored: np.ndarray = np.clip(codes, limits.min, limits.max, out=codes).astype(dtype)
    return stored


def to_real(
    stored: np.ndarray, scales: Sequence[float] | np.ndarray, zero_points: Sequence[int] | np.ndarray, axis: int = 0,
) -> np.ndarray:
    """Return (stored - zero_point) * scale as float32.

    scales, zero_points: one number, or one for each entry of the dimension `axis`
    """
    factors, zeros = np.asarray(scales, np.float32), np.asarray(zero_points).astype(np.float32)
    if factors.size > 1:
        shape = [1] * stored.ndim
        shape[axis] = -1
        factors, zeros = factors.reshape(shape), zeros.reshape(shape)
    real: np.ndarray = (stored.astype(np.float32) - zeros) * factors
    return real
