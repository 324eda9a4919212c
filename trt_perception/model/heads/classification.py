# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification head: [1, C] scores to the top-k classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import EngineError
from ...results.results import Classifications


@dataclass(frozen=True)
class ClassificationSettings:
    """Settings of the classification head.

    top_k: number of classes to report, highest scores first
    """

    top_k: int = 5


@dataclass(frozen=True)
class ClassificationHead:
    """Decodes one number per class: [1, C], [C], [1, C, 1, 1] or [1, 1, 1, C].

    activation: 'softmax' for logits, and for probabilities that sum to 1; 'sigmoid' if each class has its own score in
        0..1, as in a multi-label classifier; '' if it is unknown, then softmax is used until `with_activation`

    A subclass, not a field, has another activation: the fields are part of the identity of converted files.
    """

    output_name: str
    num_classes: int

    activation: ClassVar[str] = ''
    kind = 'classification'
    task = 'classification'

    @property
    def output_names(self) -> tuple[str, ...]:
        """The output that the head reads."""
        return (self.output_name,)

    def pick(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the output that the head reads; KeyError if it is missing."""
        return outputs[self.output_name]

    def decode(self, output: np.ndarray, settings: ClassificationSettings) -> Classifications:
        """Return the top-k classes. Softmax is applied only if the outputs are not scores in 0..1 yet.

        Raises EngineError if values are not finite.
        """
        values = np.asarray(output, np.float64).reshape(-1)
        self.require_finite(values)
        are_scores = is_distribution(values) or (self.activation == 'sigmoid' and are_independent(values))
        scores = values if are_scores else softmax(values)
        order = np.argsort(-scores, kind='stable')[:settings.top_k]
        return Classifications(order.astype(np.int64), scores[order].astype(np.float32))

    def require_finite(self, values: np.ndarray) -> None:
        """Raise EngineError if values are not finite."""
        if not np.isfinite(values).all():
            raise EngineError(
                f"output '{self.output_name}' holds values that are not finite: the network overflows "
                'in this precision, or its weights are damaged')


class SoftmaxHead(ClassificationHead):
    """A classifier whose scores sum to 1."""

    activation: ClassVar[str] = 'softmax'


class SigmoidHead(ClassificationHead):
    """A classifier with one score for each class, independent of the others."""

    activation: ClassVar[str] = 'sigmoid'


_HEADS = {head.activation: head for head in (ClassificationHead, SoftmaxHead, SigmoidHead)}


def classification_head(output_name: str, num_classes: int, activation: str = '') -> ClassificationHead:
    """Return the head with this activation: softmax, sigmoid or ''."""
    return _HEADS[activation](output_name, num_classes)


def is_distribution(values: np.ndarray) -> bool:
    """Return whether `values` (C,) are probabilities: not negative, with a sum of one.

    The tolerance allows for a float16 softmax over 1000 classes.
    """
    return bool(values.min() >= 0.0 and abs(values.sum() - 1.0) < 5e-3)


def are_independent(values: np.ndarray) -> bool:
    """Return whether all `values` (C,) are in 0..1."""
    return bool(values.min() >= 0.0 and values.max() <= 1.0)


def with_activation(head: ClassificationHead, outputs: Sequence[np.ndarray]) -> ClassificationHead:
    """Return the head with its activation, judged by the outputs of test images if the graph does not show it.

    If all numbers of all images are in 0..1 without the sum of 1, each class has its own score: softmax would make up
    others.
    """
    if head.activation:
        return head
    vectors = [np.asarray(output, np.float64).reshape(-1) for output in outputs]
    independent = bool(vectors) and all(
        np.isfinite(vector).all() and vector.any() and are_independent(vector) and not is_distribution(vector)
        for vector in vectors)
    return classification_head(head.output_name, head.num_classes, 'sigmoid' if independent else 'softmax')


def softmax(values: np.ndarray) -> np.ndarray:
    """(C,) logits -> (C,) probabilities."""
    exponentials = np.exp(values - values.max())
    probabilities: np.ndarray = exponentials / exponentials.sum()
    return probabilities
