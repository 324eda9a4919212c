# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception inspect` for a TensorRT engine: the fused nodes of each kernel, their types and tactics."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..backends.tensorrt.cache.private_files import UnreadableFileError, UntrustedFileError, read_private
from ..backends.tensorrt.library.compat import load
from ..backends.tensorrt.library.inspector import (
    Layer,
    LayerTensor,
    is_count,
    layers_from_records,
    parse_layers,
    summarize,
)
from ..errors import EngineError, ModelError, PerceptionError, printable
from .engine_picture import engine_picture
from .inspect_look import check_picture, write_picture

SUFFIXES = ('.plan', '.engine')
_IN_CACHE = re.compile('[0-9a-f]{32}')
# The fields of a description that are used, with their checks. Each may be absent.
_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    'model': lambda value: isinstance(value, str),
    'built': lambda value: isinstance(value, str),
    'tensorrt': lambda value: isinstance(value, str),
    'layers': lambda value: isinstance(value, list),
    'device_memory_bytes': is_count,
    'key': lambda value: isinstance(value, dict) and _is_texts(value.get('compute_capabilities', []))}


def inspect_engine(path: Path, as_json: bool, picture: Path | None = None) -> int:
    """Print the layers of the engine and return 0.

    picture: the SVG file in which they are drawn, if any

    Raises EngineError or ModelError if they cannot be read, OutputError or ParameterError for a wrong picture.
    """
    check_picture(picture, path, *_descriptions(path))
    try:
        plan = _read(path)
    except FileNotFoundError as error:
        raise ModelError(f'no engine at {path}: expected a .plan or .engine file; check the path') from error
    sidecar = _sidecar(path, plan)
    targets: Sequence[str] = sidecar.get('key', {}).get('compute_capabilities', [])
    layers: tuple[Layer, ...] = ()
    if sidecar.get('layers'):
        layers = layers_from_records(sidecar['layers'])
        source = 'its description beside it'
    else:
        try:
            tensorrt = load()
            layers = parse_layers(tensorrt.layer_information(tensorrt.deserialize(plan)))
            source = f'{tensorrt.identity}, which loaded it'
        except PerceptionError as error:
            if not targets:
                raise EngineError(
                    f'{path.name} has no description file, and this machine cannot load it to read its layers: '
                    f'inspect it on a machine with the GPU that it was built for ({error})') from error
            # It was built for other GPUs, so the build could not read the layers either.
            source = 'its description beside it'
    summary = summarize(layers)
    report: dict[str, Any] = {
        'file': str(path), 'plan_bytes': len(plan), 'known_from': source,
        **{name: sidecar[name] for name in ('model', 'built', 'tensorrt', 'key', 'device_memory_bytes')
           if name in sidecar},
        'precision_effective': summary.precision_effective, 'precision_shares': summary.as_dict(),
        'layers': [asdict(layer) for layer in layers]}
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _print(report, layers, summary.text())
    if picture is not None:
        if not layers:
            raise EngineError(
                f'{path.name} has no layers that are known here, so there is nothing to draw: inspect it on a machine '
                'with the GPU that it was built for')
        write_picture(picture, engine_picture(layers, path.name, str(sidecar.get('tensorrt', ''))), as_json)
    return 0


def _read(path: Path) -> bytes:
    """Return the content of an engine or its description; FileNotFoundError, or EngineError with a remedy."""
    try:
        return read_private(path)
    except UnreadableFileError as error:
        raise EngineError(f'{error}: expected an engine, or its description, that you are allowed to read') from error
    except UntrustedFileError as error:
        raise EngineError(
            f'{error}: an engine is code, so it and its description must be regular files that you own and that no '
            'other user can write; if you trust this one, inspect a copy (cp, then chmod 600)') from error


def _descriptions(path: Path) -> tuple[Path, Path]:
    return path.with_name(f'{path.name}.json'), path.with_suffix('.json')


def _sidecar(path: Path, plan: bytes) -> dict[str, Any]:
    """Return the description that the build wrote, or {} if there is none."""
    for candidate in _descriptions(path):
        try:
            found = json.loads(_read(candidate))
        except FileNotFoundError:
            continue
        except (ValueError, RecursionError) as error:
            if candidate.name != f'{path.name}.json' and not _IN_CACHE.fullmatch(path.stem):
                # The file has this name by chance and is not a description.
                continue
            raise EngineError(f'{candidate} is damaged: remove it, or build the engine again') from error
        if isinstance(found, dict) and 'plan_sha256' in found:
            if found['plan_sha256'] != hashlib.sha256(plan).hexdigest():
                raise EngineError(f'{path} is damaged, or {candidate.name} describes another engine: build it again')
            wrong = [name for name, is_right in _FIELDS.items() if name in found and not is_right(found[name])]
            if wrong:
                raise EngineError(
                    f'{candidate} is damaged: {wrong[0]} is {str(found[wrong[0]])[:50]!r}; remove it, or build the '
                    'engine again')
            return found
    return {}


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _print(report: dict[str, Any], layers: tuple[Layer, ...], precision: str) -> None:
    nodes = [node for layer in layers for node in layer.onnx_nodes]
    fused = [layer for layer in layers if len(layer.onnx_nodes) > 1]
    rows = {
        'file': f"{report['file']} ({report['plan_bytes'] / 1e6:.1f} MB)",
        'model': report.get('model', 'unknown'),
        'built': f"{report.get('built', 'unknown')} by {report.get('tensorrt', 'unknown')}",
        'known from': report['known_from'],
        'precision': precision or 'unknown: the engine was built without details',
        'fusion': f'{len(set(nodes))} ONNX nodes became {len(layers)} layers ({len(fused)} with several nodes)'}
    key = report.get('key', {})
    if not layers and key.get('compute_capabilities'):
        del rows['fusion']
        rows['precision'] = f"{key.get('precision', 'unknown')} requested"
        rows['key'] = ', '.join(f'{name} {value}' for name, value in key.items() if name != 'compute_capabilities')
        rows['for GPUs'] = f"of compute capability {', '.join(key['compute_capabilities'])}"
        rows['layers'] = 'unknown here: inspect the engine on a machine with one of these GPUs'
    if 'device_memory_bytes' in report:
        rows['memory'] = f"{report['device_memory_bytes'] / 1e6:.1f} MB for activations"
    for name, value in rows.items():
        print(f'{name + ":":<12} {printable(value)}')
    for number, layer in enumerate(layers):
        # The description may be edited, so its texts are made printable.
        print(f'\n{number:4} {printable(layer.kind or "layer")}  {printable(layer.name)}')
        if layer.compute_type or layer.inputs or layer.outputs:
            print(printable(f'     {_tensors(layer.inputs)} -> {_tensors(layer.outputs)}'))
        facts = [
            f'computes in {layer.compute_type}' if layer.compute_type else '',
            f'{layer.multiply_accumulates / 1e6:.2f} M multiply-adds' if layer.multiply_accumulates else '',
            f'{layer.weights:,} weights' if layer.weights else '']
        if any(facts):
            print(printable(f'     {", ".join(fact for fact in facts if fact)}'))
        if layer.tactic:
            print(f'     tactic: {printable(layer.tactic)}')
        if len(layer.onnx_nodes) > 1:
            print(f'     fused:  {printable(" + ".join(layer.onnx_nodes))}')


def _tensors(tensors: tuple[LayerTensor, ...]) -> str:
    return ', '.join(f'{tensor.dtype or "?"} {list(tensor.shape)}' for tensor in tensors) or 'nothing'
