# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..errors import printable
from ..html_page import section
from .comparison import Comparison
from .figures import BoxFigures, TopFigures
from .report import bag_table, class_table, provenance, shown_name, sorted_classes

_CLASSES, _CHANGES, _BAGS = 100, 20, 50


def table(rows: Sequence[Sequence[str]], extra: Sequence[str] = (), kind: str = '') -> str:
    """Return a table.

    rows: plain text, the headings first; extra: HTML of one more cell for each row; kind: its CSS class
    """
    def line(row: Sequence[str], tag: str, more: str) -> str:
        return '<tr>' + ''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row) + more + '</tr>'

    extra = extra or [''] * len(rows)
    return f'<div class="scroll"><table class="{kind}">' + ''.join(
        line(row, 'td' if number else 'th', more) for number, (row, more) in enumerate(zip(rows, extra))
    ) + '</table></div>'


def classes(comparison: Comparison) -> str:
    """Return the classes, each with a bar: what part is as before."""
    rows = class_table(comparison, _CLASSES)
    figures = [comparison.tally.total, *(one for _, one in sorted_classes(comparison.tally.classes)[:_CLASSES])]
    bars = ['<th class="wide"></th>', *(f'<td class="wide">{_bar(one)}</td>' for one in figures)]
    more = len(comparison.tally.classes) - _CLASSES
    note = (f'{more} more classes with fewer differences are in the file of --json. ' if more > 0 else '')
    note += 'Bar: <span class="key same"></span> ' + (
        'matched <span class="key moved"></span> moved <span class="key a"></span> lost <span class="key b"></span> '
        'gained.' if isinstance(comparison.tally.total, BoxFigures) else
        'same <span class="key moved"></span> equally likely <span class="key a"></span> another class.')
    return section('Classes', table(rows, bars, 'classes'), note)


def changes(comparison: Comparison) -> Iterator[str]:
    """Yield which class became which."""
    found = comparison.tally.changes.most_common(_CHANGES)
    if found:
        what, title = ('boxes', 'Other class at the same place') if isinstance(
            comparison.tally.total, BoxFigures) else ('images', 'Other first class')
        rows = [('class in A', 'class in B', what), *(
            (shown_name(first), shown_name(second), f'{count:,}') for (first, second), count in found)]
        more = len(comparison.tally.changes) - len(found)
        yield section(title, table(rows, kind='names'), f'and {more} more pairs of classes' if more else '')


def bags(comparison: Comparison) -> Iterator[str]:
    """Yield the bags, if there are several."""
    if len(comparison.bags) > 1:
        more = len(comparison.bags) - _BAGS
        yield section(
            'Bags, the lowest agreement first', table(bag_table(comparison, _BAGS)),
            f'and {more} bags with a higher agreement' if more > 0 else '')


def provenances(comparison: Comparison) -> str:
    """Return what made the annotations; of several bags, what all have."""
    sides = [
        [provenance(one) for one in annotations] for annotations in (
            [bag.a for bag in comparison.bags], [bag.b for bag in comparison.bags])]
    keys = list(dict.fromkeys(key for side in sides for one in side for key in one))
    rows = [('path', str(comparison.a), str(comparison.b)), *(
        (key, *(_common([one.get(key, '') for one in side]) for side in sides)) for key in keys)]
    html = ''.join(
        f'<tr{"" if first == second or key == "path" else " class=differs"}><td>{escape(key)}</td>'
        f'<td>{escape(printable(first))}</td><td>{escape(printable(second))}</td></tr>'
        for key, first, second in rows if first or second)
    return section(
        'What made them', '<div class="scroll"><table class="made"><tr><th></th><th>A</th><th>B</th></tr>'
        f'{html}</table></div>', '' if keys else 'Files without annotation.json do not say which model made them.')


def _common(values: Sequence[str]) -> str:
    different = list(dict.fromkeys(values))
    return ' | '.join(different[:3]) + (' | ...' if len(different) > 3 else '')


def _bar(figures: BoxFigures | TopFigures) -> str:
    if isinstance(figures, TopFigures):
        others = figures.frames - figures.same - figures.likely
        parts = [('same', figures.same), ('moved', figures.likely), ('a', others)]
    else:
        parts = [('same', figures.matched - figures.moved), ('moved', figures.moved), ('a', figures.lost),
                 ('b', figures.gained)]
    total = sum(count for _, count in parts) or 1
    shares = ''.join(
        f'<i class="{kind}" style="width:{100 * count / total:.2f}%"></i>' for kind, count in parts if count)
    return f'<span class="bar">{shares}</span>'
