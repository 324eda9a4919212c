# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The number of physical cores from sysfs, and the CPU limit of a container."""

import os

import pytest

from trt_perception.cores import cores_of, quota, usable_cores


@pytest.fixture
def topology(tmp_path):
    """Two packages of two cores with two hyper-threads each: the sibling of CPU n is CPU n + 4."""
    for cpu in range(8):
        folder = tmp_path / f'cpu{cpu}' / 'topology'
        folder.mkdir(parents=True)
        (folder / 'physical_package_id').write_text(f'{cpu % 4 // 2}\n')
        (folder / 'core_id').write_text(f'{cpu % 2}\n')
    return tmp_path


@pytest.mark.parametrize('cpus, cores', [
    (set(range(8)), 4),
    # The same core_id in another package is another core.
    ({0, 2}, 2),
    # Both hyper-threads of one core.
    ({1, 5}, 1),
    ({0, 4, 1}, 2),
    # CPUs that sysfs does not describe, as in some sandboxes.
    ({90, 91}, 2),
    (set(), 1),
])
def test_cores_are_counted_by_package_and_core(topology, cpus, cores):
    assert cores_of(cpus, topology) == cores


@pytest.mark.parametrize('text, cpus', [
    ('max 100000\n', None), ('200000 100000\n', 2), ('150000 100000\n', 2), ('5000 100000\n', 1), ('', None),
    ('0 0\n', None),
])
def test_a_containers_share_is_rounded_up(tmp_path, text, cpus):
    (tmp_path / 'cpu.max').write_text(text)
    assert quota(tmp_path / 'cpu.max') == cpus


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert quota(tmp_path / 'cpu.max') is None


def test_this_process_has_at_least_one_and_not_more_than_it_may_use():
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
