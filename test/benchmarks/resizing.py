# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Times each way of resizing, in turns, and Pillow if it is installed. Run with PYTHONPATH set to the project.

The lowest of the times is that of a machine that does nothing else.
"""

import argparse
import time

import numpy as np

from trt_perception.dependencies import require
from trt_perception.model.geometry import make_geometry
from trt_perception.pipeline.resize import exact_linear, make_resize

SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))


def main():
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=60)
    options = parser.parse_args()
    cv2 = require('cv2')
    for width, height in SIZES:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        box = make_geometry('letterbox', width, height, 416, 416)
        size = box.target_width, box.target_height
        crop = make_geometry('center_crop', width, height, 224, 224, 0.875, 'bilinear_antialias')
        linear, antialias = make_resize('linear', box), make_resize('bilinear_antialias', crop)
        ways = {
            'letterbox 416, linear': lambda linear=linear, pixels=pixels: linear(pixels),
            'letterbox 416, INTER_LINEAR_EXACT': lambda pixels=pixels, size=size: cv2.resize(
                pixels, size, interpolation=cv2.INTER_LINEAR_EXACT),
            'letterbox 416, without OpenCV': lambda pixels=pixels, box=box: exact_linear(pixels, box),
            'crop 224, bilinear_antialias': lambda antialias=antialias, pixels=pixels: antialias(pixels)}
        try:
            from PIL import Image
        except ImportError:
            print('Pillow is not installed: left out')
        else:
            image, resized = Image.fromarray(pixels), crop.resized
            box_of_crop = (resized.x, resized.y, resized.x + 224, resized.y + 224)
            ways['crop 224, Pillow'] = lambda image=image, resized=resized, part=box_of_crop: image.resize(
                resized[:2], Image.Resampling.BILINEAR).crop(part)
        times = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                times[name].append((time.perf_counter() - started) * 1e3)
        for name, values in times.items():
            print(f'{width}x{height} {name:36} lowest {min(values):6.2f} ms, median {np.median(values):6.2f} ms')


if __name__ == '__main__':
    main()
