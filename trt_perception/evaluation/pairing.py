# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the truth of each predicted image by its file name, and the truth's class for each predicted name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import listed, printable
from .errors import EvaluationError, suggested
from .predictions import ImageResult, Predictions
from .truth import Truth


@dataclass(frozen=True)
class Pairs:
    """The images that both files have.

    results: position in Truth.images -> result
    notes: what was left out, for the user
    """

    results: Mapping[int, ImageResult]
    notes: tuple[str, ...]


def pair_images(truth: Truth, predictions: Predictions, partial: bool) -> Pairs:
    """Find each predicted image in the truth.

    The last part of the path decides. If several images of the truth have it, as many folders as the truth names must
    be the same.

    partial: leave out images that only one file has
    Raises EvaluationError if images do not match, or if an image has two results.
    """
    by_name: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(truth.images):
        by_name[_parts(image.file_name)[-1]].append(index)
    results: dict[int, ImageResult] = {}
    unknown: list[str] = []
    for result in predictions.images:
        candidates = by_name.get(_parts(result.source)[-1], [])
        if len(candidates) > 1:
            candidates = [i for i in candidates if _ends_with(result.source, truth.images[i].file_name)]
        if not candidates:
            unknown.append(result.source)
            continue
        if len(candidates) > 1:
            raise EvaluationError(
                f'{printable(result.source)}: {len(candidates)} images of the truth have this name; write the folder '
                'into their file_name')
        index = candidates[0]
        if index in results:
            both = [results[index].source, result.source]
            raise EvaluationError(
                f'predictions {predictions.path}: two results for the image {printable(truth.images[index].file_name)} '
                f'({listed(dict.fromkeys(both))}); expected one for each image, not videos or several runs')
        _require_size(truth, index, result)
        results[index] = result
    missing = [image.file_name for index, image in enumerate(truth.images) if index not in results]
    notes = []
    if missing:
        notes.append(f'{len(missing)} of {len(truth.images)} images of {truth.path} have no result in '
                     f'{predictions.path}: {listed(missing, 5)}')
    if unknown:
        notes.append(f'{len(unknown)} of {len(predictions.images)} images of {predictions.path} are not in '
                     f'{truth.path}: {listed(unknown, 5)}')
    if not results:
        if predictions.images and predictions.images[0].topic:
            raise EvaluationError(
                f'predictions {predictions.path}: expected the results of image files, found those of a recording '
                f'({printable(predictions.images[0].source)}): run trt_perception predict on the images of '
                f'{truth.path}')
        raise EvaluationError(f'no image has the same file name in both files: {"; ".join(notes)}')
    if notes and not partial:
        raise EvaluationError(f'{"; ".join(notes)}; --partial evaluates the images that both files have')
    return Pairs(results, tuple(f'left out: {note}' for note in notes))


def class_numbers(
    truth: Truth, results: Mapping[int, ImageResult], renamed: Mapping[str, str], ignore_others: bool,
) -> dict[str, int | None]:
    """Return the position in Truth.classes for each predicted class name; None if its detections are left out.

    renamed: predicted name -> name in the truth
    Raises EvaluationError for names that the truth does not have, unless ignore_others is set.
    """
    known = {name: index for index, name in enumerate(truth.classes)}
    predicted = Counter(found.name for result in results.values() for found in result.found)
    wrong = [name for name in renamed.values() if name not in known]
    if wrong:
        raise EvaluationError(f'--rename: {truth.path} has no class {suggested(wrong, truth.classes)}')
    numbers = {name: known.get(renamed.get(name, name)) for name in predicted}
    others = [name for name, _ in predicted.most_common() if numbers[name] is None]
    if others and len(others) == len(predicted) and all(name.isdecimal() for name in others):
        raise EvaluationError(
            f'the predictions have class numbers ({listed(others, 3)}), but {truth.path} has names '
            f'({listed(truth.classes, 3)}): run predict with --labels FILE')
    if others and (not ignore_others or len(others) == len(predicted)):
        ignore = '' if ignore_others else ', or --ignore-other-classes to leave their detections out'
        alone = '; without their detections, none would be left' if ignore_others else ''
        raise EvaluationError(
            f'{truth.path} does not have {len(others)} of the {len(predicted)} predicted classes: '
            f'{suggested(others, truth.classes)}; expected its names ({listed(truth.classes, 3)}): use --rename '
            f'PREDICTED=TRUTH{ignore}{alone}')
    return numbers


def _parts(name: str) -> tuple[str, ...]:
    # COCO files that were written on Windows have its separators.
    return PurePosixPath(name.replace('\\', '/')).parts or (name,)


def _ends_with(source: str, file_name: str) -> bool:
    wanted = _parts(file_name)
    return _parts(source)[-len(wanted):] == wanted


def _require_size(truth: Truth, index: int, result: ImageResult) -> None:
    image = truth.images[index]
    if image.width and image.height and (image.width, image.height) != (result.width, result.height):
        raise EvaluationError(
            f'{printable(result.source)}: the truth is of {image.width}x{image.height} pixels, the predictions of '
            f'{result.width}x{result.height}; expected the same image (its Exif orientation counts)')
