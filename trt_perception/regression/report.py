# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A comparison as tables of text and as a JSON object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import one_line, printable
from .comparison import BagComparison, Comparison
from .figures import BoxFigures, TopFigures
from .frames import FrameDifference, Pair
from .inputs import Annotation
from .largest import LargeDifference
from .limits import Check

LONGEST_NAME = 40
_BOX_HEADINGS = (
    '', 'in A', 'in B', 'matched', 'lost', 'gained', 'moved', 'other class', 'agreement', 'score mean', 'p95', 'max')
_TOP_HEADINGS = ('', 'images', 'same', 'likely', 'top-1', 'agreement', 'score mean', 'p95', 'max')
NO_CLASS = '(none)'
# The settings have them as Python shows them.
_THRESHOLD = re.compile(r'(\w+)=([^(),]+)(?=[,)])')


def summary(comparison: Comparison) -> str:
    """Return one line about all images."""
    images = f'{comparison.images} images of {_counted(len(comparison.bags), "bag")}'
    total = comparison.tally.total
    if isinstance(total, BoxFigures):
        return (
            f'{images}: agreement {total.agreement:.4f}, {total.matched} boxes matched, {total.lost} lost, '
            f'{total.gained} gained, {total.moved} moved, {total.changed_from} with another class')
    return f'{images}: top-1 agreement {total.top1:.4f}, {total.frames - total.same} with another first class'


def class_table(comparison: Comparison, most: int = 0) -> list[Sequence[str]]:
    """Return a row of headings, the total, and a row for each class, the largest differences first.

    most: classes, 0 for all
    """
    tally = comparison.tally
    headings = _BOX_HEADINGS if isinstance(tally.total, BoxFigures) else _TOP_HEADINGS
    named = sorted_classes(tally.classes)
    return [headings, _row('all', tally.total),
            *(_row(shown_name(name), figures) for name, figures in (named[:most] if most else named))]


def short(rows: Sequence[Sequence[str]], boxes: bool) -> list[Sequence[str]]:
    """Return the most important columns of class_table, for a terminal."""
    wanted, headings = ((0, 1, 2, 4, 5, 6, 7, 8, 10), ('other', 'agreement', 'score p95')) if boxes else (
        (0, 1, 2, 3, 4, 5, 7), ('top-1', 'agreement', 'score p95'))
    head = tuple(rows[0][column] for column in wanted)
    return [(*head[:-3], *headings), *(tuple(row[column] for column in wanted) for row in rows[1:])]


def bag_table(comparison: Comparison, most: int) -> list[Sequence[str]]:
    """Return a row of headings and a row for each bag, the lowest agreement first. most: bags"""
    bags = sorted(comparison.bags, key=lambda bag: bag.figures.agreement)
    if isinstance(comparison.tally.total, BoxFigures):
        return [('', 'images', *_BOX_HEADINGS[1:9]), *(
            (one_line(printable(bag.name), LONGEST_NAME), str(bag.images), *_row('', bag.figures)[1:9])
            for bag in bags[:most])]
    return [_TOP_HEADINGS[:6], *(
        _row(one_line(printable(bag.name), LONGEST_NAME), bag.figures)[:6] for bag in bags[:most])]


def sorted_classes(
    classes: Mapping[str, BoxFigures] | Mapping[str, TopFigures],
) -> list[tuple[str, BoxFigures | TopFigures]]:
    """Return the classes: those with the most differences first, then those that moved most."""
    def differences(item: tuple[str, BoxFigures | TopFigures]) -> tuple[int, int, int, str]:
        name, figures = item
        if isinstance(figures, BoxFigures):
            return -figures.lost - figures.gained, -figures.moved, -figures.a - figures.b, name
        return figures.same - figures.frames, 0, -figures.frames, name

    return sorted(classes.items(), key=differences)


def record(comparison: Comparison, found: Sequence[Check], lines: Sequence[str], gate: bool) -> dict[str, Any]:
    """Return all figures as a JSON object. gate: whether there are limits; lines: why they do not hold"""
    options, tally = comparison.options, comparison.tally
    boxes = isinstance(tally.total, BoxFigures)
    changes = [
        {'a': first, 'b': second, 'count': count} for (first, second), count in tally.changes.most_common()]
    return {
        'task': 'detection' if boxes else 'classification', 'a': str(comparison.a), 'b': str(comparison.b),
        'made_by': {side: _different([provenance(getattr(bag, side)) for bag in comparison.bags]) for side in 'ab'},
        'passed': not lines if gate else None, 'failures': list(lines), 'checks': [check.as_dict() for check in found],
        **({'iou': options.iou, 'moved_iou': options.moved_iou, 'score': options.score} if boxes else {}),
        'images': comparison.images, 'not_compared': {
            'bags_only_a': comparison.only_a, 'bags_only_b': comparison.only_b, 'classes': comparison.left_out,
            **{key: sum(getattr(bag, key) for bag in comparison.bags) for key in ('only_a', 'only_b', 'other')}},
        'total': tally.total.as_dict(),
        'classes': [{'name': name, **tally.classes[name].as_dict()} for name in sorted(tally.classes)],
        'changes': changes, 'bags': [_bag_record(bag) for bag in comparison.bags],
        'largest': [_large(item, comparison) for item in comparison.largest]}


