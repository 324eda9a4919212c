# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws results into images: boxes, names and scores, readable from 320x240 to 3840x2160."""

from __future__ import annotations

import colorsys
import functools
import math
from collections.abc import Sequence

import numpy as np

from ..dependencies import require
from .results import Classifications, Detections
from .text_label import BLACK, MIN_TEXT_HEIGHT, Color, TextLabel, TextStyle, to_ascii

# The share of a dimmed drawing in each pixel.
_DIM = 0.4
# The share of the class's colour in the pixels of a mask.
_TINT = 0.4
_SHEET_BACKGROUND: Color = (32, 32, 32)


@functools.lru_cache(maxsize=4096)
def class_color(class_index: int) -> Color:
    """Return the class's colour, (blue, green, red) 0..255: constant, and unlike its neighbours'.

    Hues are a golden angle apart, so any run of indices spreads over the colour circle. Saturation
    and brightness also change every few classes.
    """
    hue = (0.02 + class_index * 0.618033988749895) % 1.0
    saturation = (0.95, 0.65, 0.85)[class_index // 8 % 3]
    value = (1.0, 0.95, 0.75)[class_index // 24 % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_detections(
    bgr: np.ndarray, result: Detections, names: Sequence[str], dimmed: bool = False,
) -> np.ndarray:
    """Return a copy of the image with boxes, class names and scores, and the masks if the result has them; with
    tracking also ids, as #12.

    An object with an id has the colour of its id, so that it can be followed by eye.

    bgr: HxWx3 uint8
    names: class names; an index beyond them is shown as its number
    dimmed: whether the result is of an earlier image; it is drawn half transparent
    Labels stay inside the image and do not overlap if there is room. The box with the highest
    score is drawn last, on top.
    """
    cv2 = require('cv2')
    canvas = np.array(bgr, dtype=np.uint8, order='C')
    height, width = canvas.shape[:2]
    line = max(2, round(0.0022 * math.sqrt(width * height)))
    if result.masks is not None:
        _tint(canvas, result)
    for i in reversed(_by_score(result)):
        left, top, right, bottom = _pixel_corners(result.boxes[i], width, height)
        # A dark edge keeps the box visible on a background of the same colour.
        cv2.rectangle(canvas, (left, top), (right, bottom), BLACK, line + 2)
        cv2.rectangle(canvas, (left, top), (right, bottom), _color(result, i), line)
    labels = lay_out_labels(result, names, width, height, line)
    for i, label in reversed(labels):
        label.draw(canvas, _color(result, i))
    return _dimmed(bgr, canvas) if dimmed else canvas


def _tint(canvas: np.ndarray, result: Detections) -> None:
    """Mix the pixels of each object with the colour of its class, and draw the edge of its mask in that colour."""
    cv2, masks = require('cv2'), result.masks
    assert masks is not None
    for i in reversed(_by_score(result)):
        part = masks.parts[i]
        if not part.any():
            continue
        x, y = masks.corners[i]
        below = canvas[y:y + part.shape[0], x:x + part.shape[1]]
        color = class_color(int(result.class_indices[i]))
        below[part] = np.rint(below[part] * (1 - _TINT) + np.multiply(color, _TINT)).astype(np.uint8)
        inner = cv2.erode(part.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
        below[part & (inner == 0)] = color


def lay_out_labels(
    result: Detections, names: Sequence[str], width: int, height: int, line: int,
) -> list[tuple[int, TextLabel]]:
    """Return (index of the detection, its placed label), highest score first.

    width, height: size of the image, labels stay inside it; line: line thickness of the boxes; all
    in pixels. An image that is too small for a label gets none.
    """
    style = TextStyle.for_image(width, height)
    labels: list[tuple[int, TextLabel]] = []
    for i in _by_score(result):
        number = _id(result, i)
        text = f'{f"#{number} " if number else ""}{_name(names, int(result.class_indices[i]))} {result.scores[i]:.2f}'
        label = style.fit(text, width, height)
        if label is not None:
            taken = [other for _, other in labels]
            corners = _pixel_corners(result.boxes[i], width, height)
            labels.append((i, _place(label, corners, line, taken, width, height)))
    return labels


def draw_classifications(
    bgr: np.ndarray, result: Classifications, names: Sequence[str], dimmed: bool = False,
) -> np.ndarray:
    """Return a copy of the image with the classes and their scores listed at the top left.

    bgr: HxWx3 uint8; names: class names; dimmed: whether the result is of an earlier image; it is
    drawn half transparent. Classes that do not fit into the image are left out, lowest score first.
    """
    canvas = np.array(bgr, dtype=np.uint8, order='C')
    height, width = canvas.shape[:2]
    style = TextStyle.for_image(width, height)
    top = 0
    for class_index, score in zip(result.class_indices, result.scores, strict=True):
        text = f'{score:.2f} {_name(names, int(class_index))}'
        label = style.fit(text, width, height - top)
        if label is None:
            break
        label.y = top
        label.draw(canvas, class_color(int(class_index)))
        top += label.height
    return _dimmed(bgr, canvas) if dimmed else canvas


def _dimmed(bgr: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the drawing mixed with the image below it, HxWx3 uint8."""
    return np.asarray(require('cv2').addWeighted(np.asarray(bgr, np.uint8), 1 - _DIM, drawn, _DIM, 0), np.uint8)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int = 3, caption: str = '', cell_width: int = 480,
) -> np.ndarray:
    """Return the images side by side, row by row, under a caption: one HxWx3 uint8 BGR image.

    images: HxWx3 uint8 BGR, of any sizes; each is scaled into a cell of the first one's shape
    columns: cells in a row, at most as many as there are images
    caption: text above the sheet, shortened to its width
    cell_width: pixels

    Raises ValueError without images or with columns or cell_width below 1.
    """
    if not images or columns < 1 or cell_width < 1:
        raise ValueError(
            f'expected images and columns, cell_width >= 1, found {len(images)} images, '
            f'{columns} columns, cell_width {cell_width}')
    cv2 = require('cv2')
    gap = max(2, cell_width // 80)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    first_height, first_width = images[0].shape[:2]
    cell_height = max(1, round(cell_width * first_height / first_width))
    sheet_width = gap + columns * (cell_width + gap)
    style = TextStyle(max(MIN_TEXT_HEIGHT, cell_width // 26))
    label = style.fit(to_ascii(caption), sheet_width - 2 * gap, 10 * style.capital_height)
    head = gap + (label.height if caption and label else 0)
    sheet = np.full(
        (head + rows * (cell_height + gap), sheet_width, 3), _SHEET_BACKGROUND, np.uint8)
    if caption and label:
        label.x, label.y = gap, gap // 2
        label.draw(sheet, _SHEET_BACKGROUND)
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        ratio = min(cell_width / width, cell_height / height)
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        small = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
        x = gap + index % columns * (cell_width + gap) + (cell_width - size[0]) // 2
        y = head + index // columns * (cell_height + gap) + (cell_height - size[1]) // 2
        sheet[y:y + size[1], x:x + size[0]] = small
    return sheet


def _place(
    label: TextLabel, box: tuple[int, int, int, int], line: int, taken: list[TextLabel],
    width: int, height: int,
) -> TextLabel:
    """Put the label above its box, inside its top, below it or inside its bottom.

    The first place that overlaps no other label is used, or the very first if all overlap.
    """
    left, top, right, bottom = box
    edge = line // 2 + 1
    first: tuple[int, int] | None = None
    for x in (left - edge, right + edge - label.width):
        for y in (top - label.height - edge, top - edge, bottom + edge,
                  bottom + edge - label.height):
            if y < 0 or y + label.height > height:
                continue
            label.x, label.y = min(max(0, x), width - label.width), y
            if first is None:
                first = label.x, label.y
            if not any(label.overlaps(other) for other in taken):
                return label
    # For a thin box at the image's edge, no place may fit: the label is moved into the image.
    label.x, label.y = first or (
        min(max(0, left - edge), width - label.width),
        min(max(0, top - edge), height - label.height))
    return label


def _id(result: Detections, i: int) -> int:
    return 0 if result.ids is None else int(result.ids[i])


def _color(result: Detections, i: int) -> Color:
    return class_color(_id(result, i) or int(result.class_indices[i]))


def _by_score(result: Detections) -> list[int]:
    return [int(i) for i in np.argsort(-np.asarray(result.scores), kind='stable')]


def _pixel_corners(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the first and last pixel column and row of a box given by its edges."""
    x_min, y_min, x_max, y_max = (float(value) for value in box)
    left, top = (min(max(0, math.floor(v)), n - 1) for v, n in ((x_min, width), (y_min, height)))
    right, bottom = (
        min(max(first, math.ceil(v) - 1), n - 1)
        for first, v, n in ((left, x_max, width), (top, y_max, height)))
    return left, top, right, bottom


def _name(names: Sequence[str], class_index: int) -> str:
    name = names[class_index] if 0 <= class_index < len(names) else str(class_index)
    return to_ascii(name)
