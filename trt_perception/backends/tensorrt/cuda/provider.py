# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The few calls of CUDA that a session makes through a Python package, and which package provides them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ....advice.platform import this_platform
from ....dependencies import require
from ....errors import MissingDependencyError


class Device(Protocol):
    """A GPU.

    name: of the product; compute_capability: major, minor; integrated: it shares the CPU's memory
    """

    name: str
    compute_capability: tuple[int, int]
    integrated: bool

    def retain_context(self) -> Context:
        """Return the primary context, which is retained but not current."""


class Context(Protocol):
    """The primary context of a GPU."""

    def push(self) -> None:
        """Make it current in this thread."""

    def pop(self) -> None:
        """Take it off the thread's stack."""

    def release(self) -> None:
        """Give it back. The driver destroys it after the last user."""


class Provider(Protocol):
    """CUDA by one Python package. All calls but `device_count` and `device` need a current context.

    package: its name on PyPI
    error: base class of the exceptions of its calls
    """

    package: str
    error: type[Exception]

    def device_count(self) -> int:
        """Start CUDA; return the number of GPUs."""

    def device(self, index: int) -> Device:
        """Return a GPU. The index must exist."""

    def is_out_of_memory(self, error: Exception) -> bool:
        """Return whether this exception says that memory is missing."""

    def create_stream(self) -> tuple[int, Any]:
        """Return a stream as an integer, and an object that keeps it. It does not wait for the default stream."""

    def destroy_stream(self, stream: Any) -> None:
        """Destroy a stream. stream: the object of create_stream, which must not be used after that."""

    def synchronize(self, stream: Any) -> None:
        """Wait for the work of a stream, without Python's lock. stream: the object of create_stream."""

    def allocate(self, size: int) -> tuple[int, Callable[[], None]]:
        """Return the address of GPU memory of `size` bytes, and what frees it."""

    def allocate_host(
        self, size: int, mapped: bool, write_combined: bool,
    ) -> tuple[np.ndarray, int, Callable[[], None]]:
        """Return page-locked memory as (size,) uint8, its address for the GPU or 0, and what frees it."""

    def upload(self, target: int, source: np.ndarray, stream: Any) -> None:
        """Queue a copy of a contiguous array to an address on the GPU."""

    def download(self, target: np.ndarray, source: int, stream: Any) -> None:
        """Queue a copy from an address on the GPU into a contiguous array."""

    def memory(self) -> tuple[int, int]:
        """Return free and total bytes of the GPU's memory."""


def cuda_provider() -> Provider:
    """Return the provider: pycuda if it is installed, else cuda-bindings.

    Raises MissingDependencyError with the commands of both if neither can be imported.
    """
    try:
        require('pycuda.driver')
    except MissingDependencyError as error:
        try:
            require('cuda.bindings.driver')
        except MissingDependencyError:
            raise MissingDependencyError(
                f'{error}; if pycuda cannot be compiled, use wheels: run {this_platform().pip("cuda-bindings")}'
            ) from None
        from .bindings_provider import BindingsProvider
        return BindingsProvider()
    from .pycuda_provider import PycudaProvider
    return PycudaProvider()
