# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""CUDA by pycuda."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....dependencies import require

# CU_STREAM_NON_BLOCKING: work on the default stream must neither wait for this stream nor break its capture.
_NON_BLOCKING = 1


class PycudaProvider:
    """The calls of Provider by pycuda."""

    package = 'pycuda'

    def __init__(self) -> None:
        self._cuda: Any = require('pycuda.driver')
        self.error: type[Exception] = self._cuda.Error

    def device_count(self) -> int:
        """See Provider."""
        self._cuda.init()
        return int(self._cuda.Device.count())

    def device(self, index: int) -> _Device:
        """See Provider."""
        return _Device(self._cuda, index)

    def is_out_of_memory(self, error: Exception) -> bool:
        """See Provider."""
        return isinstance(error, self._cuda.MemoryError)

    def create_stream(self) -> tuple[int, Any]:
        """See Provider."""
        stream = self._cuda.Stream(_NON_BLOCKING)
        return int(stream.handle), stream

    def destroy_stream(self, stream: Any) -> None:
        """See Provider. pycuda destroys the stream with its object."""

    def synchronize(self, stream: Any) -> None:
        """See Provider."""
        stream.synchronize()

    def allocate(self, size: int) -> tuple[int, Callable[[], None]]:
        """See Provider."""
        allocation = self._cuda.mem_alloc(size)
        return int(allocation), allocation.free

    def allocate_host(
        self, size: int, mapped: bool, write_combined: bool,
    ) -> tuple[np.ndarray, int, Callable[[], None]]:
        """See Provider."""
        known = self._cuda.host_alloc_flags
        flags = (known.DEVICEMAP if mapped else 0) | (known.WRITECOMBINED if write_combined else 0)
        array = self._cuda.pagelocked_empty(size, np.uint8, mem_flags=flags)
        return array, int(array.base.get_device_pointer()) if mapped else 0, array.base.free

    def upload(self, target: int, source: np.ndarray, stream: Any) -> None:
        """See Provider."""
        self._cuda.memcpy_htod_async(target, source, stream)

    def download(self, target: np.ndarray, source: int, stream: Any) -> None:
        """See Provider."""
        self._cuda.memcpy_dtoh_async(target, source, stream)

    def memory(self) -> tuple[int, int]:
        """See Provider."""
        free, total = self._cuda.mem_get_info()
        return int(free), int(total)


class _Device:
    def __init__(self, cuda: Any, index: int) -> None:
        self._device = cuda.Device(index)
        self.name = str(self._device.name())
        self.compute_capability: tuple[int, int] = tuple(self._device.compute_capability())
        self.integrated = bool(self._device.get_attribute(cuda.device_attribute.INTEGRATED))

    def retain_context(self) -> _Context:
        return _Context(self._device.retain_primary_context())


class _Context:
    def __init__(self, context: Any) -> None:
        self._context = context
        self.push = context.push
        self.pop = context.pop
        # pycuda aborts the process if a thread ends with a context on its stack; detach takes it off pycuda's.
        self.release = context.detach
