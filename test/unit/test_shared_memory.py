# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments without an owner are removed, all others stay. test/node/test_node_shared_memory.py has real nodes."""

import contextlib
import fcntl
import os
import subprocess
import sys

import pytest
from support.other_users import give_away

from trt_perception.node.process.shared_memory import remove_dead_segments

# As Fast DDS does (RobustExclusiveLock.hpp): open for reading only, then an exclusive lock until the end.
_OWNER = (
    'import fcntl, os, sys, time\n'
    'lock = os.open(sys.argv[1] + "_el", os.O_CREAT | os.O_RDONLY, 0o666)\n'
    'fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n'
    'open(sys.argv[1], "wb").write(bytes(1000))\n'
    'print("owned", flush=True)\n'
    'time.sleep(60)\n')


@contextlib.contextmanager
def owner_of(segment):
    with subprocess.Popen([sys.executable, '-c', _OWNER, str(segment)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == 'owned\n'
            yield process
        finally:
            process.kill()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('prefix', ['fastrtps', 'fastdds'])
def test_a_segment_stays_as_long_as_its_owner_lives(tmp_path, prefix):
    segment = tmp_path / f'{prefix}_0123456789abcdef'
    with owner_of(segment):
        assert remove_dead_segments(tmp_path) == (0, 0)
        assert names(tmp_path) == [segment.name, f'{segment.name}_el']
    assert segment.exists()
    assert remove_dead_segments(tmp_path) == (1, 1000)
    assert names(tmp_path) == []
    assert remove_dead_segments(tmp_path) == (0, 0)


def test_only_segments_are_removed(tmp_path):
    others = [
        'fastrtps_port7410', 'fastrtps_port7410_el', 'fastrtps_port7411_sl', 'sem.fastrtps_port7410_mutex',
        'fastrtps_0123456789abcdeg_el', 'fastrtps_0123456789abcdeg', 'fastrtps_0123456789abcdef0_el',
        # A segment that is being made has only its lock, and a segment without a lock is not Fast DDS' own.
        'fastrtps_aaaaaaaaaaaaaaaa_el', 'fastdds_bbbbbbbbbbbbbbbb', 'fast_datasharing_01.0f.00_0.0.3', 'other']
    for name in others:
        (tmp_path / name).write_bytes(b'x')
    assert remove_dead_segments(tmp_path) == (0, 0)
    assert names(tmp_path) == sorted(others)


def test_links_and_folders_are_neither_followed_nor_removed(tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.write_bytes(b'x')
    shm = tmp_path / 'shm'
    shm.mkdir()
    (shm / 'fastrtps_aaaaaaaaaaaaaaaa').symlink_to(elsewhere)
    (shm / 'fastrtps_aaaaaaaaaaaaaaaa_el').touch()
    (shm / 'fastrtps_bbbbbbbbbbbbbbbb').touch()
    (shm / 'fastrtps_bbbbbbbbbbbbbbbb_el').symlink_to(elsewhere)
    (shm / 'fastrtps_cccccccccccccccc').mkdir()
    (shm / 'fastrtps_cccccccccccccccc_el').mkdir()
    os.mkfifo(shm / 'fastrtps_dddddddddddddddd')
    os.mkfifo(shm / 'fastrtps_dddddddddddddddd_el')
    before = names(shm)
    assert remove_dead_segments(shm) == (0, 0)
    assert names(shm) == before and elsewhere.read_bytes() == b'x'


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file to somebody else')
def test_segments_of_other_users_stay(tmp_path):
    for name in ('fastrtps_0123456789abcdef', 'fastrtps_0123456789abcdef_el'):
        (tmp_path / name).touch()
        give_away(tmp_path / name)
    assert remove_dead_segments(tmp_path) == (0, 0)
    assert len(names(tmp_path)) == 2


def test_nothing_here_ends_the_start_of_a_node(tmp_path, monkeypatch):
    assert remove_dead_segments(tmp_path / 'none') == (0, 0)
    (tmp_path / 'file').touch()
    assert remove_dead_segments(tmp_path / 'file') == (0, 0)
    for letter in 'ab':
        (tmp_path / f'fastrtps_{letter * 16}').write_bytes(bytes(10))
        (tmp_path / f'fastrtps_{letter * 16}_el').touch()

    def flock(descriptor, operation):
        raise OSError('no locks')

    monkeypatch.setattr(fcntl, 'flock', flock)
    assert remove_dead_segments(tmp_path) == (0, 0)
    monkeypatch.undo()
    assert remove_dead_segments(tmp_path) == (2, 20)
