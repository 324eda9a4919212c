# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws a graph before and after fusion as SVG: two panels with the same places, so each kernel is beside its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ..errors import printable
from .layout import Layout, place

BOX = 240.0
_ROW, _FRAME = 24.0, 5.0
_MARGIN, _HEADER, _BETWEEN = 24.0, 62.0, 72.0
# Mean width of a character in the fonts below, in pixels.
_TITLE, _DETAIL = 7.9, 6.0
_STYLE = (
    'text{font-family:DejaVu Sans,Verdana,Arial,sans-serif;fill:#0f172a}'
    '.t{font-size:12px;font-weight:bold}.d{font-size:10px;fill:#475569}.h{font-size:17px;font-weight:bold}'
    '.e{fill:none;stroke:#94a3b8;stroke-width:1.4}.n{stroke:#94a3b8;fill:#fff}'
    '.fused{stroke:#1d4ed8;stroke-width:1.6;fill:#dbeafe}.added{stroke:#b45309;stroke-width:1.6;fill:#fef3c7}'
    '.same{stroke:#94a3b8;fill:#f1f5f9}.end{stroke:#0f172a;fill:#e2e8f0}')


@dataclass(frozen=True)
class Row:
    """One node: its operator with attributes, and a detail such as the shape of its output."""

    title: str
    detail: str


@dataclass(frozen=True)
class Cell:
    """One place of the picture.

    kind: fused, same, added (the optimiser added it) or end (an input or output of the model)
    reads, writes: names of tensors, from which the edges follow
    """

    kind: str
    before: tuple[Row, ...]
    after: tuple[Row, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def height(self) -> float:
        """The height in pixels, the same in both panels."""
        return max(len(self.before), len(self.after), 1) * _ROW + 2 * _FRAME


def draw(
    cells: Sequence[Cell], titles: tuple[str, str], subtitles: tuple[str, str], box: float = BOX,
) -> str:
    """Return the SVG document of both panels.

    cells: each reads only what other cells write; a name that no cell writes has no edge
    box: the width of a cell in pixels
    """
    maker = {name: index for index, cell in enumerate(cells) for name in cell.writes}
    edges = list(dict.fromkeys(
        (maker[name], index) for index, cell in enumerate(cells) for name in cell.reads
        if maker.get(name, index) != index))
    layout = place([(box, cell.height) for cell in cells], edges)
    panel = max(layout.width, *(len(title) * 10.5 for title in titles), *(len(text) * 6.6 for text in subtitles))
    width, height = 2 * (panel + _MARGIN) + _BETWEEN, layout.height + _HEADER + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f'<style>{_STYLE}</style>',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#94a3b8"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>']
    for side, (title, subtitle) in enumerate(zip(titles, subtitles)):
        left = _MARGIN + side * (panel + _BETWEEN)
        parts.append(_text(left, _MARGIN + 14, 'h', title))
        parts.append(_text(left, _MARGIN + 34, 'd', subtitle))
        parts.append(f'<g transform="translate({left + (panel - layout.width) / 2:.1f} {_MARGIN + _HEADER:.1f})">')
        parts.extend(_panel(cells, layout, box, bool(side)))
        parts.append('</g>')
    middle = _MARGIN + panel + _BETWEEN / 2
    parts.append(f'<line x1="{middle:.1f}" y1="{_MARGIN}" x2="{middle:.1f}" y2="{height - _MARGIN:.1f}" '
                 'stroke="#cbd5e1" stroke-dasharray="4 5"/>')
    return '\n'.join([*parts, '</svg>', ''])


def _panel(cells: Sequence[Cell], layout: Layout, box: float, after: bool) -> Iterator[str]:
    for path in layout.paths:
        yield f'<path class="e" marker-end="url(#a)" d="{_curve(path)}"/>'
    for cell, (left, top) in zip(cells, layout.cells):
        rows = cell.after if after else cell.before
        if not rows:
            # The optimiser added it, so here its input goes on unchanged.
            yield f'<path class="e" d="M{left + box / 2:.1f} {top:.1f}v{cell.height:.1f}"/>'
            continue
        yield _box(left, top, box, cell.height, cell.kind, 12 if cell.kind == 'end' else 4)
        if after:
            yield from _kernel(cell, rows, left, top, box)
        elif len(rows) == 1:
            yield from _row(rows[0], left, top + cell.height / 2, box)
        else:
            for number, row in enumerate(rows):
                at = top + _FRAME + number * _ROW
                yield _box(left + _FRAME, at + 1, box - 2 * _FRAME, _ROW - 2, 'n', 3)
                yield from _row(row, left, at + _ROW / 2, box)


def _kernel(cell: Cell, rows: Sequence[Row], left: float, top: float, box: float) -> Iterator[str]:
    """Yield the text of a cell after fusion; if there is room, also what it was made from."""
    made_from = ' + '.join(row.title.split(' ', maxsplit=1)[0] for row in cell.before)
    lines = len(rows) + (cell.kind == 'fused' and len(cell.before) > len(rows))
    first = top + cell.height / 2 - (lines - 1) * 18 / 2
    for number, row in enumerate(rows):
        yield from _row(row, left, first + 18 * number, box)
    if lines > len(rows):
        yield _text(left + 9, first + 18 * len(rows) + 4, 'd', _fitted(made_from, _DETAIL, box - 18))


def _row(row: Row, left: float, middle: float, box: float) -> Iterator[str]:
    detail = _fitted(row.detail, _DETAIL, box / 2)
    title = _fitted(row.title, _TITLE, box - 26 - len(detail) * _DETAIL)
    yield _text(left + 9, middle + 4, 't', title)
    if detail:
        yield _text(left + box - 9, middle + 4, 'd', detail, 'end')


def _box(left: float, top: float, width: float, height: float, kind: str, radius: float) -> str:
    return (f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius:g}"/>')


def _text(x: float, y: float, style: str, text: str, anchor: str = '') -> str:
    where = f' text-anchor="{anchor}"' if anchor else ''
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}"{where}>{escape(printable(text))}</text>'


def _fitted(text: str, wide: float, room: float) -> str:
    most = int(room / wide)
    return text if len(text) <= most else f'{text[:max(most - 1, 1)]}\u2026'


def _curve(path: Sequence[tuple[float, float]]) -> str:
    (x, y), *rest = path
    parts = [f'M{x:.1f} {y:.1f}']
    for to_x, to_y in rest:
        if abs(to_x - x) < 0.5:
            parts.append(f'L{to_x:.1f} {to_y:.1f}')
        else:
            middle = (y + to_y) / 2
            parts.append(f'C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}')
        x, y = to_x, to_y
    return ''.join(parts)
