# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Show a model file: input, output head, class names, preprocessing, operators, and whether it runs here.

The model is opened as predict opens it. TensorRT reads it if it is installed; no engine is built. The exit code is 1
if the backend that would run the model here refuses it. The verdict of onnx.checker is shown; it decides only if no
backend is installed. A .tflite file is opened on LiteRT. For a TensorRT engine (.plan, .engine) it shows the layers:
the nodes that were fused into each kernel, and their types. --graph, --fusion, --picture and --view show the graph of
an ONNX file, also of a model that is refused.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.trial import Trial, try_backends
from ..dependencies import require
from ..errors import ModelError, printable
from ..model.checker import check_model
from ..model.external_data import external_files, stored_bytes
from ..model.file_kinds import is_tflite
from ..model.normalisation import Preprocessing
from ..model.onnx_file import load_proto
from ..model.onnx_tensors import all_tensors
from ..model.operations import multiply_accumulates
from ..model.spec import ModelSpec
from .inspect_engine import SUFFIXES, inspect_engine
from .inspect_look import add_look_arguments, look, require_engine_options, wants_look
from .inspect_tflite import inspect_tflite
from .model_arguments import add_model_arguments, console_monitor, load, model_path
from .model_report import (
    classes_text,
    common_report,
    preprocessing_text,
    quantisation_entry,
    quantisation_text,
    size_text,
    task_text,
    thresholds_row,
)
from .parameter_options import add_parameter

_TITLES = {'onnxruntime': 'ONNX Runtime', 'openvino': 'OpenVINO', 'tensorrt': 'TensorRT'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser, files='an ONNX or .tflite file, a TensorRT engine (.plan, .engine)')
    add_parameter(parser, '--backend', 'backend')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    add_look_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the report and return 0. Raises ModelError or EngineError if the model does not run here."""
    if Path(options.model).suffix.lower() in SUFFIXES:
        require_engine_options(options)
        return inspect_engine(Path(options.model), options.json, options.picture)
    if wants_look(options):
        return look(options)
    path = model_path(options)
    if is_tflite(path):
        return inspect_tflite(load(options), options.backend, options.json)
    proto = load_proto(path, weights=False)
    if not options.json:
        # Reading and running a large model takes long.
        _print_row('file', str(path))
    spec = load(options)
    valid, verdict = check_model(spec.path)
    with console_monitor() as monitor:
        chosen, trials = try_backends(spec, options.backend, monitor)
    decides = trials[chosen]
    ran = next((trial.spec for trial in trials.values() if trial.runs), spec)
    report = _report(proto, ran, verdict, trials)
    refused = decides.runs is False or (decides.runs is None and options.backend != 'auto')
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        # Its reason is printed last, on stderr.
        _print(report, chosen if refused else '')
    if decides.error is not None and refused:
        raise decides.error
    if decides.runs is None and not valid:
        raise ModelError(f'{spec.path.name} is not a valid ONNX file: {verdict}; export it again')
    return 0


def _report(proto: Any, spec: ModelSpec, verdict: str, trials: Mapping[str, Trial]) -> dict[str, Any]:
    onnx = require('onnx')
    operators = Counter(node.op_type for node in proto.graph.node)
    parameters = sum(
        int(np.prod(tensor.dims, dtype=np.int64)) for tensor in all_tensors(proto)
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8))
    accumulates = multiply_accumulates(proto, spec)
    return {
        'file': str(spec.path),
        'sha256': spec.sha256,
        'bytes': stored_bytes(spec.path, proto),
        'external_data': [str(location) for location in external_files(spec.path, proto)],
        'producer': f'{proto.producer_name} {proto.producer_version}'.strip(),
        'opset': {entry.domain or 'ai.onnx': entry.version for entry in proto.opset_import},
        'checker': verdict,
        **common_report(spec, trials),
        'input': {
            'name': spec.input_name, 'dtype': str(spec.input_dtype), 'shape': list(spec.input_shape),
            'layout': spec.layout, 'dynamic_size': spec.dynamic_size,
            'dynamic_batch': spec.dynamic_batch, **quantisation_entry(spec.input_quantisation)},
        'outputs': [_output(name, shape, spec) for name, shape in spec.outputs],
        'parameters': parameters,
        'gflops': None if accumulates is None else round(2 * accumulates / 1e9, 3),
        'operators': dict(operators.most_common()),
    }


def _output(name: str, shape: tuple[int, ...], spec: ModelSpec) -> dict[str, Any]:
    rule = dict(spec.quantised).get(name)
    types = {} if rule is None else {'dtype': rule.dtype}
    return {'name': name, 'shape': list(shape), **types, **quantisation_entry(rule)}


def _print(report: dict[str, Any], without_reason: str) -> None:
    entry = report['input']
    open_dims = [
        what for what, is_open in (
            ('size', entry['dynamic_size']), ('batch', entry['dynamic_batch'])) if is_open]
    gflops = report['gflops']
    rows = {
        'sha256': report['sha256'],
        'size': _size(report['bytes'], report['external_data']),
        'producer': report['producer'] or 'unknown',
        'opset': ', '.join(f'{domain} {version}' for domain, version in report['opset'].items()),
        'onnx.checker': report['checker'],
        **{_TITLES.get(name, name): _trial(name, entry, name != without_reason)
           for name, entry in report['backends'].items()},
        'task': task_text(report),
        'input': f"{entry['name']} {entry['dtype']} {entry['shape']}{quantisation_text(entry)} {entry['layout']}"
                 + (f" (dynamic {' and '.join(open_dims)})" if open_dims else ''),
        'outputs': ', '.join(
            f"{o['name']}{' ' * ('dtype' in o)}{o.get('dtype', '')} {o['shape']}{quantisation_text(o)}"
            for o in report['outputs']),
        'precision': report['precision'],
        'preprocessing': preprocessing_text(Preprocessing(**report['preprocessing'])),
        **thresholds_row(report),
        'classes': classes_text(report['names'], report['names_source']),
        'parameters': f"{report['parameters']:,}",
        'GFLOPs': 'unknown' if gflops is None else f'{gflops} (convolutions and matrix products, 2 per multiply-add)',
        'operators': ', '.join(f'{name} {count}' for name, count in report['operators'].items()),
    }
    for name, value in rows.items():
        _print_row(name, value)


def _print_row(name: str, value: str) -> None:
    print(f'{name + ":":<15} {printable(value)}', flush=True)


def _trial(name: str, entry: Mapping[str, Any], with_reason: bool) -> str:
    version = f" ({entry['version']})" if entry['version'] else ''
    if entry['runs']:
        # Only an engine runs on TensorRT, and none was built.
        return f"{'reads' if name == 'tensorrt' else 'runs'} the model{version}"
    if not version and 'is not installed' in entry['reason']:
        return 'not installed'
    what = 'not tried' if entry['runs'] is None else 'refuses the model'
    return f"{what}: {entry['reason']}" if with_reason else f'{what}{version}'


def _size(size: int, external: list[str]) -> str:
    files = '' if not external else f', with {len(external)} file{"s" if len(external) > 1 else ""} of external data'
    return f'{size_text(size)}{files}'
