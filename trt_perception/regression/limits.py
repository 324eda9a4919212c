# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The limits of a gate: which figures are checked, and which are exceeded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError, printable
from .comparison import Comparison
from .figures import BoxFigures, TopFigures

_BOXES_ONLY = ('max_lost', 'max_gained', 'max_moved')
_CLASSES_ONLY = ('min_top1',)


@dataclass(frozen=True)
class Limits:
    """Limits in 0..1, None for those that are not checked.

    max_lost, max_gained, max_moved: parts of the boxes of A, of the boxes of B, of the matched boxes
    max_score_difference: of the 95th percentile
    each_class: hold for each class with so many boxes in A or B, or images, too; None: only in total
    partial: images and bags that only one annotation has are allowed
    """

    max_lost: float | None = None
    max_gained: float | None = None
    max_moved: float | None = None
    max_score_difference: float | None = None
    min_agreement: float | None = None
    min_top1: float | None = None
    each_class: int | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        """Raise ParameterError if no limit holds for each class."""
        if self.each_class is not None and not self.given:
            raise ParameterError(
                '--each-class says for which classes the limits hold, but there are none: give one, such as --max-lost '
                '0.02')

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the limits that are checked."""
        return tuple(name for name, *_ in _ROWS if getattr(self, name) is not None)


@dataclass(frozen=True)
class Check:
    """One figure with a limit.

    name: as in the JSON object; sentence: with {} for the value
    of: a class, '' for the total; option: of the command line
    """

    name: str
    sentence: str
    of: str
    option: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the limit holds."""
        return self.value >= self.limit if self.option.startswith('--min') else self.value <= self.limit

    @property
    def line(self) -> str:
        """What is wrong, for the user."""
        side = 'below' if self.option.startswith('--min') else 'above'
        return (
            f'{printable(self.of) or "all"}: {self.sentence.format(f"{self.value:.4f}")}, {side} {self.limit:g} '
            f'({self.option})')

    def as_dict(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {
            'name': self.name, 'class': self.of or None, 'option': self.option, 'value': round(self.value, 6),
            'limit': self.limit, 'passed': self.passed}


# The limit, its figure as a sentence, and the figure's attribute.
_ROWS = (
    ('max_lost', "{} of A's boxes are lost", 'lost_fraction'),
    ('max_gained', "{} of B's boxes are gained", 'gained_fraction'),
    ('max_moved', '{} of the matched boxes moved', 'moved_fraction'),
    ('max_score_difference', 'the score difference (p95) is {}', 'p95'),
    ('min_agreement', 'the agreement is {}', 'agreement'),
    ('min_top1', 'the top-1 agreement is {}', 'top1'))


def require_fitting(limits: Limits, comparison: Comparison) -> None:
    """Raise ParameterError for a limit of the other task: what is not checked would be a gate that is open."""
    boxes = isinstance(comparison.tally.total, BoxFigures)
    wrong = [name for name in (_CLASSES_ONLY if boxes else _BOXES_ONLY) if getattr(limits, name) is not None]
    if wrong:
        kind, others = ('detections', 'classifications') if boxes else ('classifications', 'detections')
        raise ParameterError(f'{_option(wrong[0])} is for {others}, but {comparison.a} has {kind}')


def checks(limits: Limits, comparison: Comparison) -> list[Check]:
    """Return all figures that have a limit: of the total, and of each class that is large enough."""
    tally = comparison.tally
    found = list(_checks(limits, '', tally.total))
    if limits.each_class is not None:
        classes: Mapping[str, BoxFigures | TopFigures] = tally.classes
        for name in sorted(classes):
            figures = classes[name]
            if _size(figures) >= limits.each_class:
                found += _checks(limits, name, figures)
    return found


def failures(limits: Limits, comparison: Comparison, found: list[Check]) -> list[str]:
    """Return a line for each reason why the gate is closed; none without limits."""
    if not limits.given:
        return []
    lines = [check.line for check in found if not check.passed]
    if comparison.missing and not limits.partial:
        lines.append('some images were not compared (see the notes): annotate the same images with both, or give '
                     '--partial to allow it')
    if not _size(comparison.tally.total):
        lines.append(
            f'nothing was detected in {comparison.images} images of A and B, so there was nothing to compare')
    return lines


def _checks(limits: Limits, of: str, figures: BoxFigures | TopFigures) -> Iterator[Check]:
    for name, sentence, attribute in _ROWS:
        limit = getattr(limits, name)
        if limit is not None:
            value = figures.differences.p95 if attribute == 'p95' else getattr(figures, attribute)
            yield Check(attribute, sentence, of, _option(name), value, limit)


def _size(figures: BoxFigures | TopFigures) -> int:
    return max(figures.a, figures.b) if isinstance(figures, BoxFigures) else figures.frames


def _option(name: str) -> str:
    return f'--{name.replace("_", "-")}'
