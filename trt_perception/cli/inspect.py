# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Show a model file: input, output head, class names, preprocessing, operators.

For a TensorRT engine (.plan, .engine) it shows the layers: the nodes that were fused into each kernel, and their types.
The exit code is 1 if the file cannot run as a detector or a classifier, or if onnx.checker rejects it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import one_line, printable
from ..model.onnx_file import load_proto
from ..model.onnx_tensors import all_tensors
from ..model.operations import multiply_accumulates
from ..model.spec import ModelSpec
from .inspect_engine import SUFFIXES, inspect_engine
from .model_arguments import add_model_arguments, load, model_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def run(options: argparse.Namespace) -> int:
    """Print the report; 0 if the model is valid."""
    if Path(options.model).suffix.lower() in SUFFIXES:
        return inspect_engine(Path(options.model), options.json)
    onnx = require('onnx')
    path = model_path(options)
    proto = load_proto(path)
    verdict = _check(onnx, path)
    spec = load(options)
    report = _report(onnx, proto, spec, verdict)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    return 0 if verdict == 'ok' else 1


def _check(onnx: Any, path: Any) -> str:
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:  # checker.ValidationError; for files above 2 GB an error of protobuf
        return one_line(error)
    return 'ok'


def _report(onnx: Any, proto: Any, spec: ModelSpec, verdict: str) -> dict[str, Any]:
    operators = Counter(node.op_type for node in proto.graph.node)
    parameters = sum(
        int(np.prod(tensor.dims, dtype=np.int64)) for tensor in all_tensors(proto)
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8))
    accumulates = multiply_accumulates(proto, spec)
    options = spec.preprocessing
    return {
        'file': str(spec.path),
        'sha256': spec.sha256,
        'producer': f'{proto.producer_name} {proto.producer_version}'.strip(),
        'opset': {entry.domain or 'ai.onnx': entry.version for entry in proto.opset_import},
        'checker': verdict,
        'task': spec.task,
        'head': spec.head.kind,
        'input': {
            'name': spec.input_name, 'dtype': str(spec.input_dtype), 'shape': list(spec.input_shape),
            'layout': spec.layout, 'dynamic_size': spec.dynamic_size,
            'dynamic_batch': spec.dynamic_batch},
        'outputs': [{'name': name, 'shape': list(shape)} for name, shape in spec.outputs],
        'precision': spec.stored_precision,
        'preprocessing': {
            'color_order': options.color_order, 'scale': options.scale, 'mean': list(options.mean),
            'std': list(options.std), 'resize_mode': options.resize_mode,
            'crop_fraction': options.crop_fraction},
        'classes': len(spec.names),
        'names': list(spec.names),
        'names_source': spec.names_source,
        'parameters': parameters,
        'gflops': None if accumulates is None else round(2 * accumulates / 1e9, 3),
        'operators': dict(operators.most_common()),
    }


def _print(report: dict[str, Any]) -> None:
    names = report['names']
    shown = ', '.join(names[:8]) + (', ...' if len(names) > 8 else '')
    entry = report['input']
    open_dims = [
        what for what, is_open in (
            ('size', entry['dynamic_size']), ('batch', entry['dynamic_batch'])) if is_open]
    options = report['preprocessing']
    gflops = report['gflops']
    rows = {
        'file': report['file'],
        'sha256': report['sha256'],
        'producer': report['producer'] or 'unknown',
        'opset': ', '.join(f'{domain} {version}' for domain, version in report['opset'].items()),
        'onnx.checker': report['checker'],
        'task': f"{report['task']} ({report['head']})",
        'input': f"{entry['name']} {entry['dtype']} {entry['shape']} {entry['layout']}"
                 + (f" (dynamic {' and '.join(open_dims)})" if open_dims else ''),
        'outputs': ', '.join(f"{o['name']} {o['shape']}" for o in report['outputs']),
        'precision': report['precision'],
        'preprocessing': f"{options['color_order']}, {options['resize_mode']}"
                         + (f" {options['crop_fraction']}" if options['resize_mode'] == 'center_crop' else '')
                         + f", (pixel * {options['scale']:.6g} - {_short(options['mean'])}) / {_short(options['std'])}",
        'classes': f"{report['classes']} from {report['names_source']}: {shown}",
        'parameters': f"{report['parameters']:,}",
        'GFLOPs': 'unknown' if gflops is None else f'{gflops} (convolutions and matrix products, 2 per multiply-add)',
        'operators': ', '.join(f'{name} {count}' for name, count in report['operators'].items()),
    }
    for name, value in rows.items():
        print(f'{name + ":":<15} {printable(value)}')


def _short(values: list[float]) -> str:
    if len(set(values)) == 1:
        return f'{values[0]:g}'
    return '[' + ', '.join(f'{value:g}' for value in values) + ']'
