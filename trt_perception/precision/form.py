# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The forms of int8 files: where an int8 model has QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..ort.saturation import exact_weight_bits
from .cpu_form import CpuForm
from .graph import read_record
from .openvino_form import OpenVinoForm
from .quantizer import insert_qdq, read_by
from .ranges import Histogram

FORMS = ('tensorrt', 'cpu', 'openvino')


class Form(Protocol):
    """Inserts the Q/DQ pairs."""

    @property
    def identity(self) -> dict[str, Any]:
        """Entries for the file's record and for its name in the cache; {} for the usual form."""

    def tensors(self, model: Any, layers: Collection[str]) -> list[str]:
        """Return the names of the tensors that are quantised if these layers are int8, for calibration."""

    def insert(
        self, model: Any, seen: Mapping[str, Histogram], thresholds: Mapping[str, float], layers: Collection[str],
    ) -> Any:
        """Return a copy of the float model with these layers in int8.

        seen: the values of each tensor of `tensors`; thresholds: the largest absolute value of each to represent
        layers: names of nodes of `weighted_nodes`
        Raises ModelError if ONNX Runtime's quantiser fails.
        """


class TensorRtForm:
    """Symmetric int8 at the input and the weights of each layer, as TensorRT fuses it."""

    @property
    def identity(self) -> dict[str, Any]:
        """Return {}: a file of this form stays the same file."""
        return {}

    def tensors(self, model: Any, layers: Collection[str]) -> list[str]:
        """Return the names of the layers' inputs."""
        return read_by(model, layers)

    def insert(
        self, model: Any, seen: Mapping[str, Histogram], thresholds: Mapping[str, float], layers: Collection[str],
    ) -> Any:
        """Return a copy with these layers in int8; `seen` is not needed."""
        return insert_qdq(model, thresholds, layers)


def form_of(name: str) -> Form:
    """Return the form of FORMS with this name, with weights that are exact on this CPU; ModelError, EngineError."""
    if name == 'cpu':
        return CpuForm(exact_weight_bits())
    return OpenVinoForm(exact_weight_bits()) if name == 'openvino' else TensorRtForm()


def made_for_other_runtimes(path: Path) -> bool:
    """Return whether this package made this file in int8, but not for ONNX Runtime; ModelError if unreadable."""
    record = read_record(path)
    return record.get('precision') == 'int8' and record.get('form') != 'cpu'


USUAL_FORM: Form = TensorRtForm()
