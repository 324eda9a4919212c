# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks options. All functions raise ParameterError with the option, its value and the expected values."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ParameterError, one_line


def text(name: str, value: object) -> str:
    """Return a path or a name as text."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise ParameterError(f'{name} is {_shown(value)}: expected a path or a name as text')
    if '\0' in path:
        raise ParameterError(f'{name} is {_shown(value)}: expected text without the character NUL')
    return path


def size(value: Any) -> tuple[int, int]:
    """Return width and height of input_size."""
    try:
        width, height = (operator.index(number) for number in value)
    except (TypeError, ValueError):
        raise ParameterError(
            f'input_size is {_shown(value)}: expected (width, height) in pixels, or (0, 0)') from None
    return width, height


def number(name: str, value: Any, low: float, high: float) -> float:
    """Return a number from `low` to `high`."""
    kinds = (int, float, np.integer, np.floating)
    # Nothing compares with NaN.
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise ParameterError(f'{name} is {_shown(value)}: expected a number from {low:g} to {high:g}')
    return float(value)


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f'{name} is {_shown(value)}: expected a whole number from {least} on')
    return int(value)


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return one of the choices."""
    # An array compares with each text, and has no truth value.
    if not isinstance(value, str) or value not in choices:
        raise ParameterError(f'{name} is {_shown(value)}: expected one of {", ".join(choices)}')
    return str(value)


def flag(name: str, value: Any) -> bool:
    """Return True or False. Anything else is refused: the text 'no' counts as true in Python."""
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f'{name} is {_shown(value)}: expected True or False')
    return bool(value)


def _shown(value: object) -> str:
    return one_line(repr(value), 80)
