# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Loads and launches the project's CUDA kernels."""

from __future__ import annotations

import ctypes

from .driver import CudaDriver


class KernelModule:
    """Kernels of one compiled module. Create and use it with the context current; raises CudaFailure."""

    def __init__(self, driver: CudaDriver, cubin: bytes) -> None:
        self._driver = driver
        self._module = driver.load_module(cubin)
        self._functions: dict[str, int] = {}

    def launch(
        self, name: str, size: tuple[int, int], block: tuple[int, int], argument: ctypes.Structure, stream: int,
    ) -> None:
        """Queue a kernel over at least `size` threads (x, y), in blocks of `block`."""
        if name not in self._functions:
            self._functions[name] = self._driver.module_function(self._module, name)
        grid = (-(-size[0] // block[0]), -(-size[1] // block[1]))
        self._driver.launch(self._functions[name], grid, block, argument, stream)

    def free(self) -> None:
        """Unload the module; does nothing the second time."""
        module, self._module = self._module, 0
        self._functions.clear()
        if module:
            self._driver.unload_module(module)
