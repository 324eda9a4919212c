# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The processors that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_TOPOLOGY = Path('/sys/devices/system/cpu')


def usable_cores(cpus: set[int] | None = None, topology: Path = _TOPOLOGY) -> int:
    """Return how many physical cores `cpus` lie on, at least 1; of hyper-threads that share a core one counts.

    cpus: numbers of logical CPUs; None for those that this process may run on (taskset, a container's cpuset)
    topology: sysfs folder of the CPUs (Documentation/admin-guide/cputopology.rst of the Linux kernel); a CPU that it
        does not know counts as a core
    """
    if cpus is None:
        cpus = os.sched_getaffinity(0)
    cores = set()
    for cpu in cpus:
        folder = topology / f'cpu{cpu}' / 'topology'
        try:
            cores.add(tuple((folder / name).read_text().strip() for name in ('physical_package_id', 'core_id')))
        except OSError:
            cores.add((f'cpu{cpu}',))
    return max(1, len(cores))
