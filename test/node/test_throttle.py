# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Lines that are logged at most every few seconds, in a process whose system clock is set back."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

from support.subprocesses import python_environment

# The clock of a process as it is after another program has set the machine's clock. Only clock_gettime of the system's
# clock is changed; the steady clock goes on.
CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    long code = syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME && access(getenv("SET_BACK"), F_OK) == 0) now->tv_sec -= 3600;
    return code;
}
"""
PROGRAM = """
import os, pathlib, sys, time
import rclpy
from trt_perception.node.process.throttle import at_most_every
rclpy.init()
log = rclpy.create_node('logger').get_logger()
def say(arguments):
    log.warning('said', **arguments)
arguments = at_most_every(0.2)
before = time.time()
for number in range(2):
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        say(arguments)
        time.sleep(0.01)
    # The process may have had no processor all the time.
    say(arguments)
    if not number:
        print('-- set back', file=sys.stderr, flush=True)
        pathlib.Path(os.environ['SET_BACK']).touch()
        assert time.time() < before - 3000
"""


def test_a_clock_that_is_set_back_does_not_silence_the_log(tmp_path):
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler: apt install gcc')
    source, library = tmp_path / 'clock.c', tmp_path / 'clock.so'
    source.write_text(CLOCK)
    subprocess.run(['cc', '-shared', '-fPIC', '-o', str(library), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM], capture_output=True, text=True, timeout=600, check=False,
        env={**python_environment(), 'LD_PRELOAD': str(library), 'SET_BACK': str(tmp_path / 'set_back'),
             'ROS_LOG_DIR': str(tmp_path)})
    assert done.returncode == 0, done.stderr
    before, after = done.stderr.split('-- set back')
    assert 'said' in before and 'said' in after
