# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The memory of images: threads share it, and the system does not clear it for each image."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import textwrap

import pytest

IMAGE = 640 * 480 * 3
THREADS = 8
ROUNDS = 20
PAGE = 4096
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the C library is not glibc')


def measured(images: int) -> dict[str, float]:
    """Let threads hold so many images at a time, one thread after the other, and free them."""
    code = f"""
        from trt_perception.node.process.memory import keep_image_memory
        keep_image_memory()
        import json, resource, threading

        def resident():
            return next(int(line.split()[1]) << 10 for line in open('/proc/self/status') if line.startswith('VmRSS'))

        # A thread begins with its turn and ends with the last, so that each has its place among the pools.
        turns = [threading.Event() for _ in range({THREADS} + 1)]

        def receive(index):
            turns[index].wait()
            for _ in range({ROUNDS}):
                held = [b'x' * {IMAGE} for _ in range({images})]
                del held
            turns[index + 1].set()
            turns[-1].wait()

        threads = [threading.Thread(target=receive, args=(index,)) for index in range({THREADS})]
        for thread in threads:
            thread.start()
        before, faults = resident(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        turns[0].set()
        for thread in threads:
            thread.join()
        print(json.dumps(dict(
            grown=resident() - before, faults=resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)))
    """
    answer = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)], check=True, capture_output=True, text=True, timeout=600)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def test_pages_are_not_cleared_for_each_image() -> None:
    pages = IMAGE // PAGE * 3 * ROUNDS * THREADS
    assert measured(3)['faults'] < pages / 10


def test_threads_share_the_memory() -> None:
    # Two pools; one of the three images may lie across a part that is in use.
    assert measured(3)['grown'] < 2 * 4 * IMAGE
