# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's options for reading images."""

from __future__ import annotations

from dataclasses import dataclass

from .size import MAX_PIXELS

# The choices of damaged_images.
DROP, KEEP = 'drop', 'keep'


@dataclass(frozen=True)
class ImageOptions:
    """Options for reading one image, of a message or of a file.

    max_pixels: largest width * height; a larger image is refused before it is decoded
    damaged: DROP refuses an image whose decoder reports damage, KEEP returns what was decoded
    significant_bits: number of used bits of 16-bit samples, 8 to 16, counted from the lowest bit
    """

    max_pixels: int = MAX_PIXELS
    damaged: str = DROP
    significant_bits: int = 16


DEFAULT = ImageOptions()
