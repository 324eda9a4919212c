# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole export: write, complete the metadata, check, compare, and only then put the file in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import FetchError, ModelError
from ..file_cache import scratch_folder
from ..image.frame import Frame
from ..model.checker import check_model
from ..model.normalisation import METADATA_KEY
from ..model.spec import ModelOptions, ModelSpec, load_model
from ..sources.images import read_image
from .comparison import Comparison, compare
from .network import Network
from .onnx_writer import ExportOptions, export_graph, store_graph

# A photo for the comparison, if the user gives none.
PHOTO = Path(__file__).parents[1] / 'data' / 'photo.jpg'
# Of the largest output value: ten times what float32 gives for the classifiers of torchvision.
DEFAULT_TOLERANCE = 1e-3
_TASKS = {'classification': 'classify', 'detection': 'detect'}


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    files: the ONNX file, and its weights if they are in a second file
    spec: as every command reads the file, without other options; opset: of the file
    """

    files: tuple[Path, ...]
    spec: ModelSpec
    exporter: str
    opset: int
    comparisons: list[Comparison] = field(default_factory=list)


def export_network(
    network: Network, target: Path, size: tuple[int, int], model: ModelOptions, options: ExportOptions,
    photo: Path = PHOTO, tolerance: float = DEFAULT_TOLERANCE, say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write `target` and return what was checked. Until all checks have passed, an older file stays.

    size: width, height of the input in pixels
    model: the user's task, head, labels and preprocessing, which go into the metadata
    tolerance: the largest difference between PyTorch and ONNX Runtime, as a fraction of the largest output value
    say: called with a line about each step

    Raises ModelError if the network cannot be exported, or if the file is not valid, not supported or differs by more
    than `tolerance`; LabelsError, SourceError, FetchError (the file cannot be written).
    """
    frame = read_image(photo)
    with scratch_folder(target) as folder:
        raw = folder / 'raw'
        raw.mkdir()
        proto, exporter = export_graph(network, (1, options.channels, size[1], size[0]), raw, options)
        say(f'exported with PyTorch {require("torch").__version__} ({exporter})')
        part = folder / target.name
        spec = _with_metadata(network, proto, part, target, model, options)
        say(f'onnx.checker: {_checked(part, target)}')
        comparisons = _compared(network, spec, frame, target, tolerance, say)
        parts = [part]
        if options.external_data:
            # The weights first: a reader between both steps finds the old model, or complains about its weights.
            parts.insert(0, part.with_name(f'{part.name}.data'))
        for file in parts:
            file.replace(target.with_name(file.name))
    opset = next(entry.version for entry in proto.opset_import if entry.domain in ('', 'ai.onnx'))
    files = tuple(target.with_name(file.name) for file in reversed(parts))
    return Exported(files, load_model(target), exporter, opset, comparisons)


def _with_metadata(
    network: Network, proto: Any, part: Path, target: Path, model: ModelOptions, options: ExportOptions,
) -> ModelSpec:
    """Write the file twice: as the network describes itself, and with all that was read from it then."""
    base = {**network.metadata, 'source': f'{network.source}, exported by PyTorch {require("torch").__version__}'}
    if model.labels:
        # The user's names win.
        base.pop('names', None)
    try:
        store_graph(proto, base, part, options.external_data)
        spec = load_model(part, model)
        metadata = {
            **base, 'task': _TASKS[spec.task], METADATA_KEY: json.dumps(asdict(spec.preprocessing), sort_keys=True)}
        if spec.names and model.labels:
            metadata['names'] = json.dumps(dict(enumerate(spec.names)), ensure_ascii=False)
        store_graph(proto, metadata, part, options.external_data)
        # As every command will read it: no other setting must be needed.
        return load_model(part, ModelOptions(head=model.head, output_name=model.output_name))
    except FetchError:
        raise
    except ModelError as error:
        advice = '; let the function return only that output' if len(proto.graph.output) > 1 else ''
        raise type(error)(f'{target} is not written: {_renamed(error, part, target)}{advice}') from error


def _checked(part: Path, target: Path) -> str:
    valid, verdict = check_model(part)
    if not valid:
        raise ModelError(f'{target} is not written, because onnx.checker refuses it: {verdict}')
    return verdict


def _compared(
    network: Network, spec: ModelSpec, frame: Frame, target: Path, tolerance: float, say: Callable[[str], None],
) -> list[Comparison]:
    try:
        found = compare(network, spec, frame)
    except ModelError as error:
        raise ModelError(f'{target} is not written: {_renamed(error, spec.path, target)}') from error
    for one in found:
        say(f'PyTorch and ONNX Runtime on {one.name}: largest difference {one.difference:.2g} '
            f'({one.relative:.1g} of the largest value, {one.largest:.4g})')
    worst = max(found, key=lambda one: one.relative)
    if worst.relative > tolerance:
        raise ModelError(
            f'{target} is not written: ONNX Runtime differs from PyTorch by {worst.relative:.2g} of the largest value '
            f'({worst.name}), more than --tolerance {tolerance:g}; try another --exporter, or a network without '
            'branches that depend on the values of the image')
    return found


def _renamed(error: ModelError, part: Path, target: Path) -> str:
    return str(error).replace(str(part), str(target)).replace(part.name, target.name)
