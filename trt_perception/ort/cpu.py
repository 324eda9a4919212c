# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The processors that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_TOPOLOGY = Path('/sys/devices/system/cpu')
# Inside a container this is the container's own group.
_CPU_MAX = Path('/sys/fs/cgroup/cpu.max')


def usable_cores() -> int:
    """Return how many physical cores this process can keep busy, at least 1.

    Those it may run on (taskset, a container's cpuset), and no more than its container may use (docker's --cpus).
    """
    return min(cores_of(os.sched_getaffinity(0)), quota() or os.cpu_count() or 1)


def quota(cpu_max: Path = _CPU_MAX) -> int | None:
    """Return the CPUs' worth of time that a control group may use, rounded up; None where it is not limited.

    cpu_max: cgroup v2's file (Documentation/admin-guide/cgroup-v2.rst of the Linux kernel): microseconds that may be
        used, or 'max', of a period's
    """
    try:
        allowed, period = cpu_max.read_text().split()
        return max(1, math.ceil(int(allowed) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def cores_of(cpus: set[int], topology: Path = _TOPOLOGY) -> int:
    """Return how many physical cores logical CPUs lie on, at least 1; of hyper-threads that share a core one counts.

    topology: sysfs folder of the CPUs (Documentation/admin-guide/cputopology.rst of the Linux kernel); a CPU that it
        does not know counts as a core
    """
    cores = set()
    for cpu in cpus:
        folder = topology / f'cpu{cpu}' / 'topology'
        try:
            cores.add(tuple((folder / name).read_text().strip() for name in ('physical_package_id', 'core_id')))
        except OSError:
            cores.add((f'cpu{cpu}',))
    return max(1, len(cores))
