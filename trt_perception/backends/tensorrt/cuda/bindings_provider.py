# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""CUDA by NVIDIA's cuda-bindings. It has wheels, so nothing is compiled on a robot."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ....dependencies import require

_NAME_LENGTH = 256


class BindingsError(Exception):
    """A call of cuda-bindings failed. code: its CUresult."""

    def __init__(self, function: str, code: Any) -> None:
        name = getattr(code, 'name', str(code))
        super().__init__(f'{function} failed: {name.removeprefix("CUDA_ERROR_").replace("_", " ").lower()}')
        self.code = code


class BindingsProvider:
    """The calls of Provider by cuda-bindings.

    Each function of cuda-bindings returns a tuple: a CUresult, then its values. It waits without Python's lock.
    """

    package = 'cuda-bindings'
    error: type[Exception] = BindingsError

    def __init__(self) -> None:
        self._cuda: Any = require('cuda.bindings.driver')
        self._success = self._cuda.CUresult.CUDA_SUCCESS

    def device_count(self) -> int:
        """See Provider."""
        code = self._cuda.cuInit(0)[0]
        if code == self._cuda.CUresult.CUDA_ERROR_NO_DEVICE:
            return 0
        self._check('cuInit', code)
        return int(self._call('cuDeviceGetCount'))

    def device(self, index: int) -> _Device:
        """See Provider."""
        return _Device(self._cuda, self._call, index)

    def is_out_of_memory(self, error: Exception) -> bool:
        """See Provider."""
        return isinstance(error, BindingsError) and error.code == self._cuda.CUresult.CUDA_ERROR_OUT_OF_MEMORY

    def create_stream(self) -> tuple[int, Any]:
        """See Provider."""
        # Work on the default stream must neither wait for this stream nor break its capture.
        stream = self._call('cuStreamCreate', int(self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))
        return int(stream), stream

    def destroy_stream(self, stream: Any) -> None:
        """See Provider."""
        self._call('cuStreamDestroy', stream)

    def synchronize(self, stream: Any) -> None:
        """See Provider."""
        self._check('cuStreamSynchronize', self._cuda.cuStreamSynchronize(stream)[0])

    def allocate(self, size: int) -> tuple[int, Callable[[], None]]:
        """See Provider."""
        address = self._call('cuMemAlloc', size)
        return int(address), lambda: self._call('cuMemFree', address)

    def allocate_host(
        self, size: int, mapped: bool, write_combined: bool,
    ) -> tuple[np.ndarray, int, Callable[[], None]]:
        """See Provider."""
        cuda = self._cuda
        flags = (cuda.CU_MEMHOSTALLOC_DEVICEMAP if mapped else 0) | (
            cuda.CU_MEMHOSTALLOC_WRITECOMBINED if write_combined else 0)
        address = int(self._call('cuMemHostAlloc', size, flags))
        array: np.ndarray = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        on_device = int(self._call('cuMemHostGetDevicePointer', address, 0)) if mapped else 0
        return array, on_device, lambda: self._call('cuMemFreeHost', address)

    def upload(self, target: int, source: np.ndarray, stream: Any) -> None:
        """See Provider."""
        self._check('cuMemcpyHtoDAsync', self._cuda.cuMemcpyHtoDAsync(
            target, _address(source), source.nbytes, stream)[0])

    def download(self, target: np.ndarray, source: int, stream: Any) -> None:
        """See Provider."""
        self._check('cuMemcpyDtoHAsync', self._cuda.cuMemcpyDtoHAsync(
            _address(target), source, target.nbytes, stream)[0])

    def memory(self) -> tuple[int, int]:
        """See Provider."""
        code, free, total = self._cuda.cuMemGetInfo()
        self._check('cuMemGetInfo', code)
        return int(free), int(total)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Call a function. Returns its only value, None if it has none."""
        code, *values = getattr(self._cuda, function)(*arguments)
        self._check(function, code)
        return values[0] if values else None

    def _check(self, function: str, code: Any) -> None:
        if code != self._success:
            raise BindingsError(function, code)


class _Device:
    def __init__(self, cuda: Any, call: Callable[..., Any], index: int) -> None:
        known = cuda.CUdevice_attribute
        self._call = call
        self._device = call('cuDeviceGet', index)
        name = call('cuDeviceGetName', _NAME_LENGTH, self._device)
        self.name = name.split(b'\0', 1)[0].decode(errors='replace')

        def attribute(which: Any) -> int:
            return int(call('cuDeviceGetAttribute', which, self._device))

        self.compute_capability = (
            attribute(known.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
            attribute(known.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR))
        self.integrated = bool(attribute(known.CU_DEVICE_ATTRIBUTE_INTEGRATED))

    def retain_context(self) -> _Context:
        return _Context(self._call, self._device, self._call('cuDevicePrimaryCtxRetain', self._device))


class _Context:
    def __init__(self, call: Callable[..., Any], device: Any, context: Any) -> None:
        self._call = call
        self._device = device
        self._context = context

    def push(self) -> None:
        self._call('cuCtxPushCurrent', self._context)

    def pop(self) -> None:
        self._call('cuCtxPopCurrent')

    def release(self) -> None:
        self._call('cuDevicePrimaryCtxRelease', self._device)


def _address(array: np.ndarray) -> int:
    """Return the address of the first element of a contiguous array."""
    if not array.flags.c_contiguous:
        raise ValueError('the array must be contiguous')
    address: int = array.__array_interface__['data'][0]
    return address
