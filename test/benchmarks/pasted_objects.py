# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled images made of the shipped photos: objects are cut out of them and pasted on other backgrounds.

The photos are in the public domain or CC0 (test/data/photos/README.md), so what is made of them is free too. Letters
are drawn as lines, without a font. Every image follows from the seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
# Outlines of the objects, in pixels of the photo; drawn by hand.
OUTLINES = {
    'cat': ('chelsea', [
        (38, 0), (330, 0), (400, 0), (372, 60), (357, 75), (366, 125), (342, 200), (332, 235), (310, 285), (240, 299),
        (0, 299), (0, 130), (35, 110)]),
    'cup': ('coffee', [
        (172, 110), (180, 70), (208, 37), (258, 18), (300, 18), (352, 35), (390, 70), (408, 110), (405, 155),
        (392, 195), (345, 255), (325, 275), (290, 285), (262, 281), (234, 306), (205, 305), (196, 285), (205, 250),
        (216, 235), (185, 190), (174, 150)]),
    'person': ('astronaut', [
        (154, 100), (152, 75), (165, 45), (200, 18), (245, 14), (282, 35), (301, 75), (298, 105), (280, 132),
        (268, 155), (262, 178), (300, 210), (306, 240), (340, 262), (357, 320), (362, 350), (310, 385), (285, 430),
        (278, 511), (25, 511), (20, 440), (26, 380), (28, 330), (42, 285), (70, 248), (115, 205), (115, 182),
        (150, 152), (185, 150), (180, 130), (160, 115)]),
    'rocket': ('rocket', [
        (311, 155), (313, 137), (321, 127), (330, 137), (334, 155), (334, 180), (331, 190), (331, 405), (312, 405),
        (312, 190), (310, 180)])}
# Where the photos have no object: x_min, y_min, x_max, y_max.
EMPTY = (
    ('rocket', (90, 0, 290, 360)), ('rocket', (340, 0, 560, 360)), ('coffee', (440, 0, 600, 400)),
    ('coffee', (0, 90, 90, 400)), ('coffee', (420, 0, 600, 200)), ('astronaut', (300, 0, 360, 230)),
    ('astronaut', (60, 0, 150, 150)), ('astronaut', (0, 0, 100, 400)), ('chelsea', (380, 30, 451, 300)))
# Lines of each letter: x, y from 0 to 1.
LETTERS = {
    'A': [[(0, 1), (0.5, 0), (1, 1)], [(0.2, 0.6), (0.8, 0.6)]],
    'E': [[(1, 0), (0, 0), (0, 1), (1, 1)], [(0, 0.5), (0.8, 0.5)]],
    'H': [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.5), (1, 0.5)]],
    'K': [[(0, 0), (0, 1)], [(1, 0), (0, 0.55)], [(0.3, 0.4), (1, 1)]],
    'T': [[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]],
    'X': [[(0, 0), (1, 1)], [(1, 0), (0, 1)]],
    'Y': [[(0, 0), (0.5, 0.5), (1, 0)], [(0.5, 0.5), (0.5, 1)]],
    'Z': [[(0, 0), (1, 0), (0, 1), (1, 1)]]}
# Width for a height of 1, thickness of the lines, and slant to the right.
STYLES = tuple((width, line, 0.0) for width in (0.55, 0.7, 0.85) for line in (0.10, 0.18))
# Not among the others: for images that check.
OTHER_STYLE = (0.65, 0.14, 0.2)


@dataclass(frozen=True)
class Cutout:
    """An object: name, (H, W, 4) uint8 BGR and opacity, and whether it gets a random colour."""

    name: str
    pixels: np.ndarray
    coloured: bool = False


def photo_cutouts(names: Sequence[str]) -> list[Cutout]:
    """Return the objects of the photos."""
    found = []
    for name in names:
        photo, outline = OUTLINES[name]
        image = _photo(photo)
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.array(outline, np.int32)], 255, cv2.LINE_AA)
        x, y, width, height = cv2.boundingRect(mask)
        part = np.s_[y:y + height, x:x + width]
        found.append(Cutout(name, np.dstack([image[part], mask[part]])))
    return found


def letter_cutouts(styles: Sequence[tuple[float, float, float]]) -> list[Cutout]:
    """Return each letter in each style, as tall as the photos' objects."""
    found = []
    for letter, lines in LETTERS.items():
        for wide, thick, slant in styles:
            mask = np.zeros((400, 460), np.uint8)
            for line in lines:
                points = [(60 + 280 * (x * wide + slant * (1 - y)), 60 + 280 * y) for x, y in line]
                cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 255, round(280 * thick), cv2.LINE_AA)
            x, y, width, height = cv2.boundingRect(mask)
            mask = mask[y:y + height, x:x + width]
            found.append(Cutout(letter, np.dstack([np.full((*mask.shape, 3), 255, np.uint8), mask]), coloured=True))
    return found


def backgrounds() -> list[np.ndarray]:
    """Return parts of the photos without an object, BGR uint8."""
    return [_photo(name)[y0:y1, x0:x1] for name, (x0, y0, x1, y1) in EMPTY]


