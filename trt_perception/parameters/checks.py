# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the values of parameters can be right: each alone, and the class names with the model."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ParameterError
from ..model.spec import ModelSpec
from .table import PARAMETERS


def check_value(name: str, value: Any) -> None:
    """Raise ParameterError if this value could never be right.

    value: of the parameter's type, as ROS has it or as Settings has it
    """
    row = PARAMETERS[name]
    if row.choices and value not in row.choices:
        close = closest(str(value), row.choices)
        raise ParameterError(
            f"{name} is '{value}': expected {row.expected}" + (f" (did you mean '{close}'?)" if close else ''))
    if row.limits and (not math.isfinite(value) or not row.limits[0] <= value <= row.limits[1]):
        raise ParameterError(f'{name} is {value}: expected {row.expected}')
    if name in _OF_LISTS:
        expected = _OF_LISTS[name](value)
        if expected:
            raise ParameterError(f'{name} is {list(value or ())}: expected {expected}')


def is_unset(numbers: Sequence[float] | None) -> bool:
    """Tell whether the model decides these numbers: [nan], or None, as rclpy reads an empty list at the start."""
    return numbers is None or (len(numbers) == 1 and math.isnan(numbers[0]))


def class_indices(names: Sequence[str], spec: ModelSpec) -> frozenset[int] | None:
    """Return the indices of the classes to report, None for all; ParameterError for a name that the model lacks."""
    if not names:
        return None
    known = set(spec.names)
    for name in names:
        if name not in known:
            close = closest(name, spec.names)
            raise ParameterError(
                f"classes names '{name}', which {spec.path.name} does not know"
                + (f": did you mean '{close}'?" if close else
                   f': it knows {len(spec.names)} classes, {", ".join(spec.names[:5])}, ...'))
    wanted = set(names)
    return frozenset(index for index, name in enumerate(spec.names) if name in wanted)


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like this one, '' if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), '')


def _input_size(value: Sequence[int] | None) -> str:
    return '[width, height] in pixels, or [0, 0]' if value is None or len(value) != 2 or min(value) < 0 else ''


def _batch_profile(value: Sequence[int] | None) -> str:
    if value is None or len(value) != 3 or not 1 <= value[0] <= value[1] <= value[2]:
        return '[smallest, usual, largest], each at least 1 and the one before'
    return ''


def _of_channels(value: Sequence[float] | None) -> str:
    if value is None or is_unset(value):
        return ''
    if len(value) not in (1, 3):
        return 'one or three numbers'
    if not all(map(math.isfinite, value)):
        return "finite numbers, or [.nan] alone for the model's own"
    return ''


# Each returns what is expected of a list, '' if the value is that. None: rclpy reads an empty list at the start so.
_OF_LISTS: Mapping[str, Callable[[Any], str]] = {
    'input_size': _input_size, 'batch_profile': _batch_profile, 'mean': _of_channels, 'std': _of_channels}
