# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares two annotations, bag by bag and image by image."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import listed, printable
from ..progress import ProgressCallback, silent
from ..results.json_reader import Found, LineResult
from .classes import compared_classes, left_out
from .comparison import BagComparison, Comparison
from .errors import CompareError
from .figures import BoxFigures, TopFigures
from .first_classes import compare_classes
from .frames import compare_boxes
from .inputs import Side, pair_annotations
from .largest import LargeDifference, Largest
from .line_file import LineFile, key_of
from .options import CompareOptions
from .tally import BoxTally, Tally, TopTally

_REPORT_EVERY = 100


def compare(a: Side, b: Side, options: CompareOptions, progress: ProgressCallback = silent) -> Comparison:
    """Compare two annotations. Memory grows by about 100 bytes for each image of the longest bag.

    Raises CompareError if they cannot be compared.
    """
    pairs, only_a, only_b = pair_annotations(a, b)
    result: Comparison | None = None
    largest = Largest(options.pictures)
    empty = [first.name for first, second in pairs if first.has_no_images and second.has_no_images]
    if empty and len(empty) == len(pairs):
        raise CompareError(
            f'{a.path} and {b.path}: no image of {listed(empty, 3)} could be read: there is nothing to compare')
    pairs = [(first, second) for first, second in pairs if not (first.has_no_images and second.has_no_images)]
    for number, (first, second) in enumerate(pairs):
        with LineFile(first.lines, progress) as lines_a, LineFile(second.lines, progress) as lines_b:
            tally = _tally(lines_a, lines_b, options)
            if result is None:
                result = Comparison(a.path, b.path, options, tally, only_a=only_a, only_b=only_b)
            elif type(result.tally) is not type(tally):
                raise CompareError(f'{a.path} has detections and classifications; compare the bags of one model')
            classes = compared_classes((first, lines_a), (second, lines_b), options.common_classes)
            for name in left_out((first, lines_a), (second, lines_b), classes):
                if name not in result.left_out:
                    result.left_out.append(name)
            figures = BoxFigures() if isinstance(tally, BoxTally) else TopFigures()
            bag = BagComparison(first, second, figures)
            result.bags.append(bag)
            _Bag(number, bag, result, classes, largest).compare(lines_a, lines_b, progress)
    assert result is not None
    result.notes = [*_bag_notes(result), *result.notes]
    if empty:
        result.notes.append(f'no image of {listed(empty, 3)} could be read, in A and in B')
    result.largest = largest.sorted()
    if not result.images:
        raise CompareError(f'{a.path} and {b.path} have no image in common: {"; ".join(result.notes)}')
    return result


class _Bag:
    """Compares one bag."""

    def __init__(
        self, number: int, bag: BagComparison, result: Comparison, classes: frozenset[str] | None, largest: Largest,
    ) -> None:
        self._number = number
        self._bag = bag
        self._result = result
        self._classes = classes
        self._largest = largest

    def compare(self, a: LineFile, b: LineFile, progress: ProgressCallback) -> None:
        """Compare all images of two files, and note what only one has."""
        seen = 0
        bag, total = self._bag, a.frames
        for number, image in enumerate(a.results()):
            if not number % _REPORT_EVERY:
                progress(f'comparing {bag.name}', number, total)
            other = b.find(key_of(image))
            if other is None:
                bag.only_a += 1
                continue
            seen += 1
            if not _same_image(image, other):
                bag.other += 1
                continue
            bag.images += 1
            self._compare(image, self._compared(image.found), self._compared(other.found))
        progress(f'comparing {bag.name}', total, total)
        bag.only_b = b.frames - seen
        bag.figures.differences.close()
        self._largest.end_of_bag()
        self._result.notes += _image_notes(bag, a, b)

    def _compare(self, image: LineResult, a: Sequence[Found], b: Sequence[Found]) -> None:
        tally, figures = self._result.tally, self._bag.figures
        if isinstance(tally, BoxTally):
            assert isinstance(figures, BoxFigures)
            boxes = compare_boxes(a, b, self._result.options)
            tally.add(boxes, figures)
            self._largest.add(LargeDifference(self._number, image, boxes))
        else:
            assert isinstance(figures, TopFigures)
            classes = compare_classes(a, b)
            tally.add(classes, figures)
            self._largest.add(LargeDifference(self._number, image, classes))

    def _compared(self, found: Sequence[Found]) -> Sequence[Found]:
        return found if self._classes is None else [one for one in found if one.name in self._classes]


def _tally(a: LineFile, b: LineFile, options: CompareOptions) -> Tally:
    if a.detections != b.detections:
        kinds = {True: 'detections', False: 'classifications'}
        raise CompareError(
            f'{a.path} has {kinds[a.detections]}, and {b.path} has {kinds[b.detections]}: compare two models of the '
            'same task')
    for one, other in ((a, b), (b, a)):
        if '' in one.topics and '' not in other.topics:
            raise CompareError(
                f'{one.path} is from predict, and {other.path} is from annotate, with topics: compare two files of the '
                'same kind')
    return BoxTally(options.moved_iou) if a.detections else TopTally()


def _same_image(a: LineResult, b: LineResult) -> bool:
    return (a.width, a.height) == (b.width, b.height) and (
        a.stamp_ns == b.stamp_ns or None in (a.stamp_ns, b.stamp_ns))


def _bag_notes(result: Comparison) -> list[str]:
    return [
        f'{len(names)} {"bag is" if len(names) == 1 else "bags are"} in {side} only: {listed(names, 5)}'
        for side, names in (('A', result.only_a), ('B', result.only_b)) if names]


def _image_notes(bag: BagComparison, a: LineFile, b: LineFile) -> list[str]:
    notes = []
    for side, count, own, other in (('A', bag.only_a, a, b), ('B', bag.only_b, b, a)):
        if count:
            topics = [printable(topic) for topic in own.topics if topic and topic not in other.topics]
            of = f', among them all of {listed(topics, 5)}' if topics else ''
            notes.append(f'{printable(bag.name)}: {_images(count)} in {side} only{of}')
    if bag.other:
        notes.append(f'{printable(bag.name)}: {_images(bag.other)} in both with another stamp or size: not compared')
    return notes


def _images(count: int) -> str:
    return '1 image is' if count == 1 else f'{count} images are'
