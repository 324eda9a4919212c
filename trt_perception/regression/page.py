# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A comparison as one HTML file with its pictures. It loads nothing from elsewhere, and its size is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from .. import __version__
from ..errors import one_line, printable
from ..html_page import html_page, section, tiles
from .comparison import Comparison
from .drawing import lines_of, svg_of
from .figures import BoxFigures, TopFigures
from .frames import FrameDifference
from .largest import LargeDifference
from .limits import Check
from .page_style import STYLE
from .page_tables import bags, changes, classes, provenances, table
from .pictures import Pictures
from .report import shown_name, summary, thresholds_note
from .views import View

_LINES = 5
_CHECKS = 200


def comparison_page(
    comparison: Comparison, pictures: Pictures, checks: Sequence[Check], failures: Sequence[str], gate: bool,
) -> str:
    """Return the page.

    pictures: of comparison.largest; gate: whether there are limits; failures: why they do not hold
    """
    a, b = comparison.a.name or str(comparison.a), comparison.b.name or str(comparison.b)
    return html_page(f'{printable(a)} against {printable(b)}', [
        f'<h1><span class="a">A</span> {escape(printable(a))} against <span class="b">B</span> {escape(printable(b))}'
        f'</h1><p class="soft">trt_perception compare {escape(__version__)}. B is judged by what A found: A is not the '
        'truth.</p>',
        _verdict(comparison, failures, gate), _tiles(comparison), *_notes(comparison, pictures),
        *_checks(checks), classes(comparison), *changes(comparison), *bags(comparison), _sheet(comparison, pictures),
        provenances(comparison), _meaning(comparison)], STYLE)


def _verdict(comparison: Comparison, failures: Sequence[str], gate: bool) -> str:
    if not gate:
        return f'<p class="verdict plain">{escape(summary(comparison))}. No limits were given.</p>'
    if not failures:
        return f'<p class="verdict">Passed: all limits hold. {escape(summary(comparison))}.</p>'
    lines = ''.join(f'<li>{escape(printable(line))}</li>' for line in failures[:_CHECKS])
    more = f'<li>and {len(failures) - _CHECKS} more</li>' if len(failures) > _CHECKS else ''
    return f'<div class="verdict bad">Not passed:<ul>{lines}{more}</ul></div>'


def _tiles(comparison: Comparison) -> str:
    total = comparison.tally.total
    images = (f'{comparison.images:,}', 'images compared')
    if isinstance(total, BoxFigures):
        return tiles([
            images, (f'{total.agreement:.4f}', 'agreement'), (f'{total.lost:,}', f'boxes lost of {total.a:,}'),
            (f'{total.gained:,}', f'boxes gained of {total.b:,}'), (f'{total.moved:,}', 'boxes moved'),
            (f'{total.changed_from:,}', 'with another class'),
            (f'{total.differences.p95:.3f}', 'score difference, p95')])
    return tiles([
        images, (f'{total.top1:.4f}', 'top-1 agreement'),
        (f'{total.frames - total.same:,}', 'with another first class'),
        (f'{total.likely:,}', 'of them equally likely'), (f'{total.differences.p95:.3f}', 'score difference, p95')])


def _notes(comparison: Comparison, pictures: Pictures) -> Iterator[str]:
    left_out = [f'classes that only one model has: {", ".join(map(shown_name, comparison.left_out[:20]))}'
                + (' ...' if len(comparison.left_out) > 20 else '')] if comparison.left_out else []
    notes = [*comparison.notes, *left_out]
    if notes:
        yield section('Not compared', _list(notes))
    thresholds = thresholds_note(comparison)
    if thresholds:
        yield section('Other thresholds', _list([thresholds]))
    if pictures.notes:
        yield section('Without an image', _list(pictures.notes))


def _list(lines: Sequence[str]) -> str:
    shown = ''.join(f'<li>{escape(one_line(line, 400))}</li>' for line in lines[:20])
    return f'<ul>{shown}{f"<li>and {len(lines) - 20} more</li>" if len(lines) > 20 else ""}</ul>'


def _checks(checks: Sequence[Check]) -> Iterator[str]:
    if not checks:
        return
    ordered = sorted(checks, key=lambda check: check.passed)[:_CHECKS]
    rows = [('option', 'class', 'value', 'limit'), *(
        (check.option, shown_name(check.of) if check.of else 'all', f'{check.value:.4f}',
         f'{"≥" if check.option.startswith("--min") else "≤"} {check.limit:g}') for check in ordered)]
    verdicts = ['<th></th>', *(
        '<td>holds</td>' if check.passed else '<td class="exceeded">exceeded</td>' for check in ordered)]
    more = len(checks) - len(ordered)
    yield section('Limits', table(rows, verdicts, 'names'), f'and {more} more, which hold' if more else '')


def _sheet(comparison: Comparison, pictures: Pictures) -> str:
    cells = ''.join(
        _cell(comparison, item, view) for item, view in zip(comparison.largest, pictures.views, strict=True))
    if not cells:
        why = 'No pictures were asked for.' if not comparison.options.pictures else 'No image differs by 0.01 or more.'
        return section('Largest differences', f'<p>{why}</p>')
    key = '' if isinstance(comparison.tally.total, TopFigures) else (
        ' <span class="key a"></span> only in A, or where A has it &ensp; <span class="key b"></span> only in B, or '
        'where B has it &ensp; dashed: in both.')
    return section(
        f'The {len(comparison.largest)} largest differences', f'<div class="sheet">{cells}</div>',
        f'Of each second of a topic, one image.{key}')


def _cell(comparison: Comparison, item: LargeDifference, view: View) -> str:
    image, difference = item.image, item.difference
    bag = comparison.bags[item.bag].name
    where = f'{image.topic or image.source} {image.frame}'
    title = f'{bag}, {where}' if image.topic else where
    if isinstance(difference, FrameDifference):
        moved_iou = comparison.options.moved_iou
        picture = svg_of(view, difference, moved_iou, printable(title))
        lines = lines_of(difference, moved_iou, _LINES)
    else:
        picture = svg_of(view, None, 0.0, printable(title))
        first = f'{shown_name(difference.a.name)} {difference.a.score:.2f}'
        second = f'{shown_name(difference.b.name)} {difference.b.score:.2f}'
        lines = [('score' if difference.same else 'changed', f'{first} → {second}')]
    text = ''.join(
        f'<li><b class="{kind}">{kind}</b> {escape(line)}</li>' for kind, line in lines)
    return (
        f'<figure>{picture}<figcaption><span class="where">{escape(one_line(printable(title), 120))}</span>'
        f'<ul>{text}</ul></figcaption></figure>')


def _meaning(comparison: Comparison) -> str:
    options = comparison.options
    if isinstance(comparison.tally.total, TopFigures):
        return (
            "<footer>Likely: B has another first class, but in A its score is within 0.05 of A's first. Score "
            "difference: of A's first class; 0 in B if it is not listed there.</footer>")
    score = f' Boxes with a score of at least {options.score:g} count.' if options.score else ''
    return (
        f'<footer>Boxes of one class are matched one to one, the highest IoU first, from {options.iou:g} on.{score} '
        f'Moved: IoU below {options.moved_iou:g}. Other class: a lost and a gained box at the same place. Agreement: 2 '
        'matched / (boxes of A + boxes of B). Score: mean, 95th percentile and maximum of the absolute differences of '
        'matched boxes.</footer>')
