# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints what `trt_perception quantize` made and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import listed, printable
from ..precision.parity import Agreement

# A detector has 60 to 200 layers, and all nodes of its decoder are listed too. --json has all names.
_NAMED = 12


def print_report(report: dict[str, Any], record: dict[str, Any], agreement: Agreement | None, doubt: str) -> None:
    """Print the report for people.

    report: the object of --json; record: of the conversion
    doubt: the reason why the agreement is not a check, '' if it is one
    """
    precision = report['precision']
    print(f"{printable(report['output'])}: {precision}")
    if precision == 'int8':
        _print_int8(record)
    kept = record['kept_float']
    print(f"float ({len(kept)} {'layers' if precision == 'int8' else 'nodes'}): {_names(kept)}")
    for what, text in (
            ('clipped', 'above 65504, clipped'),
            ('vanished', 'below the smallest fp16 number, rounded to 0 or to this number')):
        counts = record.get(what)
        if counts:
            print(f'weights {text}: {sum(counts.values())} in {_names(list(counts))}')
    overflowing = [f'{name} {peak:.3g}' for name, peak in record.get('overflowing', {}).items()]
    if overflowing:
        print(f'these nodes stay in float, because their largest results are above 65504: {_names(overflowing)}')
    if agreement is None:
        print('agreement not measured: give frames with --calibration, and a value above 0 for --checking')
    elif doubt:
        print(f'NOT CHECKED, because {doubt}. On these frames: {agreement.summary()}')
    else:
        print(f'compared with fp32, {precision} rounding computed exactly: {agreement.summary()}')
    before, after = report['bytes']
    print(f'size: {before / 1e6:.1f} -> {after / 1e6:.1f} MB')
    before, after = report['onnxruntime_cpu_ms']
    # Only int8 has forms.
    advice = '; for a CPU give --form cpu or --form openvino' if precision == 'int8' else ''
    remark = {'cpu': '', 'openvino': ' (the gain is on OpenVINO)'}.get(
        record.get('form', ''), f' (the gain is on TensorRT{advice})')
    print(f"inference on ONNX Runtime {report['onnxruntime']}, {report['cores']} CPU cores, median: {before:.1f} -> "
          f'{after:.1f} ms{remark}')


def _print_int8(record: dict[str, Any]) -> None:
    print(f"calibration: {record['samples']} samples, method {record['method']}, "
          f"sha256 {record['calibration_sha256'][:16]}")
    if record['losses']:
        tried = ', '.join(f'{name} {loss:.4f}' for name, loss in record['losses'].items())
        print(f'loss by method, all in int8: {tried}')
    print(f"int8 ({len(record['int8'])} layers, {record['int8_share']:.0%} of the multiplications): "
          f"{_names(record['int8'])}")


def _names(names: Sequence[str]) -> str:
    if not names:
        return 'none'
    # With spaces, for --keep-float.
    return f'{listed(names, _NAMED, " ")}{" (all: --json)" if len(names) > _NAMED else ""}'
