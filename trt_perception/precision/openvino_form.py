# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The form of an int8 model that OpenVINO runs fastest on a CPU.

OpenVINO lets the layers between two int8 layers write and read uint8 by itself, wherever that is faster, so only the
inputs of int8 layers are quantised. Activations are uint8 with a zero point: behind a ReLU or a SiLU nearly all values
are positive, and OpenVINO computes other results from signed ones behind a Concat (openvino_runtime/unsigned.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .quantizer import OPENVINO_SETTINGS, quantised, read_by
from .ranges import Histogram, represented


@dataclass(frozen=True)
class OpenVinoForm:
    """The `Form` (form.py) for OpenVINO.

    weight_bits: 7 for CPUs whose int8 arithmetic saturates (ort/saturation.py), otherwise 8
    """

    weight_bits: int = 8

    @property
    def identity(self) -> dict[str, Any]:
        """What distinguishes the file from one of the usual form."""
        return {'form': 'openvino', 'weight_bits': self.weight_bits}

    def tensors(self, model: Any, layers: Collection[str]) -> list[str]:
        """Return the names of the layers' inputs."""
        return read_by(model, layers)

    def insert(
        self, model: Any, seen: Mapping[str, Histogram], thresholds: Mapping[str, float], layers: Collection[str],
    ) -> Any:
        """Return a copy of the float model with these layers in int8; ModelError."""
        ranges = {name: represented(seen[name], thresholds[name]) for name in self.tensors(model, layers)}
        return quantised(model, ranges, layers, OPENVINO_SETTINGS, reduce_range=self.weight_bits < 8)
