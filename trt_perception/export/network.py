# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Network: a PyTorch module with everything that its ONNX file says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dependencies import require
from ..errors import ModelError, one_line

DEFAULT_SIZE = (224, 224)


@dataclass(frozen=True)
class Network:
    """A PyTorch module in evaluation mode, which takes float32 [N, channels, height, width] on the CPU.

    file_name: name of the ONNX file without its suffix
    source: origin of the network and its weights, for the metadata and the user
    size: width, height of its input in pixels, unless the user chooses another one
    metadata: entries for the ONNX file, as Ultralytics' exporter and normalisation.py name them
    is_script: whether it is a TorchScript module
    notes: what the user should know about this network
    """

    module: Any
    file_name: str
    source: str
    size: tuple[int, int] = DEFAULT_SIZE
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_script: bool = False
    notes: Sequence[str] = ()


def in_evaluation_mode(module: Any) -> Any:
    """Return the module on the CPU in float32, without dropout and with the stored statistics of its batch norms."""
    try:
        module = module.cpu().float()
        # A frozen TorchScript module has no mode.
        return module.eval() if hasattr(module, 'training') else module
    except Exception as error:  # code of the user
        raise ModelError(
            f'the network cannot be moved to the CPU and set to evaluation mode: {one_line(error, 200)}') from error


def tensors_of(output: Any) -> list[Any]:
    """Return the tensors of a module's output in the order in which PyTorch exports them.

    Raises ModelError for another type than tensors, lists, tuples and dicts of them.
    """
    if isinstance(output, require('torch').Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return [tensor for part in output if part is not None for tensor in tensors_of(part)]
    raise ModelError(f'the network returns {type(output).__name__}: expected a tensor, or a list of tensors')