def provenance(annotation: Annotation) -> dict[str, str]:
    """Return what made an annotation; empty for a file without annotation.json."""
    whole = annotation.record
    if not whole:
        return {}
    settings, backend = annotation.part('settings'), annotation.part('backend')
    return {key: str(value) for key, value in {
        'model': whole.get('model', ''), 'SHA-256 of the model': str(settings.get('model_sha256', ''))[:16],
        'precision': backend.get('precision_effective', settings.get('precision', '')),
        'backend': f'{backend.get("backend", "")} {backend.get("backend_version", "")}'.strip(),
        'device': backend.get('device', ''), 'input': _joined(settings.get('input'), ' x '),
        'calibration': _joined(settings.get('calibration'), ', '),
        'thresholds': ', '.join(map(' '.join, _THRESHOLD.findall(str(settings.get('thresholds', ''))))),
        'trt_perception': settings.get('version', '')}.items()}


def thresholds_note(comparison: Comparison) -> str:
    """Return what to know if the thresholds of both sides differ, '' if they do not."""
    for bag in comparison.bags:
        a, b = (provenance(one).get('thresholds', '') for one in (bag.a, bag.b))
        if a and b and a != b:
            changed = [
                f'{side}: {", ".join(part for part in own.split(", ") if part not in other.split(", "))}'
                for side, own, other in (('A', a, b), ('B', b, a))]
            return (
                f'made with other thresholds ({"; ".join(changed)}): a box may be lost or gained for that reason alone')
    return ''


def shown_name(name: str) -> str:
    """Return a class name for a table."""
    return one_line(printable(name), LONGEST_NAME) or NO_CLASS


def _different(values: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [dict(items) for items in dict.fromkeys(tuple(value.items()) for value in values)]


def _joined(values: Any, separator: str) -> str:
    return separator.join(str(value) for value in values if value is not None) if isinstance(values, list) else ''


def _bag_record(bag: BagComparison) -> dict[str, Any]:
    return {
        'name': bag.name, 'content': bag.a.content or None, 'images': bag.images, 'only_a': bag.only_a,
        'only_b': bag.only_b, 'other': bag.other, **bag.figures.as_dict(),
        'runs': [one.record.get('run') for one in (bag.a, bag.b)]}


def _large(item: LargeDifference, comparison: Comparison) -> dict[str, Any]:
    image, difference = item.image, item.difference
    where: dict[str, Any] = {
        'bag': comparison.bags[item.bag].name, 'source': image.source, 'topic': image.topic or None,
        'frame': image.frame, 'stamp_ns': image.stamp_ns, 'weight': round(difference.weight, 6)}
    if isinstance(difference, FrameDifference):
        return {
            **where, 'lost': [_box(one) for one in difference.lost], 'gained': [_box(one) for one in difference.gained],
            'moved': [_pair(pair) for pair in moved(difference, comparison.options.moved_iou)],
            'changed': [_pair(pair) for pair in difference.changed]}
    return {**where, 'a': {'class_id': difference.a.name, 'score': difference.a.score},
            'b': {'class_id': difference.b.name, 'score': difference.b.score}}


def moved(difference: FrameDifference, moved_iou: float) -> list[Pair]:
    """Return the matched boxes that moved."""
    return [pair for pair in difference.matched if pair.iou < moved_iou]


def _box(found: Any) -> dict[str, Any]:
    return {'class_id': found.name, 'score': found.score, 'bbox': list(found.box)}


def _pair(pair: Pair) -> dict[str, Any]:
    return {'a': _box(pair.a), 'b': _box(pair.b), 'iou': round(pair.iou, 6)}


def _row(name: str, figures: BoxFigures | TopFigures) -> tuple[str, ...]:
    differences = figures.differences
    scores = f'{differences.mean:.4f}', f'{differences.p95:.4f}', f'{differences.largest:.4f}'
    if isinstance(figures, BoxFigures):
        counts = (figures.a, figures.b, figures.matched, figures.lost, figures.gained, figures.moved,
                  figures.changed_from)
        return (name, *map(str, counts), f'{figures.agreement:.4f}', *scores)
    counts_of_images = figures.frames, figures.same, figures.likely
    return (name, *map(str, counts_of_images), f'{figures.top1:.4f}', f'{figures.agreement:.4f}', *scores)


def _counted(count: int, what: str) -> str:
    return f'{count} {what}' if count == 1 else f'{count} {what}s'
