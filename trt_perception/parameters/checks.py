# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks parameter values: each one by itself, and the class names against the model."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ParameterError, listed
from ..image.transports import TRANSPORTS, republish_command
from ..model.spec import ModelSpec
from ..results.regions import ROTATIONS, encloses_one_area, parse_area
from .table import PARAMETERS, Kind, Row


def check_value(name: str, value: Any, table: Mapping[str, Row] = PARAMETERS) -> None:
    """Raise ParameterError if this value is wrong for every model.

    value: of the parameter's type, in the form of ROS or of Settings; table: that has the parameter
    """
    row = table[name]
    if row.choices and value not in row.choices:
        raise ParameterError(f"{name} is '{value}': expected {row.expected}{_hint(row, value)}")
    if name in _CHECKS:
        expected = _CHECKS[name](value)
        if expected:
            found = list(value or ()) if row.kind in (Kind.INTEGERS, Kind.NUMBERS, Kind.TEXTS) else value
            raise ParameterError(f'{name} is {found}: expected {expected}')
    elif row.limits and (not math.isfinite(value) or not row.limits[0] <= value <= row.limits[1]):
        raise ParameterError(f'{name} is {value}: expected {row.expected}')


def is_unset(numbers: Sequence[float] | None) -> bool:
    """Return whether the model's own numbers are used: for [nan], and for None (rclpy's value of an empty list)."""
    return numbers is None or (len(numbers) == 1 and math.isnan(numbers[0]))


def class_indices(names: Sequence[str], spec: ModelSpec, option: str = 'classes') -> frozenset[int] | None:
    """Return the indices of the classes to report, None for all. option: that has the names

    Raises ParameterError for a name that the model does not have.
    """
    if not names:
        return None
    known = set(spec.names)
    for name in names:
        if name not in known:
            close = closest(name, spec.names)
            raise ParameterError(
                f"{option} names '{name}', which {spec.path.name} does not know"
                + (f": did you mean '{close}'?" if close else
                   f': it knows {len(spec.names)} classes, {listed(spec.names, 5)}'))
    wanted = set(names)
    return frozenset(index for index, name in enumerate(spec.names) if name in wanted)


def closest(name: str, known: Iterable[str]) -> str:
    """Return the most similar known name, whatever its case; '' if none is similar."""
    spelt = {one.casefold(): one for one in known}
    return next((spelt[found] for found in difflib.get_close_matches(name.casefold(), list(spelt), 1)), '')


def _hint(row: Row, value: Any) -> str:
    if row.name == 'image_transport':
        for transport in TRANSPORTS:
            if value == transport.name:
                return (
                    f'; this node cannot read {transport.content}: republish them as raw images, for a topic CAMERA '
                    f'{republish_command(transport, f"CAMERA/{value}")}')
    close = closest(str(value), row.choices)
    return f" (did you mean '{close}'?)" if close else ''


def _input_size(value: Sequence[int] | None) -> str:
    return '[width, height] in pixels, or [0, 0]' if value is None or len(value) != 2 or min(value) < 0 else ''


def _image_topics(value: Sequence[str] | None) -> str:
    return '' if value and all(value) else 'the name of at least one topic, and no empty name'


def _roi(value: Sequence[int] | None) -> str:
    wrong = not value or len(value) % 4 or min(value) < 0
    return 'x, y, width and height in pixels, four numbers for all cameras or for each' if wrong else ''


def _rotate(value: Sequence[int] | None) -> str:
    wrong = not value or not set(value) <= set(ROTATIONS)
    return 'degrees of a clockwise turn, 0, 90, 180 or 270, one number for all cameras or for each' if wrong else ''


def _ignore_areas(value: Sequence[str] | None) -> str:
    for text in value or ():
        if not text:
            continue
        area = parse_area(text)
        if area is None:
            return (
                "texts with at least three corners in pixels, such as '0,0 640,0 640,80' or '/front/image_raw: 0,0 "
                "640,0 640,80'")
        if not encloses_one_area(area[1]):
            return f"corners in their order around an area, so that no edges cross, unlike '{text}'"
    return ''


def _batch_profile(value: Sequence[int] | None) -> str:
    if value is None or len(value) != 3 or not 1 <= value[0] <= value[1] <= value[2]:
        return '[smallest, usual, largest], from 1 on and in ascending order'
    return ''


def _of_channels(value: Sequence[float] | None) -> str:
    if value is None or is_unset(value):
        return ''
    if len(value) not in (1, 3):
        return 'one or three numbers'
    if not all(map(math.isfinite, value)):
        return "finite numbers, or only [.nan] for the model's values"
    return ''


def _threshold(value: float) -> str:
    return '' if value == -1.0 or 0.0 <= value <= 1.0 else "0.0 to 1.0, or -1.0 for the model's value"


# Each returns the text for "expected ...", '' if the value is right. An empty list given at the start is None in rclpy.
_CHECKS: Mapping[str, Callable[[Any], str]] = {
    'input_size': _input_size, 'batch_profile': _batch_profile, 'image_topics': _image_topics,
    'roi': _roi, 'rotate': _rotate, 'ignore_areas': _ignore_areas,
    'mean': _of_channels, 'std': _of_channels,
    'score_threshold': _threshold, 'iou_threshold': _threshold}
