# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Notices images that are valid but hardly what a model expects: nearly black ones, and depth."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from .encodings import ENCODINGS
from .frame import Frame

# Rows and columns of the tested grid of pixels: about 4000 pixels.
_GRID = 64
# An image is nearly black if no tested value reaches this part of the range; 12 used bits of 16 do not.
_DARK = 1 / 16
# BT.601 limited range: black is 16.
_YUV_BLACK = 16
_DEPTH = '16UC1'


class ImageWatch:
    """Tests an image from time to time.

    look: text about the last tested image, '' if nothing is unusual
    """

    def __init__(self, every_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._next = -np.inf
        self._note = ''

    def look(self, frame: Frame) -> str:
        """Test the frame if `every_s` seconds have passed, and return the latest text."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._every_s
            self._note = nearly_black(frame)
        return self._note


def nearly_black(frame: Frame) -> str:
    """Return what to do about a nearly black image, '' for another image. Tests a grid of pixels."""
    values = _tested(frame)
    layout = ENCODINGS[frame.encoding]
    black = _YUV_BLACK if layout.layout in ('yuv422', 'nv') else 0
    full = 2**frame.significant_bits - 1 if layout.sample_bytes == 2 else 255
    brightest = int(values.max())
    if brightest - black >= full * _DARK:
        return ''
    text = f'images are nearly black: the largest of {values.size} tested values is {brightest} of {full}'
    if layout.sample_bytes == 1:
        return f'{text}; check the exposure and the lens cap'
    if frame.encoding == _DEPTH:
        return f'{text}; 16UC1 is usually depth in millimetres: use the colour topic'
    bits = max(brightest.bit_length(), 8)
    usual = next((bits_of_sensor for bits_of_sensor in (10, 12, 14) if bits_of_sensor >= bits), 16)
    return f'{text}; if the camera uses {usual} of 16 bits, set significant_bits to {usual}'


def depth_warning(frame: Frame) -> str:
    """Return a warning about depth, '' for another encoding."""
    if frame.encoding != _DEPTH:
        return ''
    return (
        'the images have the encoding 16UC1, which is usually depth in millimetres; the model gets it as brightness. '
        'Use the colour topic, or mono16 for a grey camera')


def _tested(frame: Frame) -> np.ndarray:
    """Return samples on a grid: without alpha, and of YUV only the luma."""
    layout = ENCODINGS[frame.encoding]
    across, down = max(frame.width // _GRID, 1), max(frame.height // _GRID, 1)
    if layout.layout == 'yuv422':
        luma = 1 if layout.conversion.endswith('UYVY') else 0
        return frame.rows(frame.height, 2 * frame.width)[::down, luma::2 * across]
    if layout.layout == 'nv':
        return frame.rows(frame.height, frame.width)[::down, ::across]
    samples = frame.samples()
    if layout.layout == 'bayer':
        # Odd steps, so that all colours of the mosaic are tested.
        across, down = across + across % 2 - 1, down + down % 2 - 1
    return samples[::down, ::across, :3] if samples.ndim == 3 else samples[::down, ::across]
