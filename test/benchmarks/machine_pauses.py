# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How often this machine takes its cores away from programs that ask for nothing but to compute.

    PYTHONPATH=.:test python3 test/benchmarks/machine_pauses.py [--cores 15] [--seconds 3]

One process on each of so many cores reads the clock over and over. Prints how often, and for how long, a core did not:
it was given to another program or, on a virtual machine, to another machine. Where that happens more than a few times
a second, the slowest frames of any benchmark here (p99) say something about the machine, not about the pipeline.
"""

import argparse
import multiprocessing
import os
import time

from trt_perception.cli.numbers import positive

LEAST_US = 100  # reading the clock takes 0.1 us, an interrupt some 10


def pauses(core, seconds):
    """Microseconds of each pause of the core."""
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
        help='how many, the first one left out (default: all but one, for what else runs)')
    parser.add_argument('--seconds', type=positive, default=3, help='for how long (default: %(default)s)')
    options = parser.parse_args()
    if options.cores > len(cores):
        parser.error(f'--cores is {options.cores}: this process may use {len(cores)}')
    used = cores[-options.cores:]
    with multiprocessing.Pool(len(used)) as pool:
        each = pool.starmap(pauses, [(core, options.seconds) for core in used], chunksize=1)
    found = sorted((pause for core in each for pause in core), reverse=True)
    print(
        f'{len(used)} cores, {options.seconds} s: {len(found)} pauses over {LEAST_US} us on {sum(map(bool, each))} '
        f'cores, {len(found) / len(used) / options.seconds:.1f} a core and second, {sum(found) / 1e3:.1f} ms in all')
    print('longest, us:', ', '.join(f'{pause:.0f}' for pause in found[:8]) or 'none')


if __name__ == '__main__':
    main()
