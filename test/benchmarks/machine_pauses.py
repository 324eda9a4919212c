# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures how often this machine interrupts programs that only compute.

    PYTHONPATH=.:test python3 test/benchmarks/machine_pauses.py [--cores 15] [--seconds 3]

One process on each of this many cores reads the clock in a loop. Prints the number and the length of the pauses: the
core ran another program then or, on a virtual machine, another virtual machine. If there are more than a few pauses a
second, the slowest frames (p99) of the benchmarks here show the noise of the machine, not the speed of the pipeline.
"""

import argparse
import multiprocessing
import os
import time

from trt_perception.cli.numbers import positive

LEAST_US = 100  # reading the clock takes 0.1 us, an interrupt about 10 us


def pauses(core, seconds):
    """Return the microseconds of each pause of the core."""
    os.sched_setaffinity(0, {core})
    found = []
    last = time.perf_counter()
    end = last + seconds
    while last < end:
        now = time.perf_counter()
        if now - last > LEAST_US * 1e-6:
            found.append((now - last) * 1e6)
        last = now
    return found


def main():
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--cores', type=positive, default=max(len(cores) - 1, 1), metavar='N',
        help='number of cores, without the first one (default: all but one, which is left to other programs)')
    parser.add_argument('--seconds', type=positive, default=3, help='duration (default: %(default)s)')
    options = parser.parse_args()
    if options.cores > len(cores):
        parser.error(f'--cores is {options.cores}: expected at most {len(cores)}, the cores that this process may use')
    used = cores[-options.cores:]
    with multiprocessing.Pool(len(used)) as pool:
        each = pool.starmap(pauses, [(core, options.seconds) for core in used], chunksize=1)
    found = sorted((pause for core in each for pause in core), reverse=True)
    print(
        f'{len(used)} cores, {options.seconds} s: {len(found)} pauses over {LEAST_US} us on {sum(map(bool, each))} '
        f'cores, {len(found) / len(used) / options.seconds:.1f} per core and second, {sum(found) / 1e3:.1f} ms in all')
    print('longest, us:', ', '.join(f'{pause:.0f}' for pause in found[:8]) or 'none')


if __name__ == '__main__':
    main()
