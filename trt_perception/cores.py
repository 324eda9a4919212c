# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The processors that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_TOPOLOGY = Path('/sys/devices/system/cpu')
# Inside a container this is the container's own control group.
_CPU_MAX = Path('/sys/fs/cgroup/cpu.max')


def usable_cores() -> int:
    """Return the number of physical cores that this process can keep busy, at least 1.

    It is limited by the processors that it may run on (taskset, a container's cpuset) and by docker's --cpus.
    """
    return min(cores_of(os.sched_getaffinity(0)), quota() or os.cpu_count() or 1)


def quota(cpu_max: Path = _CPU_MAX) -> int | None:
    """Return the number of CPUs whose time a control group may use, rounded up; None if there is no limit.

    cpu_max: cgroup v2's file (Documentation/admin-guide/cgroup-v2.rst of the Linux kernel): the allowed microseconds or
        'max', then the microseconds of a period
    """
    try:
        allowed, period = cpu_max.read_text().split()
        return max(1, math.ceil(int(allowed) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def cores_of(cpus: set[int], topology: Path = _TOPOLOGY) -> int:
    """Return the number of physical cores of these logical CPUs, at least 1; hyper-threads of one core count once.

    topology: sysfs folder of the CPUs (Documentation/admin-guide/cputopology.rst of the Linux kernel); a CPU without an
        entry there counts as a core
    """
    cores = set()
    for cpu in cpus:
        folder = topology / f'cpu{cpu}' / 'topology'
        try:
            cores.add(tuple((folder / name).read_text().strip() for name in ('physical_package_id', 'core_id')))
        except OSError:
            cores.add((f'cpu{cpu}',))
    return max(1, len(cores))
