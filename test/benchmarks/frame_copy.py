# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What copying a frame with OpenCV's threads takes, by how long ago they were used last, on the processor alone.

    PYTHONPATH=.:test python3 test/benchmarks/frame_copy.py [--threads 16 8 4 1] [--size 1280 720]

OpenCV's threads wait for the next call for a moment before they sleep; then they have to be woken, one by one. Prints a
Markdown table: medians in microseconds, a row for each number of threads, a column for each pause before the copy.
"""

import argparse
import time

import cv2
import numpy as np

from trt_perception.backends.tensorrt.run.frame_copy import copy_rows
from trt_perception.cli.numbers import positive

PAUSES_US = (0, 300, 600, 1000, 2000, 5000)
# A thread that waits longer than this for the next frame sleeps as well, as one does that waits for a camera.
LONGEST_BUSY_US = 2000
WARM_UP, FRAMES = 20, 3  # frames: different ones, so that not one alone stays in the processor's cache


def pass_time(microseconds):
    if microseconds > LONGEST_BUSY_US:
        time.sleep(microseconds * 1e-6)
        return
    end = time.perf_counter() + microseconds * 1e-6
    while time.perf_counter() < end:
        pass


def copying(frames, target, pause_us, count):
    """The median of copies, each `pause_us` after the one before, in microseconds."""
    seconds = []
    for index in range(-WARM_UP, count):
        pass_time(pause_us)
        start = time.perf_counter()
        copy_rows(frames[index % FRAMES], target)
        if index >= 0:
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--threads', type=positive, nargs='+', default=[cv2.getNumThreads(), 1], metavar='N',
        help='how many threads OpenCV may use (default: as many as it takes, and one)')
    parser.add_argument('--size', type=positive, nargs=2, default=(1280, 720), metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--count', type=positive, default=200, help='copies for each figure (default: %(default)s)')
    options = parser.parse_args()
    width, height = options.size
    generator = np.random.default_rng(0)
    frames = [generator.integers(0, 256, (height, width * 3), np.uint8) for _ in range(FRAMES)]
    target = np.zeros_like(frames[0])
    print('| us, by the pause before | ' + ' | '.join(map(str, PAUSES_US)) + ' |\n|' + '---|' * (len(PAUSES_US) + 1))
    for threads in options.threads:
        cv2.setNumThreads(threads)
        figures = (copying(frames, target, pause, options.count) for pause in PAUSES_US)
        print(f'| {threads} threads | ' + ' | '.join(f'{figure:.0f}' for figure in figures) + ' |', flush=True)


if __name__ == '__main__':
    main()
