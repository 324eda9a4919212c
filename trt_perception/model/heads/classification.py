# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification head: [1, C] scores to the top-k classes."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Decodes [1, C] (also [1, C, 1, 1]) logits or probabilities."""

    output_name: str
    num_classes: int

    kind = 'classification'
    task = 'classification'

    def decode(self, output: np.ndarray, settings: ClassificationSettings) -> Classifications:
        """Return the top-k classes. Softmax is applied only if the outputs are not probabilities yet."""
        values = np.asarray(output, np.float64).reshape(-1)
        if not np.isfinite(values).all():
            raise EngineError(
                f"output '{self.output_name}' holds values that are not finite: the network overflows "
                'in this precision, or its weights are damaged')
        scores = values if is_distribution(values) else softmax(values)
        order = np.argsort(-scores, kind='stable')[:settings.top_k]
        return Classifications(order.astype(np.int64), scores[order].astype(np.float32))


def is_distribution(values: np.ndarray) -> bool:
    """Return whether `values` (C,) are probabilities: not negative, with a sum of one.

    The tolerance allows for a float16 softmax over 1000 classes.
    """
    return bool(values.min() >= 0.0 and abs(values.sum() - 1.0) < 5e-3)


def softmax(values: np.ndarray) -> np.ndarray:
    """(C,) logits -> (C,) probabilities."""
    exponentials = np.exp(values - values.max())
    probabilities: np.ndarray = exponentials / exponentials.sum()
    return probabilities
