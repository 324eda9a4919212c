# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Top-1 and top-5 of classifications."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import printable
from .errors import EvaluationError, suggested
from .predictions import ImageResult
from .truth import Truth

_FIVE = 5


@dataclass(frozen=True)
class TopAccuracy:
    """One class of the truth, or all of them: images, and those with the right class first, and among the first 5."""

    name: str
    images: int
    first: int
    among_five: int


@dataclass(frozen=True)
class ClassificationAccuracy:
    """The accuracy of a classifier.

    classes: those with images
    shortest: the smallest number of classes in a result; below 5, top-5 is that of fewer classes
    never_predicted: classes of the truth that no result names, each with the predicted name that is most like it
    """

    total: TopAccuracy
    classes: tuple[TopAccuracy, ...]
    shortest: int
    never_predicted: str


def classification_accuracy(
    truth: Truth, results: Mapping[int, ImageResult], renamed: Mapping[str, str],
) -> ClassificationAccuracy:
    """Compare classifications with the truth.

    results: position in Truth.images -> classes, the best first; renamed: predicted name -> name in the truth
    Raises EvaluationError if an image has no class or several classes in the truth, or if no name is the same.
    """
    of_image: dict[int, set[int]] = defaultdict(set)
    for label in truth.labels:
        of_image[label.image].add(label.class_index)
    wanted: dict[int, str] = {}
    for image in sorted(results):
        if len(of_image[image]) != 1:
            raise EvaluationError(
                f'truth {truth.path}: {printable(truth.images[image].file_name)} has {len(of_image[image])} classes; '
                'expected one class for each image to evaluate a classifier')
        wanted[image] = truth.classes[next(iter(of_image[image]))]
    named = {image: [renamed.get(found.name, found.name) for found in result.found]
             for image, result in results.items()}
    predicted = {name for names in named.values() for name in names}
    absent = [name for name in dict.fromkeys(wanted.values()) if name not in predicted]
    if len(absent) == len(set(wanted.values())):
        raise EvaluationError(
            f'no class of {truth.path} is among the predicted names: {suggested(absent, predicted)}; expected the '
            'names of the model: use --rename PREDICTED=TRUTH')
    each = tuple(_top(name, [image for image in wanted if wanted[image] == name], wanted, named)
                 for name in truth.classes if name in wanted.values())
    return ClassificationAccuracy(
        _top('all', list(wanted), wanted, named), each, min(len(names) for names in named.values()),
        suggested(absent, predicted))


def _top(name: str, images: list[int], wanted: Mapping[int, str], named: Mapping[int, list[str]]) -> TopAccuracy:
    return TopAccuracy(
        name, len(images), sum(wanted[image] in named[image][:1] for image in images),
        sum(wanted[image] in named[image][:_FIVE] for image in images))
