# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A node that crashes again and again does not fill /dev/shm."""

import re
import signal

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

# The segment of the profile for large images.
_LARGE = 64 * 2**20


def segments_of(node):
    """Return the sizes of the node's segments by path, without their locks."""
    made = [path for path in node.process.shared_memory() if not path.name.endswith('_el')]
    return {path: path.stat().st_size for path in made}


def test_the_next_start_removes_the_segments_of_a_killed_node(start_node, driver, models):
    living = start_node(model_file=models())
    kept = segments_of(living)
    assert max(kept.values()) > _LARGE
    left = {}
    for number in range(5):
        # Another node of this user may have removed them already.
        still = {path: size for path, size in left.items() if path.exists()}
        node = start_node(model_file=models())
        # Each crash left one segment of 67 MB, and this start removed it.
        assert not any(path.exists() for path in left), number
        if still:
            line = node.process.wait_for_line('removed .* shared-memory segments')
            found, size = map(int, re.search(r'removed (\d+) shared-memory segments \((\d+) MB\)', line).groups())
            assert found >= len(still) and size >= sum(still.values()) // 10**6
        left = segments_of(node)
        assert max(left.values()) > _LARGE
        node.process.process.send_signal(signal.SIGKILL)
        node.process.process.wait()
    last = start_node(model_file=models())
    assert not any(path.exists() for path in left)
    # The running participants, another node and this process, still have theirs.
    assert all(path.stat().st_size == size for path, size in kept.items())
    for node in (living, last):
        assert node.change_state('configure')
        assert node.change_state('activate')
