# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws the boxes of both annotations over a part of an image, as SVG: names in any script stay sharp."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape

from ..errors import one_line, printable
from ..results.json_reader import Found
from .frames import FrameDifference, Pair
from .report import moved
from .views import View

# Names in a picture; the others are boxes without a name.
_MOST_NAMES = 8
# Boxes in a picture: a detector gives up to some hundred.
_MOST_BOXES = 100
_LONGEST_NAME = 48
_MOST_EMS = 13.0
# Letters from here on are as wide as high.
_WIDE = 0x2e80
# Of the width of the part of the image.
_TEXT, _STROKE = 1 / 25, 1 / 180
# A box of B is thinner, so that one of A at the same place is seen below it. Both have a dark edge.
_STROKES = {'edge': 3.2, 'a': 2.2, 'same': 0.8}


def svg_of(view: View, difference: FrameDifference | None, moved_iou: float, title: str) -> str:
    """Return the picture: unchanged boxes thin, boxes of A orange and boxes of B blue.

    difference: None for an image without boxes; title: plain text, for screen readers
    """
    unit = max(view.width, view.height * 4 / 3)
    parts = [f'<rect x="{view.x}" y="{view.y}" width="{view.width}" height="{view.height}" class="empty"/>']
    if view.jpeg:
        data = base64.b64encode(view.jpeg).decode()
        parts.append(
            f'<image x="{view.x}" y="{view.y}" width="{view.width}" height="{view.height}" '
            f'preserveAspectRatio="none" href="data:image/jpeg;base64,{data}"/>')
    if difference is not None:
        parts += _boxes(view, difference, moved_iou, unit)
    return (
        f'<svg viewBox="{view.x} {view.y} {view.width} {view.height}" role="img" aria-label="{escape(title)}" '
        f'style="font-size:{unit * _TEXT:.2f}px;stroke-width:{unit * _STROKE:.2f}px">{"".join(parts)}</svg>')


def _boxes(view: View, difference: FrameDifference, moved_iou: float, unit: float) -> Iterator[str]:
    far = moved(difference, moved_iou)
    # Objects have no hash that is cheap: a pair is found by its identity.
    known = {id(pair) for pair in far}
    for pair in difference.matched[:_MOST_BOXES]:
        if id(pair) not in known:
            yield _rect(pair.b, 'same', unit)
    sides = [
        ('a', [*difference.lost, *(pair.a for pair in far)]), ('b', [*difference.gained, *(pair.b for pair in far)])]
    for _, found in sides:
        for one in found[:_MOST_BOXES]:
            yield _rect(one, 'edge', unit)
    for side, found in sides:
        for one in found[:_MOST_BOXES]:
            yield _rect(one, side, unit)
    names = _Names(view, unit * _TEXT)
    for side, found in sides:
        for one in sorted(found, key=lambda one: -one.score)[:_MOST_NAMES // 2]:
            yield names.svg(one, side)


def _rect(found: Found, kind: str, unit: float) -> str:
    assert found.box is not None
    left, top, right, bottom = found.box
    factor = _STROKES.get(kind)
    width = f' style="stroke-width:{unit * _STROKE * factor:.2f}px"' if factor else ''
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        f'{width}/>')


class _Names:
    """Places names in a picture. One that would cover another is left out: the text below the picture has it."""

    def __init__(self, view: View, size: float) -> None:
        self._view = view
        self._size = size
        self._taken: list[tuple[float, float, float]] = []

    def svg(self, found: Found, side: str) -> str:
        """Return a name: of A above its box, of B below it, so that two boxes at one place can be read."""
        assert found.box is not None
        view, size = self._view, self._size
        left, top, _, bottom = found.box
        y = top - size * 0.35 if side == 'a' else bottom + size
        y = min(max(y, view.y + size), view.y + view.height - size * 0.35)
        text = f'{side.upper()} {_shortened(one_line(printable(found.name)))} {found.score:.2f}'
        wide = size * _ems(text)
        x = min(max(left, view.x + size * 0.2), max(view.x, view.x + view.width - wide))
        for other_x, other_y, other_wide in self._taken:
            if abs(y - other_y) < size and x < other_x + other_wide and other_x < x + wide:
                return ''
        self._taken.append((x, y, wide))
        return f'<text class="{side}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _ems(text: str) -> float:
    """Return about how wide a text is, in heights: a letter of Latin is narrower than one of Chinese."""
    return sum(1.05 if ord(letter) > _WIDE else 0.66 for letter in text)


def _shortened(name: str) -> str:
    if _ems(name) <= _MOST_EMS:
        return name
    while _ems(name) > _MOST_EMS:
        name = name[:-1]
    return f'{name}…'


def lines_of(difference: FrameDifference, moved_iou: float, most: int) -> list[tuple[str, str]]:
    """Return what differs in an image: (kind, text), the highest scores first. most: lines; the last says how many more

    kind: lost, gained, changed, moved
    """
    changed = {id(found) for pair in difference.changed for found in (pair.a, pair.b)}
    entries: list[tuple[float, str, str]] = []
    entries += ((pair.a.score, 'changed', f'{_of(pair.a)} → {_of(pair.b)}') for pair in difference.changed)
    entries += ((one.score, 'lost', _of(one)) for one in _without(difference.lost, changed))
    entries += ((one.score, 'gained', _of(one)) for one in _without(difference.gained, changed))
    entries += ((pair.a.score, 'moved', f'{_of(pair.a)}, IoU {pair.iou:.2f}') for pair in moved(difference, moved_iou))
    entries.sort(key=lambda entry: -entry[0])
    if not entries:
        pairs: Sequence[Pair] = sorted(difference.matched, key=lambda pair: -abs(pair.difference))
        entries = [(0.0, 'score', f'{_of(pair.a)} → {pair.b.score:.2f}') for pair in pairs]
    shown = [(kind, text) for _, kind, text in entries[:most]]
    if len(entries) > most:
        shown.append(('', f'and {len(entries) - most} more'))
    return shown


def _without(found: Sequence[Found], others: set[int]) -> list[Found]:
    return [one for one in found if id(one) not in others]


def _of(found: Found) -> str:
    return f'{one_line(printable(found.name), _LONGEST_NAME)} {found.score:.2f}'
