# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the metadata of a .tflite file: TensorFlow Lite's own, and the files that are appended as a ZIP archive.

TensorFlow Lite's metadata is a FlatBuffer in the buffer TFLITE_METADATA, with the schema metadata_schema.fbs
(https://github.com/tensorflow/tflite-support, Apache-2.0). It has the normalisation of the input and the names of
associated files, which are in the ZIP archive: labels. Ultralytics and YOLOv5 append a text with their metadata.
"""

from __future__ import annotations

import ast
import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .flatbuffer import DamagedError, Table
from .normalisation import METADATA_KEY

# Fields of the schema's tables, by their index.
_MODEL_NAME, _MODEL_DESCRIPTION, _SUBGRAPHS, _AUTHOR, _MODEL_FILES = 0, 1, 3, 4, 6
_INPUTS, _OUTPUTS, _SUBGRAPH_FILES = 2, 3, 4
_PROCESS_UNITS, _TENSOR_FILES = 4, 6
_OPTIONS_TYPE, _OPTIONS = 0, 1
_FILE_NAME, _FILE_TYPE = 0, 2
_NORMALIZATION = 1
_LABELS = (2, 3)  # TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS

_LARGEST_FILE = 4 << 20
_MOST_FILES = 64


@dataclass(frozen=True)
class TfliteMetadata:
    """The metadata of a file.

    values: as in an ONNX file, with the keys of Ultralytics and of this package
    problem: what cannot be read, '' if nothing
    """

    values: Mapping[str, str]
    problem: str = ''


def read_metadata(data: bytes, own: bytes) -> TfliteMetadata:
    """Return the metadata of a .tflite file.

    data: the whole file; own: the buffer TFLITE_METADATA, b'' if there is none
    Unreadable metadata is reported in `problem`: the model can still run.
    """
    values: dict[str, str] = {}
    problem = ''
    files = _appended(data)
    labels = ''
    if own:
        try:
            values, labels = _own(own)
        except (DamagedError, RecursionError):
            problem = 'the metadata in TFLITE_METADATA cannot be read'
    names = [name for name in ([labels] if labels else files) if name.lower().endswith(('.txt', '.json', '.labels'))]
    for name in names if labels else []:
        if name not in files:
            problem = f'the metadata names the label file {name[:80]!r}, which is not in the file'
    exported = _exported(files)
    values.update(exported)
    if 'names' not in values:
        listed = [name for name in names if name in files]
        # Without the metadata's word only a single text can be the labels.
        if labels or (len(listed) == 1 and listed[0].lower().endswith('.txt')):
            for name in listed[:1]:
                lines = files[name].decode('utf-8-sig', 'replace').splitlines()
                values['names'] = json.dumps(_without_end(lines))
    return TfliteMetadata(values, problem)


def _own(own: bytes) -> tuple[dict[str, str], str]:
    """Return (the values, the name of the label file or '') of TensorFlow Lite's metadata."""
    root = Table.root(own)
    values = {
        key: text for key, field in (('description', _MODEL_DESCRIPTION), ('author', _AUTHOR))
        if (text := root.text(field))}
    labels = ''
    for subgraph in list(root.tables(_SUBGRAPHS))[:1]:
        for tensor in list(subgraph.tables(_INPUTS))[:1]:
            normalisation = _normalisation(tensor)
            if normalisation:
                values[METADATA_KEY] = json.dumps(normalisation)
        holders = [*((tensor, _TENSOR_FILES) for tensor in subgraph.tables(_OUTPUTS)), (subgraph, _SUBGRAPH_FILES)]
        labels = next(_label_files(holders), '')
    return values, labels


def _label_files(holders: list[tuple[Table, int]]) -> Iterator[str]:
    for holder, field in holders:
        for file in holder.tables(field):
            if file.number(_FILE_TYPE, 'b') in _LABELS:
                yield file.text(_FILE_NAME)


def _normalisation(tensor: Table) -> dict[str, Any]:
    """Return the values of Preprocessing for NormalizationOptions: input = (pixel - mean) / std, pixels 0..255."""
    for unit in tensor.tables(_PROCESS_UNITS):
        options = unit.table(_OPTIONS)
        if unit.number(_OPTIONS_TYPE, 'B') == _NORMALIZATION and options is not None:
            mean, std = (options.numbers(field, '<f4').tolist() for field in (0, 1))
            if mean and std:
                return {'scale': 1.0, 'mean': mean, 'std': std}
    return {}


def _appended(data: bytes) -> dict[str, bytes]:
    """Return the small files of the ZIP archive at the end of the file, by name; nothing if there is none."""
    files = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist()[:_MOST_FILES]:
                # The size in the directory may be wrong, so only this much is decompressed.
                if not info.is_dir() and info.file_size <= _LARGEST_FILE:
                    with archive.open(info) as file:
                        content = file.read(_LARGEST_FILE + 1)
                    if len(content) <= _LARGEST_FILE:
                        files[info.filename] = content
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, KeyError):
        pass
    except Exception as error:  # zlib.error and lzma.LZMAError share no base
        if type(error).__name__ not in ('error', 'LZMAError'):
            raise
    return files


def _exported(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the metadata of Ultralytics (metadata.json) or YOLOv5 (temp_meta.txt, a Python dict)."""
    for content in files.values():
        text = content.decode('utf-8', 'replace').strip()
        if not text.startswith('{'):
            continue
        try:
            try:
                values = json.loads(text)
            except ValueError:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    values = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(values, dict):
            # As ONNX files have them: the texts of Python's values.
            return {str(key): str(value) for key, value in values.items()}
    return {}


def _without_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.strip() for line in lines]
