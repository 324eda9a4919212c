# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The batches for which there is an execution context."""

from __future__ import annotations


def batch_sizes(most: int) -> tuple[int, ...]:
    """Return the batches from 1 to `most`, ascending: 1, 2, 3, 4, 6, 8, 12, 16, ... and `most`.

    A count between two of them runs as the larger one, which computes less than half more images than there are.
    """
    sizes = {1, most}
    power = 1
    while power < most:
        power *= 2
        sizes |= {power, power + power // 2}
    return tuple(sorted(size for size in sizes if size <= most))
