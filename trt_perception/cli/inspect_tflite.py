# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of `trt_perception inspect` for a .tflite file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..backends.trial import Trial, try_backends
from ..errors import printable
from ..model.normalisation import Preprocessing
from ..model.spec import ModelSpec
from ..model.tflite_file import TfliteGraph, TfliteTensor, read_content, read_graph
from .model_arguments import console_monitor
from .model_report import (
    classes_text,
    common_report,
    preprocessing_text,
    quantisation_text,
    size_text,
    task_text,
    thresholds_row,
)


def inspect_tflite(spec: ModelSpec, backend: str, as_json: bool) -> int:
    """Print the report and return 0. Raises ModelError or EngineError if LiteRT refuses the model."""
    graph = read_graph(read_content(spec.path), spec.path.name)
    with console_monitor() as monitor:
        chosen, trials = try_backends(spec, backend, monitor)
    trial = trials[chosen]
    report = _report(graph, trial.spec, trials)
    refused = trial.runs is False or (trial.runs is None and backend != 'auto')
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _print(report, trial, refused)
    if trial.error is not None and refused:
        raise trial.error
    return 0


def _report(graph: TfliteGraph, spec: ModelSpec, trials: Mapping[str, Trial]) -> dict[str, Any]:
    """Return the same keys as for an ONNX file, if they exist for a .tflite file."""
    (stored_input,) = (graph.tensors[index] for index in graph.inputs)
    return {
        'file': str(spec.path),
        'sha256': spec.sha256,
        'bytes': graph.bytes,
        'producer': graph.description,
        **common_report(spec, trials),
        'input': {
            'name': spec.input_name, 'dtype': stored_input.dtype, 'shape': list(spec.input_shape),
            'layout': spec.layout, 'dynamic_size': spec.dynamic_size, 'dynamic_batch': spec.dynamic_batch,
            **_quantisation(stored_input)},
        'outputs': [
            {'name': name, 'shape': list(shape), 'dtype': graph.tensors[index].dtype,
             **_quantisation(graph.tensors[index])}
            for (name, shape), index in zip(spec.outputs, graph.outputs)],
        'parameters': graph.parameters(),
        'operators': dict(graph.operator_counts().most_common()),
    }


def _quantisation(tensor: TfliteTensor) -> dict[str, Any]:
    return {'scale': tensor.scale, 'zero_point': tensor.zero_point} if tensor.is_quantised else {}


def _print(report: dict[str, Any], trial: Trial, refused: bool) -> None:
    version = f' ({trial.identity})' if trial.identity else ''
    if trial.runs:
        verdict = f'runs the model{version}'
    elif not version and 'is not installed' in str(trial.error):
        verdict = f'not installed: {trial.error}' if not refused else 'not installed'
    else:
        # A refusal is printed last, on stderr.
        verdict = f'refuses the model{version}' if refused else f'not tried: {trial.error}'
    entry = report['input']
    rows = {
        'file': report['file'],
        'sha256': report['sha256'],
        'size': size_text(report['bytes']),
        'format': 'TensorFlow Lite',
        'producer': report['producer'] or 'unknown',
        'LiteRT': verdict,
        'task': task_text(report),
        'input': f'{_tensor(entry)} {entry["layout"]}',
        'outputs': ', '.join(_tensor(output) for output in report['outputs']),
        'precision': report['precision'],
        'preprocessing': preprocessing_text(Preprocessing(**report['preprocessing'])),
        **thresholds_row(report),
        'classes': classes_text(report['names'], report['names_source']),
        'parameters': f"{report['parameters']:,}",
        'operators': ', '.join(f'{name} {count}' for name, count in report['operators'].items()),
    }
    for name, value in rows.items():
        print(f'{name + ":":<15} {printable(value)}')


def _tensor(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']} {entry['dtype']} {entry['shape']}{quantisation_text(entry)}"
