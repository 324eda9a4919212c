# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds out what a PyTorch file holds, without loading it: a pickle runs the code that it names.

Only the names of a ZIP archive are read, and the opcodes of its pickle as pickletools lists them. Nothing is executed.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import ModelError, one_line, printable, reason

# The pickle of a network has descriptions only; the weights are other members of the archive.
_MOST_PICKLE = 50_000_000
# A file of PyTorch before 1.6: number, version, system, object, keys.
_PICKLES = 5
_CHUNK = 1 << 20
_PICKLE_MARK = b'\x80'
_OTHER_PREFIXES = ('torch.', 'collections.', 'builtins.', '__builtin__.', 'numpy.', 'pathlib.', 'argparse.', '_codecs.')


@dataclass(frozen=True)
class Contents:
    """What a PyTorch file holds.

    kind: torchscript, program (torch.export.save), weights (a state_dict) or module (a pickled network)
    classes: 'module.Class' of the objects that the pickle names, in their order
    keys: the text in the pickle: names of weights and attributes
    """

    kind: str
    classes: tuple[str, ...] = ()
    keys: frozenset[str] = field(default_factory=frozenset)


def contents_of(path: Path) -> Contents:
    """Return what the file holds. Raises ModelError if it cannot be read or is not a PyTorch file."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _of_archive(path, archive)
        with path.open('rb') as file:
            if file.read(1) == _PICKLE_MARK:
                file.seek(0)
                return _of_pickles(path, file, _PICKLES)
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ModelError(f'{path} cannot be read as a PyTorch file: {one_line(reason(error), 200)}') from error
    raise ModelError(f'{path} is not a PyTorch file: expected a TorchScript file, or weights for --weights')


def require_undamaged(path: Path) -> None:
    """Raise ModelError if a member of a ZIP archive has other bytes than were written: PyTorch does not check it."""
    if not zipfile.is_zipfile(path):
        return
    name = ''
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                # PyTorch writes 0 if it is told to save without checksums.
                if info.CRC:
                    name = info.filename
                    with archive.open(info) as file:
                        while file.read(_CHUNK):
                            pass
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise ModelError(
            f'{printable(path.name)} is damaged ({printable(name)}: {one_line(error, 100)}): copy the file again'
        ) from error


def _of_archive(path: Path, archive: zipfile.ZipFile) -> Contents:
    names = archive.namelist()
    parts = [name.partition('/')[2] for name in names]
    if 'constants.pkl' in parts and any(part.startswith('code/') for part in parts):
        return Contents('torchscript')
    if any(part.startswith('models/') and part.endswith('.json') for part in parts) or 'archive_format' in parts:
        return Contents('program')
    pickles = [name for name, part in zip(names, parts) if part == 'data.pkl']
    if not pickles:
        raise ModelError(f'{path} is a ZIP archive without data.pkl: expected a PyTorch file')
    if archive.getinfo(pickles[0]).file_size > _MOST_PICKLE:
        raise ModelError(f'{path}: its pickle has more than {_MOST_PICKLE // 1_000_000} MB: expected a PyTorch file')
    with archive.open(pickles[0]) as file:
        return _of_pickles(path, file, 1)  # type: ignore[arg-type]


def _of_pickles(path: Path, file: BinaryIO, count: int) -> Contents:
    classes: dict[str, None] = {}
    keys: set[str] = set()
    try:
        for _ in range(count):
            # STACK_GLOBAL takes module and name from the stack: the two texts before it, or memoised ones.
            texts: list[str] = []
            for opcode, argument, _position in pickletools.genops(file):
                if opcode.name in ('GLOBAL', 'INST'):
                    classes[str(argument).replace(' ', '.')] = None
                elif opcode.name == 'STACK_GLOBAL' and len(texts) > 1:
                    classes['.'.join(texts[-2:])] = None
                elif isinstance(argument, str):
                    texts.append(argument)
                    keys.add(argument)
    except Exception as error:  # pickletools raises ValueError, UnicodeDecodeError, IndexError and others
        raise ModelError(
            f'{path} has a damaged pickle, or is no PyTorch file: {one_line(error, 200)}; copy the file again'
        ) from error
    named = tuple(classes)
    is_module = any(not name.startswith(_OTHER_PREFIXES) for name in named) or any(
        name.startswith('torch.nn.modules.') for name in named)
    return Contents('module' if is_module else 'weights', named, frozenset(keys))


def refusal(path: Path, found: Contents) -> ModelError:
    """Return the error for a file that export cannot read, with the command or the way that can."""
    name = printable(path.name)
    if found.kind == 'program':
        return ModelError(
            f'{name} is a program of torch.export: expected a TorchScript file; give the function that makes the '
            'network (module:function)')
    family = _family(name, found)
    if family:
        return ModelError(f'{name} is {family[0]} checkpoint: export it with its own project: {family[1]}')
    if found.kind == 'weights':
        return ModelError(
            f'{name} has weights without a network (a state_dict): give the network and --weights {name}, for example '
            f'trt_perception export resnet18 --weights {name}')
    own = next((one for one in found.classes if not one.startswith(_OTHER_PREFIXES)), 'torch.nn')
    return ModelError(
        f'{name} is a pickled network ({printable(own)}), and loading it would run code of the file: write a function '
        'that loads and returns it, and give module:function')


def _family(name: str, found: Contents) -> tuple[str, str] | None:
    """Return (the family with its article, the command of its own exporter); models/README.md has the same lines."""
    classes, keys = found.classes, found.keys

    def has(prefix: str) -> bool:
        return any(one.startswith(prefix) for one in classes)

    # Their classifiers are trained at 224 pixels, their detectors at 640.
    side = 224 if any(one.endswith('.ClassificationModel') for one in classes) else 640
    if has('models.yolo.'):
        if has('models.common.RepConv') or has('models.common.SPPCSPC') or has('models.common.MP'):
            return 'a YOLOv7', f'python export.py --weights {name} --grid --simplify --img-size 640 640'
        return 'a YOLOv5', f'python export.py --weights {name} --include onnx --imgsz {side}'
    if has('ultralytics.'):
        return 'an Ultralytics', f'yolo export model={name} format=onnx imgsz={side}'
    if has('yolov6.'):
        return 'a YOLOv6', f'python deploy/ONNX/export_onnx.py --weights {name} --img 640 --batch 1'
    if any(key.startswith('backbone.backbone.dark') for key in keys):
        return 'a YOLOX', (
            f'python tools/export_onnx.py -n yolox-s -c {name} --output-name yolox.onnx --decode_in_inference')
    return None
