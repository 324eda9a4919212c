# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the time of copying a frame with OpenCV's threads on the CPU, after pauses of different lengths.

    PYTHONPATH=.:test python3 test/benchmarks/frame_copy.py [--threads 16 8 4 1] [--size 1280 720]

After a call, OpenCV's threads wait a moment for the next call, then they sleep and must be woken one by one. Prints a
Markdown table of medians in microseconds: a row for each number of threads, a column for each pause before the copy.
"""

import argparse
import time

import cv2
import numpy as np

from trt_perception.backends.tensorrt.run.frame_copy import copy_rows
from trt_perception.cli.numbers import positive

PAUSES_US = (0, 300, 600, 1000, 2000, 5000)
# Above this the copying thread sleeps too, as a thread does that waits for a camera.
LONGEST_BUSY_US = 2000
WARM_UP, FRAMES = 20, 3  # several frames, because a single one would stay in the processor's cache


def pass_time(microseconds):
    if microseconds > LONGEST_BUSY_US:
        time.sleep(microseconds * 1e-6)
        return
    end = time.perf_counter() + microseconds * 1e-6
    while time.perf_counter() < end:
        pass


def copying(frames, target, pause_us, count):
    """Return the median time of copies in microseconds, each `pause_us` after the previous one."""
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
        help="numbers of threads that OpenCV may use (default: OpenCV's default, and 1)")
    parser.add_argument('--size', type=positive, nargs=2, default=(1280, 720), metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--count', type=positive, default=200, help='copies for each median (default: %(default)s)')
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
