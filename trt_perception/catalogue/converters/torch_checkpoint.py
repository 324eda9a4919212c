# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a PyTorch checkpoint of tensors without PyTorch and without running code that it names.

A checkpoint in the format of PyTorch before 1.6 is a sequence of pickles (magic number, protocol version, system,
object, storage keys), followed by the raw storages: for each an int64 count and little-endian numbers. An ordinary
unpickler would call any function that the file names. This one accepts only OrderedDict and tensors.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP_MAGIC = b'PK\x03\x04'
_STORAGE_DTYPES = {
    'DoubleStorage': '<f8', 'FloatStorage': '<f4', 'HalfStorage': '<f2', 'LongStorage': '<i8',
    'IntStorage': '<i4', 'ShortStorage': '<i2', 'CharStorage': 'i1', 'ByteStorage': 'u1',
}


@dataclass
class _Storage:
    """A block of numbers; the values come after all pickles."""

    dtype: np.dtype
    count: int
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        if len(self.shape) != len(self.strides) or min((self.offset, *self.shape, *self.strides)) < 0:
            raise ModelError(f'checkpoint: a tensor has shape {self.shape} and strides {self.strides}')
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides))
        if last >= len(self.storage.values):
            raise ModelError(
                f'checkpoint: a tensor of shape {self.shape} reaches past the end of its storage of '
                f'{len(self.storage.values)} numbers')
        item = self.storage.dtype.itemsize
        values: np.ndarray = np.lib.stride_tricks.as_strided(
            self.storage.values[self.offset:], self.shape, [s * item for s in self.strides]).copy()
        return values


def _rebuild_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any = False,
    backward_hooks: Any = None, metadata: Any = None,
) -> _Tensor:
    """Stand in for torch._utils._rebuild_tensor_v2."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or any(type(number) is not int for number in numbers):
        raise pickle.UnpicklingError('a tensor is described by something other than numbers')
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _StorageType:
    """Stands for torch.FloatStorage and similar classes. The file can name it, but not call it."""

    def __init__(self, name: str):
        self.dtype = np.dtype(_STORAGE_DTYPES[name])


class _TensorUnpickler(pickle.Unpickler):
    """Builds numbers, strings, containers and tensors, and nothing else."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding='utf-8')
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return _rebuild_tensor
        if module == 'torch' and name in _STORAGE_DTYPES:
            return _StorageType(name)
        raise pickle.UnpicklingError(f'it asks for {module}.{name}, which is not a tensor')

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 6 and pid[0] == 'storage'
                and isinstance(pid[1], _StorageType) and isinstance(pid[2], str)
                and type(pid[4]) is int and pid[4] >= 0 and pid[5] is None):
            raise pickle.UnpicklingError('it refers to something that is not a storage')
        _, kind, key, _, count, _ = pid
        storage = self._storages.setdefault(key, _Storage(kind.dtype, count))
        if (storage.dtype, storage.count) != (kind.dtype, count):
            raise pickle.UnpicklingError(f'it describes storage {key} in two ways')
        return storage


def read_checkpoint(data: bytes) -> dict[str, np.ndarray]:
    """Read a checkpoint that is a flat dictionary of tensors (a `state_dict`).

    data: the content of a .pth file in the format of PyTorch before 1.6

    Returns the arrays by name, as separate copies. Raises ModelError for another format, a damaged file, or a file that
    names anything but tensors.
    """
    if data.startswith(_ZIP_MAGIC):
        raise ModelError(
            'checkpoint: expected the format of PyTorch before 1.6, found a zip file; save it again '
            'with torch.save(..., _use_new_zipfile_serialization=False)')
    file = io.BytesIO(data)
    storages: dict[str, _Storage] = {}
    try:
        magic, protocol, system, state, keys = (
            _TensorUnpickler(file, storages).load() for _ in range(5))
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
            AttributeError, ImportError, OverflowError, MemoryError) as error:
        raise ModelError(f'checkpoint refused: {error}') from error
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise ModelError('checkpoint: expected a PyTorch checkpoint, found another pickle')
    if not isinstance(system, dict) or system.get('little_endian') is not True:
        raise ModelError('checkpoint: expected little-endian numbers')
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise ModelError('checkpoint: the list of storages does not match the tensors')
    for key in keys:
        _read_storage(file, storages[key])
    if not isinstance(state, dict):
        raise ModelError(f'checkpoint: expected a dictionary of tensors, found {type(state).__name__}')
    arrays = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ModelError(f'checkpoint: expected tensors by name, found {name!r}: {type(tensor).__name__}')
        arrays[name] = tensor.array()
    return arrays


def _read_storage(file: io.BytesIO, storage: _Storage) -> None:
    header = file.read(8)
    count = int.from_bytes(header, 'little')
    raw = file.read(storage.count * storage.dtype.itemsize)
    if len(header) != 8 or count != storage.count or len(raw) != count * storage.dtype.itemsize:
        raise ModelError('checkpoint: the file is cut off, or its numbers are damaged')
    storage.values = np.frombuffer(raw, storage.dtype)
