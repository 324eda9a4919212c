# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a quantised image input says of the pixels that it expects."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from .normalisation import IMAGENET, METADATA_KEY


def implied_preprocessing(
    metadata: Mapping[str, str], dtype: str, scale: float, zero_point: int,
) -> dict[str, str]:
    """Return the preprocessing that an 8-bit input says by its scale and zero point, as metadata; {} without one.

    TensorFlow's rule is that the stored numbers are the pixels: input = (pixel - zero_point) * scale, for int8 with
    pixel - 128. A network that expects ImageNet's statistics has their range, from the lowest to the highest of the
    three channels; its channels differ, which one scale cannot say.

    metadata: of the file; if its exporter says how it preprocesses, the result is {}
    """
    if METADATA_KEY in metadata or is_of_ultralytics(metadata) or dtype not in ('uint8', 'int8'):
        return {}
    lowest = -(zero_point + (128 if dtype == 'int8' else 0)) * scale
    highest = lowest + 255 * scale
    mean, std = np.array(IMAGENET.mean), np.array(IMAGENET.std)
    imagenet = float((-mean / std).min()), float(((1 - mean) / std).max())
    if np.allclose((lowest, highest), imagenet, atol=0.1):
        return {}
    return {METADATA_KEY: json.dumps({'scale': scale, 'mean': [-lowest], 'std': [1.0]})}


def is_of_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Return whether Ultralytics or YOLOv5 exported it: their networks take pixels in 0..1."""
    return 'stride' in metadata and 'names' in metadata
