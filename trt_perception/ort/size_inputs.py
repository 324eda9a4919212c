# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The second input of RT-DETR, RT-DETRv2, D-FINE and DEIM: the size to which the network scales its boxes.

Their exports take `orig_target_sizes`, int64 [1, 2] with width and height, and multiply the boxes by it. It is given
the size of the network's own input. So the boxes are in pixels of the network, as with other detectors, and are mapped
to the image as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

SIZE_INPUTS = ('orig_target_sizes',)


def size_values(shape: Sequence[int], dtype: np.dtype | type = np.int64) -> np.ndarray:
    """Return the value of such an input, (1, 2) width and height, for an image tensor of this shape.

    shape: [1, C, height, width] or [1, height, width, C]
    """
    height, width = shape[2:4] if shape[1] in (1, 3) else shape[1:3]
    return np.array([[width, height]], dtype)


def completed(inputs: dict[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the inputs with the value of each size input in `names`; the first of `inputs` is the image."""
    missing = [name for name in names if name in SIZE_INPUTS and name not in inputs]
    if not missing:
        return inputs
    image = next(iter(inputs.values()))
    return {**inputs, **{name: size_values(image.shape) for name in missing}}
