# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Text on a filled rectangle, scaled with the image size and always inside the image."""

from __future__ import annotations

import functools
import math
import unicodedata
from dataclasses import dataclass

import numpy as np

from ..dependencies import require

Color = tuple[int, int, int]  # Blue, green, red, 0..255.

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
MIN_TEXT_HEIGHT = 9  # Pixels; smaller capitals of OpenCV's fonts are unreadable.
_HERSHEY_CAPITAL = 21  # Height of a FONT_HERSHEY_SIMPLEX capital at scale 1, in pixels.


def text_color(background: Color) -> Color:
    """Return black or white (BGR), whichever contrasts more with a BGR colour (WCAG 2.1)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in background)]
    luminance = 0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2]
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


@dataclass
class TextLabel:
    """A filled rectangle with text; x, y: its top left corner in pixels."""

    text: str
    width: int
    height: int
    margin: int
    descent: int
    scale: float
    thickness: int
    x: int = 0
    y: int = 0

    def draw(self, canvas: np.ndarray, background: Color) -> None:
        """Draw the label into HxWx3 uint8 BGR pixels; the label must lie inside."""
        cv2 = require('cv2')
        canvas[self.y:self.y + self.height, self.x:self.x + self.width] = background
        cv2.putText(
            canvas, self.text, (self.x + self.margin, self.y + self.height - self.descent),
            cv2.FONT_HERSHEY_SIMPLEX, self.scale, text_color(background), self.thickness,
            cv2.LINE_AA)

    def overlaps(self, other: TextLabel) -> bool:
        """Return whether the rectangles share a pixel."""
        return (self.x < other.x + other.width and other.x < self.x + self.width
                and self.y < other.y + other.height and other.y < self.y + self.height)


@dataclass(frozen=True)
class TextStyle:
    """Text whose capitals are `capital_height` pixels high."""

    capital_height: int

    @staticmethod
    def for_image(width: int, height: int) -> TextStyle:
        """Return the style for an image of this size in pixels."""
        return TextStyle(max(MIN_TEXT_HEIGHT, round(0.017 * math.sqrt(width * height))))

    def fit(self, text: str, width: int, height: int) -> TextLabel | None:
        """Return a label of at most this size: first with smaller, then with shorter text; None if impossible."""
        capital = self.capital_height
        while capital > MIN_TEXT_HEIGHT and not _fits(_measure(text, capital), width, height):
            capital -= 1
        label = _measure(text, capital)
        while not _fits(label, width, height):
            text = text[:-3] + '..' if text.endswith('..') else text[:-1] + '..'
            if len(text) < 4 or label.height > height:
                return None
            label = _measure(text, capital)
        return label


def _fits(label: TextLabel, width: int, height: int) -> bool:
    return label.width <= width and label.height <= height


@functools.lru_cache(maxsize=4096)
def _text_width(text: str, scale: float, thickness: int) -> int:
    cv2 = require('cv2')
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)[0][0])


def _measure(text: str, capital: int) -> TextLabel:
    scale = capital / _HERSHEY_CAPITAL
    thickness = max(1, round(capital / 9))
    # Letters like g reach below the base line: 0.4 of a capital in OpenCV 4.
    margin = max(2, capital // 4)
    descent = margin + round(0.4 * capital)
    return TextLabel(
        text, _text_width(text, scale, thickness) + 2 * margin, margin + capital + descent,
        margin, descent, scale, thickness)


def to_ascii(text: str) -> str:
    """Return the text on one line, without accents and with '?' for other characters: OpenCV 4's fonts are ASCII only.

    Control characters become '?' too: OpenCV 5 would begin a new line outside the label.
    """
    plain = unicodedata.normalize('NFKD', text)
    plain = ''.join(c if c.isprintable() else '?' for c in plain if not unicodedata.combining(c))
    return plain.encode('ascii', 'replace').decode()
