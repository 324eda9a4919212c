# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a TorchScript file with the preprocessing and the head of an ONNX file, for comparisons only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import EngineError, ModelError, one_line
from ..model.spec import ModelSpec


class TorchScriptBackend:
    """A Backend over torch.jit: on the GPU if PyTorch has one, otherwise on the CPU."""

    name = 'pytorch'

    def __init__(self, path: Path, spec: ModelSpec, num_threads: int = 0) -> None:
        self._path = path
        self._output = spec.head.output_names[0]
        self._num_threads = num_threads
        self._module: Any = None
        self._torch: Any = None
        self._device = 'cpu'

    def open(self) -> None:
        """Load the file. Raises ModelError if it is not TorchScript."""
        self._torch = torch = require('torch')
        if self._num_threads:
            torch.set_num_threads(self._num_threads)
        self._device = 'cuda' if torch.cuda.is_available() else 'cpu'
        try:
            self._module = torch.jit.load(str(self._path), map_location=self._device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f'{self._path.name}: expected a TorchScript file, as torch.jit.save writes it, found another file '
                f'({one_line(error)[:120]})') from error

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once, with the copies to and from the device; returns the output that the head reads."""
        torch = self._torch
        with torch.inference_mode():
            try:
                output = self._module(torch.from_numpy(tensor).to(self._device))
            except RuntimeError as error:
                raise EngineError(f'{self._path.name} failed: {one_line(error)[-200:]}') from error
        while isinstance(output, (list, tuple)):
            output = output[0]
        if isinstance(output, dict):
            output = output.get(self._output, next(iter(output.values())))
        return {self._output: output.float().cpu().numpy()}

    def describe(self) -> dict[str, str]:
        """Return backend, backend_version, device."""
        device = self._torch.cuda.get_device_name() if self._device == 'cuda' else 'CPU'
        return {'backend': self.name, 'backend_version': str(self._torch.__version__), 'device': device}

    def close(self) -> None:
        """Free the module."""
        self._module = None