def compose(
    random: np.random.Generator, size: tuple[int, int], cutouts: Sequence[Cutout], empty: Sequence[np.ndarray],
    smallest: int = 48, most: int = 4,
) -> tuple[np.ndarray, list[tuple[str, tuple[int, int, int, int]]]]:
    """Return an image and the name and box (x, y, width, height) of each object in it.

    size: width, height in pixels; smallest: shorter side of the box of an object; most: largest number of objects.
    An object that would cover more than 30 % of another one, or be covered so, is not pasted.
    """
    width, height = size
    image = _background(random, size, empty)
    objects: list[tuple[str, tuple[int, int, int, int]]] = []
    names = sorted({cutout.name for cutout in cutouts})
    for _ in range(random.integers(1, most + 1)):
        # Each class is as frequent as the others, though letters have more cut-outs.
        name = names[random.integers(len(names))]
        same = [cutout for cutout in cutouts if cutout.name == name]
        patch = _varied(random, same[random.integers(len(same))], smallest, 0.6 * min(size))
        tall, wide = patch.shape[:2]
        if wide >= width or tall >= height:
            continue
        x, y = int(random.integers(0, width - wide)), int(random.integers(0, height - tall))
        shape = patch[..., 3] > 127
        if not shape.any():
            continue
        bx, by, bw, bh = cv2.boundingRect(shape.astype(np.uint8))
        box = (x + bx, y + by, bw, bh)
        if any(_common(box, other) > 0.3 * min(bw * bh, other[2] * other[3]) for _, other in objects):
            continue
        alpha = patch[..., 3:].astype(np.float32) / 255
        place = image[y:y + tall, x:x + wide]
        place[:] = np.rint(place * (1 - alpha) + patch[..., :3] * alpha).astype(np.uint8)
        objects.append((name, box))
    noise = random.normal(0, random.uniform(0, 5), image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), objects


def write_set(
    folder: Path, count: int, size: tuple[int, int], cutouts: Sequence[Cutout], seed: int, classes: Sequence[str],
    smallest: int = 48, most: int = 4,
) -> int:
    """Write images/ and truth.json (COCO) into a folder; return the number of objects."""
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (image, objects) in enumerate(_images(count, size, cutouts, seed, smallest, most), 1):
        name = f'{number:04d}.png'
        cv2.imwrite(str(folder / 'images' / name), image)
        images.append({'id': number, 'file_name': name, 'width': size[0], 'height': size[1]})
        for label, box in objects:
            annotations.append({
                'id': len(annotations) + 1, 'image_id': number, 'category_id': classes.index(label) + 1,
                'bbox': list(box), 'area': box[2] * box[3], 'iscrowd': 0})
    categories = [{'id': index + 1, 'name': name} for index, name in enumerate(classes)]
    info = {'description': 'objects of CC0 and public domain photos, pasted by test/benchmarks/pasted_objects.py'}
    truth = {'info': info, 'images': images, 'categories': categories, 'annotations': annotations}
    (folder / 'truth.json').write_text(json.dumps(truth), encoding='utf-8')
    return len(annotations)


def _images(
    count: int, size: tuple[int, int], cutouts: Sequence[Cutout], seed: int, smallest: int, most: int,
) -> Iterator[tuple[np.ndarray, list[tuple[str, tuple[int, int, int, int]]]]]:
    empty = backgrounds()
    for number in range(count):
        yield compose(np.random.default_rng((seed, number)), size, cutouts, empty, smallest, most)


def _photo(name: str) -> np.ndarray:
    image = cv2.imread(str(PHOTOS / f'{name}.jpg'))
    assert image is not None
    return image


def _background(random: np.random.Generator, size: tuple[int, int], empty: Sequence[np.ndarray]) -> np.ndarray:
    source = empty[random.integers(len(empty))]
    height, width = source.shape[:2]
    part = random.uniform(0.5, 1.0)
    tall, wide = int(height * part), int(width * part)
    y, x = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
    image = cv2.resize(source[y:y + tall, x:x + wide], size, interpolation=cv2.INTER_CUBIC)
    if random.random() < 0.5:
        image = image[:, ::-1]
    return np.clip(image * random.uniform(0.6, 1.3) + random.uniform(-20, 40), 0, 255).astype(np.uint8)


def _varied(random: np.random.Generator, cutout: Cutout, smallest: int, largest: float) -> np.ndarray:
    """Return the cut-out at a random size, mirrored, turned by up to 20 degrees and in other light."""
    height, width = cutout.pixels.shape[:2]
    scale = np.exp(random.uniform(np.log(smallest / min(height, width)), np.log(largest / max(height, width)))) \
        if smallest / min(height, width) < largest / max(height, width) else largest / max(height, width)
    mirrored = random.random() < 0.5 and not cutout.coloured
    pixels = cutout.pixels[:, ::-1] if mirrored else cutout.pixels
    side = int(np.ceil(np.hypot(height, width) * scale)) + 2
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-20, 20), scale)
    turn[:, 2] += side / 2 - np.array([width, height]) / 2
    # Averages if it becomes smaller, which warpAffine does not.
    if scale < 0.5:
        half = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        turn[:, :2] /= scale
        turn[:, 2] = side / 2 - turn[:, :2] @ (np.array(half.shape[1::-1]) / 2)
        pixels = half
    patch = cv2.warpAffine(np.ascontiguousarray(pixels), turn, (side, side), flags=cv2.INTER_LINEAR)
    light = random.uniform(0.6, 1.3)
    colour = random.integers(0, 256, 3) if cutout.coloured else np.array([255, 255, 255])
    patch[..., :3] = np.clip(patch[..., :3] * (colour / 255) * (1 if cutout.coloured else light), 0, 255)
    return patch


def _common(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> int:
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    tall = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, wide) * max(0, tall)
