# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Loads PyTorch files that are safe to load: TorchScript, and weights without code."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import ModelError, one_line, printable
from .checkpoint import contents_of, refusal, require_undamaged
from .network import DEFAULT_SIZE, Network, in_evaluation_mode

# Ultralytics and YOLOv5 store their metadata in this member of a TorchScript file, as JSON.
_ULTRALYTICS_MEMBER = 'extra/config.txt'
_MOST_METADATA = 10_000_000
_KEPT = ('names', 'task', 'stride', 'imgsz')
# Keys under which training scripts store the weights.
_WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'model_state', 'net', 'network', 'weights')


def torchscript(path: Path) -> Network:
    """Return the network of a TorchScript file. Its code runs in PyTorch's own interpreter, not in Python.

    Raises ModelError for other files of PyTorch, with the command or the way that exports them.
    """
    found = contents_of(path)
    if found.kind != 'torchscript':
        raise refusal(path, found)
    require_undamaged(path)
    torch = require('torch')
    try:
        with warnings.catch_warnings():
            # PyTorch 2.14 calls TorchScript deprecated.
            warnings.simplefilter('ignore', FutureWarning)
            module = torch.jit.load(str(path), map_location='cpu')
    except Exception as error:  # RuntimeError; other types for damaged files
        raise ModelError(
            f'{path} cannot be loaded as TorchScript by PyTorch {torch.__version__}: {one_line(error, 300)}') from error
    metadata = _ultralytics_metadata(path)
    return Network(
        in_evaluation_mode(module), path.stem, f'TorchScript file {printable(path.name)}', _size(metadata), metadata,
        is_script=True)


def read_weights(path: Path) -> dict[str, Any]:
    """Return the weights of a file as tensors by name. Code in the file does not run.

    A wrapper of a training script ({'state_dict': ...}, {'model': ...}) and the prefix 'module.' of DataParallel are
    removed. Raises ModelError.
    """
    torch = require('torch')
    if path.suffix.lower() == '.safetensors':
        load_file = require('safetensors.torch').load_file
        try:
            weights: Any = load_file(str(path))
        except Exception as error:  # SafetensorError, OSError and others
            raise ModelError(
                f'{printable(path.name)} cannot be read as safetensors: {one_line(error, 200)}; copy the file again'
            ) from error
    else:
        found = contents_of(path)
        if found.kind != 'weights':
            raise ModelError(
                f'{printable(path.name)} holds a whole network, expected weights only: save them with '
                'torch.save(network.state_dict(), FILE)') if found.kind == 'torchscript' else refusal(path, found)
        require_undamaged(path)
        try:
            weights = torch.load(str(path), map_location='cpu', weights_only=True)
        except Exception as error:  # pickle.UnpicklingError, RuntimeError and others
            raise ModelError(
                f'{printable(path.name)} cannot be loaded as weights only: {one_line(error, 200)}; save them with '
                'torch.save(network.state_dict(), FILE)') from error
    for key in _WRAPPERS:
        if isinstance(weights, Mapping) and isinstance(weights.get(key), Mapping):
            weights = weights[key]
            break
    if not isinstance(weights, Mapping) or not any(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelError(f'{printable(path.name)} has no weights by name: expected a state_dict')
    return {str(name).removeprefix('module.'): value for name, value in weights.items()
            if isinstance(value, torch.Tensor)}


def _ultralytics_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a TorchScript file of Ultralytics or YOLOv5, {} for other files."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((
                info for info in archive.infolist() if info.filename.partition('/')[2] == _ULTRALYTICS_MEMBER), None)
            if member is None or member.file_size > _MOST_METADATA:
                return {}
            values = json.loads(archive.read(member))
    except (OSError, ValueError, zipfile.BadZipFile, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {key: values[key] if isinstance(values[key], str) else json.dumps(values[key])
            for key in _KEPT if key in values}


def _size(metadata: Mapping[str, str]) -> tuple[int, int]:
    try:
        height, width = json.loads(metadata.get('imgsz', ''))
        return int(width), int(height)
    except (ValueError, TypeError):
        return DEFAULT_SIZE
