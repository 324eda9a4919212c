# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays on the GPU of any library: by __cuda_array_interface__, which PyTorch, CuPy, pycuda and Numba have.

https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html, versions 2 and 3.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError
from ..pipeline.raw import DeviceBackend

# The default stream of CUDA, on which libraries without streams work.
_DEFAULT_STREAM = 0


class DeviceArray:
    """A result on the GPU. CuPy, Numba and PyTorch read it without a copy; `numpy()` copies it to the host.

    Keep it until the work that reads it is done: its memory is used again for later results.

    shape, dtype: as in NumPy
    """

    def __init__(self, backend: DeviceBackend, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Take memory of the backend. A call of an Engine returns it to programs."""
        self.shape = shape
        self.dtype = dtype
        self._backend = backend
        self._address = backend.borrow(math.prod(shape) * dtype.itemsize)

    @property
    def address(self) -> int:
        """Address on the GPU; valid until the engine is closed or this object is gone."""
        return self._address

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        # stream None: the data is there already.
        return {
            'shape': self.shape, 'typestr': self.dtype.str, 'data': (self._address, False), 'strides': None,
            'version': 3, 'stream': None}

    def numpy(self) -> npt.NDArray[Any]:
        """Return a copy in host memory; EngineError if the engine is closed."""
        array = np.empty(self.shape, self.dtype)
        self._backend.download(self._address, array)
        return array

    def __del__(self) -> None:
        address = getattr(self, '_address', 0)
        if address:
            self._backend.give_back(address)

    def __reduce__(self) -> Any:
        """Refuse pickle and copy: two objects would give the same memory back."""
        raise TypeError(f'{self!r} cannot be copied or sent to another process: take its .numpy()')

    def __repr__(self) -> str:
        """Return dtype and shape."""
        return f'<trt_perception.DeviceArray {self.dtype} {list(self.shape)}>'


class DeviceView(NamedTuple):
    """An array of another library on the GPU.

    stream: on which its data is made; None if the data is there already
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype
    stream: int | None


def device_view(interface: dict[str, Any], what: str) -> DeviceView:
    """Read a `__cuda_array_interface__`; ParameterError for an array that is masked or not contiguous."""
    shape = tuple(interface['shape'])
    dtype = np.dtype(interface['typestr'])
    if interface.get('mask') is not None:
        raise ParameterError(f'{what} has a mask: expected an array without one')
    strides = interface.get('strides')
    if strides is not None and math.prod(shape) > 1 and not _is_contiguous(shape, tuple(strides), dtype.itemsize):
        raise ParameterError(f'{what} is not contiguous (strides {list(strides)}): make a contiguous copy of it')
    stream = interface.get('stream', None if interface.get('version', 0) >= 3 else _DEFAULT_STREAM)
    return DeviceView(int(interface['data'][0] or 0), shape, dtype, stream)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    expected = itemsize
    for size, stride in zip(reversed(shape), reversed(strides)):
        # The stride of a dimension of 1 has no effect.
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
