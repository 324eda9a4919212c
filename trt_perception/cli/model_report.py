# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a report on a model that are the same for ONNX files, .tflite files and exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..backends.trial import Trial
from ..errors import listed, one_line
from ..model.normalisation import Preprocessing
from ..model.spec import ModelSpec
from ..tensors.quantisation import Quantisation, rule_text

_NAMES_SHOWN = 8


def common_report(spec: ModelSpec, trials: Mapping[str, Trial]) -> dict[str, Any]:
    """Return what a ModelSpec and the tried backends say, in the order of the JSON report, from `backends` on."""
    return {
        'backends': {
            name: {'runs': trial.runs, 'version': trial.identity, 'reason': one_line(trial.error or '')}
            for name, trial in trials.items()},
        'task': spec.task,
        'head': spec.head.kind,
        'reads': list(spec.head.output_names),
        'remark': getattr(spec.head, 'remark', ''),
        'precision': spec.stored_precision,
        'preprocessing': asdict(spec.preprocessing),
        **({'thresholds': asdict(spec.thresholds)} if spec.task == 'detection' else {}),
        'classes': len(spec.names),
        'names': list(spec.names),
        'names_source': spec.names_source,
    }


def task_text(report: Mapping[str, Any]) -> str:
    """Return the task, the head, the output of a classifier with several, and which part of the outputs is not used."""
    reads = ''
    if report['task'] == 'classification' and len(report['outputs']) > 1:
        reads = f"; the scores are {report['reads'][0]}"
    return f"{report['task']} ({report['head']}){reads}{'; ' if report['remark'] else ''}{report['remark']}"


def preprocessing_text(values: Preprocessing) -> str:
    """Return it on one line, such as 'rgb, center_crop 0.875, linear, (pixel * 1 - 127) / 128'."""
    crop = f' {values.crop_fraction:g}' if values.resize_mode == 'center_crop' else ''
    return (
        f'{values.color_order}, {values.resize_mode}{crop}, {values.interpolation}, (pixel * {values.scale:.6g} - '
        f'{_short(values.mean)}) / {_short(values.std)}')


def quantisation_entry(rule: Quantisation | None) -> dict[str, Any]:
    """Return scale and zero point of a quantised input or output for the JSON report, {} if it is not quantised."""
    if rule is None:
        return {}
    if len(rule.scales) == 1:
        return {'scale': rule.scales[0], 'zero_point': rule.zero_points[0]}
    return {'scale': list(rule.scales), 'zero_point': list(rule.zero_points)}


def quantisation_text(entry: Mapping[str, Any]) -> str:
    """Return what the numbers of an input or output of the report stand for, '' if it is not quantised."""
    if 'zero_point' not in entry:
        return ''
    if isinstance(entry['scale'], list):
        return f" (value = (number - zero point) * scale, {len(entry['scale'])} channels)"
    return f" ({rule_text(entry['scale'], entry['zero_point'])})"


def thresholds_row(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the row of a detector's own thresholds by its title; nothing for a classifier."""
    values = report.get('thresholds')
    return {} if values is None else {'thresholds': f'score {values["score"]:g}, IoU {values["iou"]:g}'}


def classes_text(names: Sequence[str], source: str) -> str:
    """Return the number of classes, their source and the first names."""
    return f'{len(names)} from {source}: {listed(names, _NAMES_SHOWN)}'


def size_text(size: int) -> str:
    """Return a number of bytes in MB; a small one exactly."""
    return f'{size / 1e6:.1f} MB' if size >= 100_000 else f'{size:,} bytes'


def _short(values: Sequence[float]) -> str:
    if len(set(values)) == 1:
        return f'{values[0]:g}'
    return '[' + ', '.join(f'{value:g}' for value in values) + ']'
