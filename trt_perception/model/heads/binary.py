# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Binary classifiers: one number, [1, 1] or [1], the score of the second of two classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...results.results import Classifications
from .classification import ClassificationHead, ClassificationSettings, are_independent
from .evidence import HeadEvidence
from .family_values import sigmoid


@dataclass(frozen=True)
class BinaryHead(ClassificationHead):
    """Class 1 has the score, class 0 the rest to 1. Without a sigmoid in the graph the number may be a logit."""

    kind = 'binary'

    def decode(self, output: np.ndarray, settings: ClassificationSettings) -> Classifications:
        """Return both classes, the likelier one first. Raises EngineError if the number is not finite."""
        values = np.asarray(output, np.float64).reshape(-1)
        self.require_finite(values)
        score = float(values[0] if self.activation == 'sigmoid' else sigmoid(values)[0])
        scores = np.array([1.0 - score, score], np.float32)
        order = np.argsort(-scores, kind='stable')[:settings.top_k]
        return Classifications(order.astype(np.int64), scores[order])

    def settled(self, outputs: Sequence[np.ndarray]) -> BinaryHead:
        """Return the head for these outputs of test images: numbers outside of 0..1 are logits."""
        if self.activation:
            return self
        values = np.concatenate([np.asarray(output, np.float64).reshape(-1) for output in outputs])
        finite = values[np.isfinite(values)]
        inside = not len(finite) or are_independent(finite)
        return binary_head(self.output_name, 'sigmoid' if inside else 'logit')


class ProbabilityHead(BinaryHead):
    """The number is a score in 0..1."""

    activation: ClassVar[str] = 'sigmoid'


class LogitHead(BinaryHead):
    """The number is a logit."""

    activation: ClassVar[str] = 'logit'


_HEADS = {head.activation: head for head in (BinaryHead, ProbabilityHead, LogitHead)}


def binary_head(output_name: str, activation: str = '') -> BinaryHead:
    """Return the head with this activation: sigmoid, logit or '' if the values decide."""
    return _HEADS[activation](output_name, 2)


def is_binary(evidence: HeadEvidence, wanted: str) -> bool:
    """Return whether the only output is one number that is the score of a class.

    A single number may be anything (a distance, a count). So the user, two class names, or Ultralytics' task must say
    that it is a class.
    """
    if len(evidence.outputs) != 1:
        return False
    name, shape = evidence.outputs[0]
    if not evidence.is_float(name) or not 1 <= len(shape) <= 4 or any(size != 1 for size in shape):
        return False
    said = evidence.metadata.get('task') == 'classify' or evidence.num_names == 2
    return wanted == 'binary' or (wanted in ('auto', 'classification') and said)
