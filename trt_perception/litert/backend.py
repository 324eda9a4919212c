# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""LiteRT (the package ai-edge-litert) on the CPU."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..closing import Closing
from ..dependencies import require
from ..errors import EngineError, ModelError, one_line, printable, reason
from ..tensors.quantisation import to_real, to_stored

_LONGEST_REASON = 400


class LiteRtBackend(Closing):
    """Runs a .tflite file on the CPU, with the XNNPACK kernels that LiteRT contains.

    Quantised inputs are quantised here and quantised outputs are dequantised (tensors/quantisation.py), so callers see
    real numbers.

    num_threads: threads for one inference, at least 1; at most one on each processor
    """

    name = 'litert'

    def __init__(self, path: Path, num_threads: int = 1) -> None:
        self._path = Path(path)
        self._num_threads = num_threads
        self._interpreter: Any = None
        self._input: dict[str, Any] = {}
        self._outputs: dict[str, dict[str, Any]] = {}

    def open(self) -> None:
        """Load the model; ModelError if LiteRT rejects it."""
        interpreter = require('ai_edge_litert.interpreter').Interpreter
        try:
            # LiteRT would map the file. A file that is overwritten while it is mapped ends the process.
            content = self._path.read_bytes()
        except OSError as error:
            raise ModelError(f'{self._path} cannot be read: {reason(error)}') from error
        try:
            threads = min(self._num_threads, os.cpu_count() or 1)
            self._interpreter = interpreter(model_content=content, num_threads=threads)
            self._allocate()
        except (ValueError, RuntimeError) as error:
            self.close()
            raise ModelError(
                f'LiteRT {_version()} cannot load {self._path}: {_reason(error)}{_remedy(error)}') from error

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; returns each output by name, as float32 if it is quantised. EngineError if the run fails.

        input_name: not used, because the model has one input
        tensor: the input of the model's shape; a model with a dynamic shape is resized to it
        """
        if self._interpreter is None:
            raise EngineError('the LiteRT interpreter is not open')
        try:
            if tuple(self._input['shape']) != tensor.shape:
                self._interpreter.resize_tensor_input(self._input['index'], tensor.shape, strict=True)
                self._allocate()
            self._interpreter.set_tensor(self._input['index'], quantised(tensor, self._input))
            self._interpreter.invoke()
            return {
                name: dequantised(self._interpreter.get_tensor(detail['index']), detail)
                for name, detail in self._outputs.items()}
        except (ValueError, RuntimeError) as error:
            raise EngineError(f'LiteRT failed on {self._path.name}: {_reason(error)}') from error

    def describe(self) -> dict[str, str]:
        """Return backend, version and device, for diagnostics."""
        require('ai_edge_litert')
        return {'backend': self.name, 'backend_version': _version(), 'device': 'CPU'}

    def close(self) -> None:
        """Free the interpreter."""
        self._interpreter = None

    def _allocate(self) -> None:
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = dict(zip(
            unique_names([detail['name'] for detail in self._interpreter.get_output_details()]),
            self._interpreter.get_output_details()))


def unique_names(names: list[str]) -> list[str]:
    """Return the names of the outputs; a name that occurs again gets its number, as in ['a', 'a#1']."""
    return [name if name not in names[:index] else f'{name}#{index}' for index, name in enumerate(names)]


def quantised(tensor: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Return real numbers as the input's type: stored = round(real / scale) + zero_point, within the type's range.

    detail: of Interpreter.get_input_details: dtype, quantization (scale, zero_point); the scale is 0 if not quantised
    """
    scale, zero_point = detail['quantization']
    dtype = np.dtype(detail['dtype'])
    if dtype == tensor.dtype or not scale:
        return tensor
    return to_stored(tensor, scale, zero_point, dtype)


def dequantised(tensor: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Return (stored - zero_point) * scale as float32; a tensor that is not quantised is returned unchanged.

    detail: of Interpreter.get_output_details: quantization_parameters with arrays of scales and zero points, and the
        dimension of a quantisation by channel
    """
    parameters = detail['quantization_parameters']
    scales = np.asarray(parameters['scales'], np.float32)
    if tensor.dtype.kind not in 'iu' or not scales.size or not scales.any():
        return tensor
    return to_real(tensor, scales, parameters['zero_points'], int(parameters.get('quantized_dimension', 0)))


def _version() -> str:
    try:
        return importlib.metadata.version('ai-edge-litert')
    except importlib.metadata.PackageNotFoundError:
        return 'of an unknown version'


def _reason(error: Exception) -> str:
    return printable(one_line(error, _LONGEST_REASON)) or type(error).__name__


def _remedy(error: Exception) -> str:
    text = str(error)
    if 'Select TensorFlow op' in text or 'Flex' in text:
        return '; export the model with LiteRT operators only (TFLITE_BUILTINS, without SELECT_TF_OPS)'
    if 'custom op' in text:
        return '; export the model without custom operators: without NMS in the network, and not for the Edge TPU'
    if 'version' in text:
        return '; install a newer ai-edge-litert, or export the model with an older converter'
    return '; copy or export the model again'
