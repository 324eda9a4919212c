# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of a comparison: with rich on a terminal if it is installed, otherwise plain text of the same cells."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

from ..errors import printable
from .compare import Comparison, Measured

_SUMMARY = (
    '', 'load s', 'first ms', 'p50 ms', 'p95 ms', 'p99 ms', 'frames/s', 'host MB', 'GPU MB', 'agreement')
_STAGES = ('', 'stage', 'p50 ms', 'p95 ms', 'p99 ms')


def summary(comparison: Comparison) -> list[Sequence[str]]:
    """Return one row for each variant, after the row of headings."""
    return [_SUMMARY, *(
        (one.variant.name, f'{one.load_s:.2f}', f'{one.first_ms:.2f}',
         *(f'{value:.2f}' for value in one.percentiles()['total']), f'{one.frames_per_second:.1f}',
         _or_dash(one.host_mb), _or_dash(one.gpu_mb), _agreement(one, comparison.reference))
        for one in comparison.measured)]


def stages(comparison: Comparison) -> list[Sequence[str]]:
    """Return one row for each stage of each variant, after the row of headings."""
    return [_STAGES, *(
        (one.variant.name, stage, *(f'{value:.3f}' for value in values))
        for one in comparison.measured for stage, values in one.percentiles().items() if stage != 'total')]


def plain(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as lines of text: the first column is aligned to the left, the others to the right."""
    widths = _widths(rows)
    return '\n'.join(
        '  '.join([row[0] + ' ' * (widths[0] - columns(row[0])), *(
            ' ' * (width - columns(cell)) + cell for cell, width in zip(row[1:], widths[1:]))]).rstrip()
        for row in rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [f'| {" | ".join(cell.replace("|", "/") for cell in row)} |' for row in rows]
    return '\n'.join([lines[0], '|' + '---|' * len(rows[0]), *lines[1:]])


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print the rows."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.table import Table
        except ImportError:
            pass
        else:
            console = Console()
            # Each column has a line and two spaces. Rich would cut cells off, of all columns.
            if sum(_widths(rows)) + 3 * len(rows[0]) + 1 > console.width:
                print(plain([[printable(cell) for cell in row] for row in rows]))
                return
            table = Table(*(printable(cell) for cell in rows[0]))
            for column in table.columns[1:]:
                column.justify = 'right'
                column.no_wrap = True
            for row in rows[1:]:
                table.add_row(*map(printable, row))
            console.print(table)
            return
    print(plain([[printable(cell) for cell in row] for row in rows]))


def columns(text: str) -> int:
    """Return the columns of a terminal that a text takes: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(letter) in 'WF' else 1 for letter in text)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(printable(row[column])) for row in rows) for column in range(len(rows[0]))]


def _or_dash(value: float | None) -> str:
    return '-' if value is None else f'{value:.0f}'


def _agreement(one: Measured, reference: str) -> str:
    if one.variant.name == reference:
        return 'reference'
    if one.agreement is None or one.agreement.says_nothing:
        return '-'
    return f'{one.agreement.value:.3f}'
