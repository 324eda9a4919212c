# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""External data: tensors of an ONNX file whose values are in other files (onnx.proto3, TensorProto.external_data).

A location is a path relative to the model's folder. It comes from the model file, so it is checked before a file is
opened: libraries differ in what they refuse, and ONNX Runtime before 1.24 follows ../../etc/passwd.

The real file, after symbolic links, must lie in the folder of the model's path or in the folder of the real model
file. So links inside the folder work, and so do the snapshots of Hugging Face: there model.onnx and model.onnx_data
are both links into the folder blobs. ONNX Runtime from 1.24 on has the same rule.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, printable, reason
from .file_kinds import LFS_POINTER
from .onnx_tensors import all_tensors

# TensorProto.DataLocation.
_DEFAULT, _EXTERNAL = 0, 1
# Bits of one element, by TensorProto.DataType. The 4-bit and 2-bit types are packed. Strings cannot be external.
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16, 17: 8,
    18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2}
_SHOWN = 80


@dataclass(frozen=True)
class ExternalTensor:
    """A tensor in another file: its onnx.TensorProto, the file, and the bytes from `offset` on that hold its values."""

    tensor: Any
    location: str
    file: Path
    offset: int
    length: int


def external_tensors(path: Path, proto: Any) -> tuple[ExternalTensor, ...]:
    """Return the external tensors of the model at `path`, checked; opens no file except to explain an error.

    Raises ModelError if a location is not a regular file in the model's folder, or if the file is too short.
    """
    files: dict[str, tuple[Path, int]] = {}
    found = []
    for tensor in all_tensors(proto):
        if tensor.data_location != _EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get('location', '')
        if location not in files:
            files[location] = _checked(path, location, tensor.name)
        file, size = files[location]
        offset, length = _part(path, tensor, location, entries, size)
        found.append(ExternalTensor(tensor, location, file, offset, length))
    return tuple(found)


def external_files(path: Path, proto: Any) -> dict[str, Path]:
    """Return the external data files by their locations, sorted; checked as by external_tensors."""
    files = {part.location: part.file for part in external_tensors(path, proto)}
    return {location: files[location] for location in sorted(files)}


def load_external_data(path: Path, proto: Any) -> None:
    """Read the external tensors into `proto`; afterwards it has none. Raises ModelError.

    onnx.load is not used: from onnx 1.21 on it refuses every symbolic link, so also the snapshots of Hugging Face.
    """
    for part in external_tensors(path, proto):
        part.tensor.raw_data = external_bytes(path, part)
        part.tensor.data_location = _DEFAULT
        del part.tensor.external_data[:]


def external_bytes(path: Path, part: ExternalTensor) -> bytes:
    """Return the stored values of an external tensor of the model at `path`; ModelError if they cannot be read."""
    try:
        with part.file.open('rb') as file:
            file.seek(part.offset)
            content = file.read(part.length)
    except OSError as error:
        raise _unreadable(path, part.location, error) from error
    if len(content) < part.length:
        # It was cut after the check.
        raise _too_short(path, part.tensor, part.location, part.offset, part.length, part.offset + len(content))
    return content


def stored_bytes(path: Path, proto: Any) -> int:
    """Return the size of the model: its ONNX file and its external data files."""
    return path.stat().st_size + sum(file.stat().st_size for file in external_files(path, proto).values())


def _checked(path: Path, location: str, tensor: str) -> tuple[Path, int]:
    """Return the file of a location and its size in bytes."""
    if not location or '\0' in location:
        raise ModelError(
            f"{path.name} has weights in another file, but names it '{shown(location)}' (tensor {shown(tensor)}): "
            'expected the name of a file in the folder of the model; export it again')
    # Checked as text first: whether a file exists elsewhere is not the business of a model.
    is_absolute = Path(location).is_absolute()
    if is_absolute or os.pardir in Path(os.path.normpath(location)).parts[:1]:
        raise ModelError(
            f'{path.name} has weights in {shown(location)}, {"an absolute path, so" if is_absolute else "which is"} '
            f'outside its folder: expected a file in {path.parent}; export the model again, with its external data in '
            'the same folder')
    file = path.parent / location
    try:
        real = Path(os.path.realpath(file, strict=True))
        if not any(real.is_relative_to(folder) for folder in _folders(path)):
            raise ModelError(
                f'{path.name} has weights in the file {shown(location)}, a link to {printable(real)}, which is outside '
                f'its folder: expected a file in {path.parent}; copy that file to the place of the link, if you trust '
                'the model')
        status = real.stat()
    except FileNotFoundError as error:
        raise ModelError(
            f'{path.name} has weights in the file {shown(location)}, which is missing in {path.parent}: copy that '
            'file too') from error
    except OSError as error:
        raise _unreadable(path, location, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = 'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or a device'
        raise ModelError(
            f'{path.name} has weights in {shown(location)}, which is {kind}: expected a regular file; copy the file '
            'again, or export the model again')
    return file, status.st_size


def _folders(path: Path) -> Iterator[Path]:
    yield Path(os.path.realpath(path.parent))
    yield Path(os.path.realpath(path)).parent


def _part(
    path: Path, tensor: Any, location: str, entries: dict[str, str], size: int,
) -> tuple[int, int]:
    """Return the offset and the length in bytes of a tensor's values; ModelError if the file does not hold them."""
    offset, given = (_number(path, tensor, entries, key) for key in ('offset', 'length'))
    start = offset or 0
    needed = _needed(tensor)
    if given is not None and needed is not None and given < needed:
        raise ModelError(
            f'{path.name} is damaged: tensor {shown(tensor.name)} has {given} bytes in {shown(location)}, but its '
            f'shape {list(tensor.dims)} needs {needed}; copy or export the model again')
    length = given if given is not None else needed
    if length is None:
        length = max(0, size - start)
    if start + length > size:
        raise _too_short(path, tensor, location, start, length, size)
    return start, length if needed is None else needed


def _number(path: Path, tensor: Any, entries: dict[str, str], key: str) -> int | None:
    text = entries.get(key)
    if text is None:
        return None
    # int() also accepts '1_0', ' 1' and other digits.
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ModelError(
            f"{path.name} is damaged: the {key} of tensor {shown(tensor.name)} in its external data is "
            f"'{shown(text)}'; expected a number of bytes, 0 or more; export the model again")
    return int(text)


def _needed(tensor: Any) -> int | None:
    """Return the bytes that the values of a tensor take, None if its type or shape is unknown."""
    bits = _BITS.get(tensor.data_type)
    if bits is None or any(size < 0 for size in tensor.dims):
        return None
    return (int(math.prod(tensor.dims)) * bits + 7) // 8


def _too_short(path: Path, tensor: Any, location: str, start: int, length: int, size: int) -> ModelError:
    file = path.parent / location
    try:
        with file.open('rb') as opened:
            is_pointer = opened.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        is_pointer = False
    if is_pointer:
        return ModelError(
            f'{path.name} has weights in the file {shown(location)}, which is a Git LFS pointer, not the weights: run '
            'git lfs pull')
    return ModelError(
        f'{path.name} has weights in the file {shown(location)}, which is too short: tensor {shown(tensor.name)} is at '
        f'bytes {start} to {start + length}, but the file has {size} bytes; copy that file again, completely')


def _unreadable(path: Path, location: str, error: OSError) -> ModelError:
    return ModelError(
        f'{path.name} has weights in the file {shown(location)}, which cannot be read: {reason(error)}')


def shown(text: str) -> str:
    """Return a name out of a model file for a message: printable and not too long."""
    return printable(text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...')
