# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Parses the text of launch arguments. A wrong one gives one clear line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..home import expanded
from ..parameters.table import Kind


class LaunchArgumentError(Exception):
    """A launch argument has an invalid value."""


def parse_bool(name: str, text: str) -> bool:
    """Parse true or false; LaunchArgumentError for any other text."""
    value = text.strip().lower()
    if value in ('true', '1', 'yes', 'on'):
        return True
    if value in ('false', '0', 'no', 'off'):
        return False
    raise LaunchArgumentError(f'{name}:={text}: expected true or false')


def parse_path(name: str, text: str) -> str:
    """Expand a leading ~: a shell does not expand it after ':='."""
    return expanded(text)


def parse_number(name: str, text: str) -> float:
    """Parse a number; LaunchArgumentError for any other text."""
    try:
        return float(text)
    except ValueError:
        raise LaunchArgumentError(f'{name}:={text}: expected a number') from None


def parse_integer(name: str, text: str) -> int:
    """Parse a whole number; LaunchArgumentError for any other text."""
    try:
        return int(text)
    except ValueError:
        raise LaunchArgumentError(f'{name}:={text}: expected a whole number') from None


def parse_text(name: str, text: str) -> str:
    """Return the text unchanged."""
    return text


# For launch arguments that set a parameter.
PARSERS: Mapping[Kind, Callable[[str, str], Any]] = {
    Kind.BOOL: parse_bool, Kind.INTEGER: parse_integer, Kind.NUMBER: parse_number, Kind.TEXT: parse_text,
    Kind.PATH: parse_path}


def parse_log_level(name: str, text: str) -> str:
    """Return LEVEL or LOGGER:=LEVEL unchanged; LaunchArgumentError for a level that would end the node at start."""
    levels = ('debug', 'info', 'warn', 'error', 'fatal')
    if text.rpartition(':=')[2].lower() not in levels:
        raise LaunchArgumentError(f'{name}:={text}: expected one of {", ".join(levels)}, or LOGGER:=LEVEL')
    return text
