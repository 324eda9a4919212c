# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Command-line options for parameters of the node: text, choices, range and default come from the parameter."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..parameters.table import PARAMETERS, Kind, Row, Values
from .numbers import number, numbers, positive, whole


def add_parameter(
    parser: argparse._ActionsContainer, option: str, name: str, default_means: str = '', **different: Any,
) -> None:
    """Add the option for a parameter.

    default_means: meaning of a missing option, if it differs from the parameter's default
    different: keywords of add_argument that replace those of the parameter, for example the metavar
    """
    row = PARAMETERS[name]
    keywords: dict[str, Any] = {'default': getattr(Values(), name), 'help': _help(row, default_means)}
    if row.kind is Kind.BOOL:
        keywords['action'] = 'store_true'
    elif row.choices:
        keywords['choices'] = row.choices
    else:
        keywords['type'] = _parser(row)
    if row.kind is Kind.INTEGERS:
        keywords['nargs'] = len(row.default)
    if row.kind is Kind.TEXTS:
        # argparse extends a copy.
        keywords['default'] = []
    parser.add_argument(option, **{**keywords, **different})


def _parser(row: Row) -> Callable[[str], Any]:
    if row.kind is Kind.INTEGER:
        return whole(int(row.limits[0]), int(row.limits[1]))
    if row.kind is Kind.NUMBER:
        return number(*row.limits)
    return {Kind.INTEGERS: positive, Kind.NUMBERS: numbers}.get(row.kind, str)


def _help(row: Row, default_means: str) -> str:
    """Return the parameter's text in the style of help texts: in lower case, with the default at the end."""
    first, _, rest = row.text.partition(' ')
    # Names such as TensorRT and IoU stay as they are.
    text = f'{first.lower() if first[1:].islower() else first} {rest}'
    if default_means:
        text += f' (default: {default_means})'
    elif row.default_means and row.choices:
        text += f' (default {row.default}: {row.default_means})'
    elif row.default_means:
        text += f' (default: {row.default_means})'
    elif row.kind is Kind.INTEGERS:
        text += f' (default: {" ".join(map(str, row.default))})'
    elif row.kind is not Kind.BOOL and row.default != '':
        text += f' (default: {row.default})'
    return text.replace('%', '%%')
