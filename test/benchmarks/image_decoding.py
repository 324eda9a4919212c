# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares the decoding of compressed images with cv2.imdecode: processor time of one thread, in turns, in one run.

    PYTHONPATH=.:test python test/benchmarks/image_decoding.py [FILE ...]

Prints the fastest and the median of 40 rounds in milliseconds. Other programs on the machine disturb the median.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from trt_perception.image.decoding import decode_image
from trt_perception.image.jpeg import jpeg_decoder
from trt_perception.image.options import ImageOptions

_PHOTO = Path(__file__).resolve().parents[1] / 'data' / 'photos' / 'astronaut.jpg'
_ROUNDS = 40


def times(functions: dict[str, Callable[[], object]]) -> dict[str, str]:
    """Return 'fastest (median)' of each function."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(_ROUNDS):
        for name, function in functions.items():
            started = time.thread_time()
            function()
            taken[name].append((time.thread_time() - started) * 1e3)
    return {name: f'{min(values):.2f} ({np.median(values):.2f})' for name, values in taken.items()}


def main() -> None:
    """Print a line for each kind and size."""
    cv2.setNumThreads(1)
    print(f'OpenCV {cv2.__version__}, JPEG with {jpeg_decoder()}')
    photo = cv2.imread(sys.argv[1] if len(sys.argv) > 1 else str(_PHOTO))
    noise = np.random.default_rng(0)
    for size in ((1280, 720), (1920, 1080)):
        pixels = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
        pixels = cv2.add(pixels, noise.integers(0, 8, pixels.shape, dtype=np.uint8))
        for suffix in ('.jpg', '.png', '.webp', '.tiff'):
            data = cv2.imencode(suffix, pixels)[1]
            found = times({
                'imdecode': lambda d=data: cv2.imdecode(d, cv2.IMREAD_UNCHANGED),  # type: ignore[misc]
                'here': lambda d=data: decode_image(d.tobytes(), ImageOptions())})  # type: ignore[misc]
            print(f'{size[0]}x{size[1]} {suffix[1:]:4} {len(data):8} bytes: {found}')


if __name__ == '__main__':
    main()
