# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes labelled images for `trt_perception evaluate`: cats, cups and persons of the shipped photos, pasted elsewhere.

    PYTHONPATH=.:test python test/benchmarks/make_evaluation_data.py FOLDER [--count 200]

FOLDER gets images/ and truth.json (COCO). For classifiers it gets crops/ and crops.csv: the cup and the cat alone, with
their ImageNet names. Licence: as the photos, public domain and CC0.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import cv2
import numpy as np
from pasted_objects import PHOTOS, photo_cutouts, write_set

CLASSES = ('cat', 'cup', 'person')
SIZE = (640, 480)
# Photo -> its ImageNet class. The cat is a tabby with spots; ImageNet calls such cats Egyptian cat, tabby or tiger cat.
IMAGENET = {'coffee': 'espresso', 'chelsea': 'Egyptian cat'}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--count', type=int, default=200)
    options = parser.parse_args()
    objects = write_set(options.folder, options.count, SIZE, photo_cutouts(CLASSES), 1, CLASSES)
    crops = write_crops(options.folder, options.count // 4)
    print(f'{options.folder}: {options.count} images with {objects} objects, {crops} crops')


def write_crops(folder: Path, count: int) -> int:
    """Write parts of the photos of one object, and their classes as CSV; return their number."""
    (folder / 'crops').mkdir(parents=True, exist_ok=True)
    rows = []
    for photo, name in IMAGENET.items():
        image = cv2.imread(str(PHOTOS / f'{photo}.jpg'))
        height, width = image.shape[:2]
        for number in range(count):
            random = np.random.default_rng((2, number))
            part = random.uniform(0.6, 1.0)
            tall, wide = int(height * part), int(width * part)
            y, x = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
            crop = np.clip(image[y:y + tall, x:x + wide] * random.uniform(0.5, 1.4), 0, 255).astype(np.uint8)
            file = f'{photo}_{number:03d}.png'
            cv2.imwrite(str(folder / 'crops' / file), crop[:, ::-1] if number % 2 else crop)
            rows.append((file, name))
    with (folder / 'crops.csv').open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([('file', 'class'), *rows])
    return len(rows)


if __name__ == '__main__':
    sys.exit(main())
