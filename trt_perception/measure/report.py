# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A comparison as JSON values and as Markdown, with the machine and everything that was left out."""

from __future__ import annotations

from typing import Any

from ..model.spec import ModelSpec
from .compare import TURN_WARM_UP, TURNS, WARM_UP, Comparison
from .machine import busy_warning
from .rates import RosFigures
from .table import markdown, stages, summary


def as_json(
    comparison: Comparison, spec: ModelSpec, frames: dict[str, Any], facts: dict[str, str],
    states: tuple[dict[str, str], dict[str, str]],
) -> dict[str, Any]:
    """Return the JSON values of a comparison.

    frames: source, size, distinct, measured
    facts, states: of `machine`; the states before and after the measurement
    """
    return {
        'model': spec.path.name, 'sha256': spec.sha256, 'input_shape': list(spec.input_shape), 'task': spec.task,
        'frames': frames, 'method': {'turns': TURNS, 'warm_up': WARM_UP, 'warm_up_of_a_turn': TURN_WARM_UP},
        'machine': facts, 'before': states[0], 'after': states[1],
        'reference': comparison.reference,
        'variants': [one.as_dict() for one in comparison.measured],
        'left_out': [one.as_dict() for one in comparison.left_out]}


def heading(values: dict[str, Any]) -> str:
    """Return what was measured, in one line."""
    frames = values['frames']
    return (
        f"{values['model']} {values['input_shape']}, {frames['measured']} frames of {frames['size']} "
        f"({frames['source']}, {frames['distinct']} distinct)")


def machine_lines(values: dict[str, Any]) -> list[str]:
    """Return the machine's facts, one a line; what changed during the measurement has both values."""
    lines = [f'{name}: {value}' for name, value in values['machine'].items()]
    after = values['after']
    for name, value in values['before'].items():
        same = after.get(name, value) == value
        lines.append(f'{name}: {value}' if same else f'{name}: {value} before, {after[name]} after')
    if warning := busy_warning(values['before']):
        lines.append(f'warning: {warning}')
    return lines


def as_markdown(
    comparison: Comparison, values: dict[str, Any], plot: str, figures: RosFigures | None = None,
) -> str:
    """Return the report to send: the tables, the machine, the rows that were left out.

    plot: file name of the picture, '' without one
    figures: of the node over DDS, None without them
    """
    parts = [f'# {heading(values)}']
    if comparison.measured:
        parts += [markdown(summary(comparison)), markdown(stages(comparison))]
    if plot:
        parts.append(f'![Distribution and stages]({plot})')
    if comparison.reference:
        parts.append(f'Agreement with {comparison.reference}, on the distinct frames.')
    if figures:
        parts += [
            'The node over DDS, from the stamp of an image to its result:', markdown(figures.rows()), figures.note()]
    parts += ['\n'.join(f'- {line}' for line in lines) for lines in (
        machine_lines(values), [f'left out: {one.name}: {one.reason}' for one in comparison.left_out],
        [f'warning: {one.variant.name}: {text}' for one in comparison.measured for text in one.warnings]) if lines]
    return '\n\n'.join(parts) + '\n'
