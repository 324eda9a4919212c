# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A short run of each script of this folder; docs/reliability.md has the long ones. For fuzz_images.py: test/unit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.node_fixtures import needs_ros
from support.subprocesses import python_environment


def run(script, *arguments):
    """Run a script to its end and return its summary."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)],
        capture_output=True, text=True, env=python_environment(), timeout=800, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(autouse=True)
def _ros():
    needs_ros()


@pytest.mark.parametrize('kind', ['raw', 'compressed'])
def test_fuzzed_messages(kind):
    pytest.importorskip('simplejpeg')
    found = run('fuzz_messages.py', '--kind', kind, '--count', 600, '--seed', 16)
    assert found['received'] == sum(found[name] for name in ('processed', 'replaced', 'stale', 'bad', 'failed'))
    # How many are read depends on the machine.
    assert min(found[name] for name in ('processed', 'bad', 'stale')) > 0, found
    assert (found['damaged'] > 0) == (kind == 'compressed'), found


def test_killed_builds():
    found = run('kill_builds.py', '--kills', 5)
    assert found['kills'] == 5


def test_killed_annotations():
    assert run('kill_annotate.py', '--kills', 3)['kills'] == 3


def test_signals():
    """The states that test/node has no test of."""
    states = (
        'configuring: reading images', 'deactivating: slow inference', 'cleaning up', 'autostart', 'error processing')
    found = run('signals.py', '--rounds', 0.5, '--states', *states)
    assert found['signals'] == 5


def test_cycles():
    found = run('soak.py', '--cycles', 30)
    assert found['growth']['steps'] == 14


def test_a_stream():
    found = run('soak.py', '--minutes', 0.12)
    assert found['processed'] > 10


def test_participants_that_join_and_leave():
    """Four cameras and tracking."""
    found = run('soak.py', '--rounds', 19, '--cameras', 4, '--tracking')
    assert found['growth']['steps'] == 3
    assert found['processed'] >= 19 * 4 * 3
    # Of each object from the second image on.
    assert found['ids'] > 0


def test_a_killed_node_comes_back():
    found = run('respawn.py', '--kills', 2)
    assert (found['kills'], found['strange']) == (2, 0)
    assert found['results'] >= 3
