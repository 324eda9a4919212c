# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers on the command line: each says what was expected when it is none."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def fraction(text: str) -> float:
    """Parse a number of 0..1."""
    value = _number(text, float, 'a number from 0 to 1')
    if not 0.0 <= value <= 1.0:
        raise _expected(text, 'a number from 0 to 1')
    return value


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    value = _number(text, int, 'a whole number above 0')
    if value < 1:
        raise _expected(text, 'a whole number above 0')
    return int(value)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of a whole number from `low` to `high`."""
    what = f'a whole number from {low} to {high}'

    def parse(text: str) -> int:
        value = _number(text, int, what)
        if not low <= value <= high:
            raise _expected(text, what)
        return int(value)

    return parse


def not_negative(text: str) -> int:
    """Parse a whole number from 0 on."""
    value = _number(text, int, 'a whole number from 0 on')
    if value < 0:
        raise _expected(text, 'a whole number from 0 on')
    return int(value)


def speed(text: str) -> float:
    """Parse a number above 0."""
    value = _number(text, float, 'a number above 0')
    if not 0.0 < value < float('inf'):
        raise _expected(text, 'a number above 0')
    return value


def duration(text: str) -> float:
    """Parse a number from 0 on."""
    value = _number(text, float, 'a number from 0 on')
    if not 0.0 <= value < float('inf'):
        raise _expected(text, 'a number from 0 on')
    return value


def _number(text: str, kind: type, what: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise _expected(text, what) from None


def _expected(text: str, what: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f'{text}: expected {what}')
