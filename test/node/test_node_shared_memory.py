# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A node that crashes again and again does not fill /dev/shm."""

import re
import signal

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

from support.harness_driver import wait_until
from support.harness_process import NodeProcess

from trt_perception.demo.environment import free_domain_id

# The segment of the profile for large images.
_LARGE = 64 * 2**20
_KILLS = 5


def segments_of(process):
    """Return the sizes of a node's segments by path, without their locks."""
    made = [path for path in process.shared_memory() if not path.name.endswith('_el') and path.exists()]
    return {path: path.stat().st_size for path in made}


def large_segments_of(process):
    found = segments_of(process)
    return found if max(found.values(), default=0) > _LARGE else {}


def kill(process):
    process.process.send_signal(signal.SIGKILL)
    process.process.wait()


def test_the_next_start_removes_the_segments_of_a_killed_node(ros_environment, tmp_path, monkeypatch):
    """Without other participants, which would also remove the segments that they read from, after some seconds."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain_id()))
    left, removed = {}, 0
    for number in range(_KILLS):
        # Another node of this user may have removed them already.
        still = {path: size for path, size in left.items() if path.exists()}
        process = NodeProcess(f'/crash_{number}', tmp_path / str(number))
        try:
            left = wait_until(lambda process=process: large_segments_of(process), 'a segment')
            assert not any(path.exists() for path in still), number
            if still:
                line = process.wait_for_line('removed .* shared-memory segments|waiting for configure')
                what = re.search(r'removed (\d+) shared-memory segments \((\d+) MB\)', line)
                # Without the first line, another node that started at the same time has removed them; or each of the
                # two has removed some. Other programs of this user may have been killed too.
                if what:
                    assert int(what[1]) > 0
                    removed += min(int(what[2]) * 10**6, sum(still.values()))
        finally:
            kill(process)
    last = NodeProcess('/last', tmp_path / 'last')
    wait_until(lambda: large_segments_of(last), 'a segment')
    assert not any(path.exists() for path in left)
    # One segment of 67 MB for each crash.
    assert removed > _LARGE
    code, _ = last.stop()
    assert code == 0
    last.assert_clean()


def test_the_segments_of_running_participants_stay(start_node, driver, models):
    living = start_node(model_file=models())
    kept = segments_of(living.process)
    assert max(kept.values()) > _LARGE
    killed = start_node(model_file=models())
    killed.process.exit_code = -signal.SIGKILL
    left = segments_of(killed.process)
    kill(killed.process)
    last = start_node(model_file=models())
    assert not any(path.exists() for path in left)
    assert segments_of(living.process) == kept
    # They and this process still hear each other.
    for node in (living, last):
        assert node.change_state('configure')
        assert node.change_state('activate')
