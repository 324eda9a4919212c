# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Parses numbers of the command line, with errors that say what was expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

N = TypeVar('N', int, float)


def _parser(kind: type[N], accepts: Callable[[N], bool], what: str) -> Callable[[str], N]:
    """Return the function that argparse calls with the text of an argument."""
    def parse(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            accepted = False
        else:
            # Every comparison with NaN is False.
            accepted = accepts(value)
        if not accepted:
            raise argparse.ArgumentTypeError(f'{text}: expected {what}')
        return value

    return parse


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of a whole number from `low` to `high`."""
    return _parser(int, lambda value: low <= value <= high, f'a whole number from {low} to {high}')


def number(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of a number from `low` to `high`."""
    return _parser(float, lambda value: low <= value <= high, f'a number from {low:g} to {high:g}')


_INFINITE = float('inf')
fraction = number(0.0, 1.0)
positive = _parser(int, lambda value: value >= 1, 'a whole number above 0')
not_negative = _parser(int, lambda value: value >= 0, 'a whole number, 0 or more')
above_zero = _parser(float, lambda value: 0.0 < value < _INFINITE, 'a number above 0')
duration = _parser(float, lambda value: 0.0 <= value < _INFINITE, 'a number, 0 or more')


def numbers(text: str) -> tuple[float, ...]:
    """Parse one number, or three numbers separated by commas."""
    try:
        values = tuple(float(part) for part in text.split(','))
    except ValueError:
        values = ()
    if len(values) not in (1, 3) or not all(abs(value) < _INFINITE for value in values):
        raise argparse.ArgumentTypeError(f'{text}: expected one number, or three numbers separated by commas')
    return values
