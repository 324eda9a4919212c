# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the board: platform, power mode and clocks, memory and disk for a build, the cache."""

from __future__ import annotations

import os
import platform as python_platform
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import PerceptionError, one_line
from ..file_cache import cache_root
from .facts import Probe
from .finding import Finding, Level
from .system import System

_GIB = 1 << 30
# A build of an engine may need several times the memory of the engine; boards with less share it with the GPU.
_BUILD_MEMORY = 12 * _GIB
_CACHE_SPACE = 2 * _GIB


def check_platform(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """What machine it is, and the JetPack of a Jetson."""
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', system.read('etc/os-release'), re.M)
    parts = [
        system.read('proc/device-tree/model'), found.group(1) if found else python_platform.system(),
        system.platform.machine, f'Python {".".join(map(str, sys.version_info[:3]))}',
        'in a container' if system.in_container() else '']
    yield Finding('platform', Level.OK, ', '.join(filter(None, parts)))
    if system.platform.is_jetson:
        jetpack = system.platform.jetpack
        yield Finding(
            'jetpack', Level.OK if jetpack else Level.NOTE,
            f'JetPack {jetpack} (L4T {system.platform.l4t})' if jetpack else
            f'L4T {system.platform.l4t}, whose JetPack is not known here')


def check_power(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """The power mode of a Jetson, and the governor of the processor."""
    if system.platform.is_jetson:
        yield from _power_mode(system)
    files = system.find('sys/devices/system/cpu', 'cpu[0-9]*/cpufreq/scaling_governor')
    governors = {system.text_of(path) for path in files}
    driver = system.read('sys/devices/system/cpu/cpu0/cpufreq/scaling_driver')
    # intel_pstate and amd-pstate name their normal mode powersave too.
    if 'powersave' in governors and 'pstate' not in driver:
        yield Finding(
            'clocks', Level.WARNING, 'the governor powersave keeps the processor at its lowest clock',
            'run sudo cpupower frequency-set -g schedutil')
    elif governors - {''}:
        yield Finding('clocks', Level.OK, f'governor {", ".join(sorted(governors - {""}))}')


def _power_mode(system: System) -> Iterator[Finding]:
    now = re.search(r'NV Power Mode:\s*(\S+)', system.output('nvpmodel', '-q'))
    if now is None:
        yield Finding('power mode', Level.NOTE, 'nvpmodel does not answer', 'run sudo nvpmodel -q')
        return
    modes = {
        name: number for number, name in
        re.findall(r'POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>', system.read('etc/nvpmodel.conf'))}
    best = next((name for name in ('MAXN_SUPER', 'MAXN') if name in modes), '')
    if best and now.group(1) != best:
        yield Finding(
            'power mode', Level.WARNING, f'{now.group(1)}: the fastest mode is {best}',
            f'run sudo nvpmodel -m {modes[best]} && sudo jetson_clocks')
    else:
        yield Finding('power mode', Level.OK, now.group(1))


def check_memory(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """Memory and swap for the build of an engine; only a GPU needs one."""
    sizes = {
        name: int(size) * 1024
        for name, size in re.findall(r'^(\w+):\s+(\d+) kB', system.read('proc/meminfo'), re.M)}
    if 'MemTotal' not in sizes:
        return
    total, swap = sizes['MemTotal'], sizes.get('SwapTotal', 0)
    text = f'{total / _GIB:.1f} GiB, and {swap / _GIB:.1f} GiB of swap'
    gpu = facts.get('gpu', Probe())
    shared = system.platform.is_jetson or gpu.get('integrated') == 'True'
    if shared and total + swap < _BUILD_MEMORY:
        yield Finding(
            'memory', Level.WARNING, f'{text}: the build of a TensorRT engine may run out of memory',
            'run sudo fallocate -l 16G /mnt/16GB.swap && sudo chmod 600 /mnt/16GB.swap && sudo mkswap /mnt/16GB.swap '
            '&& sudo swapon /mnt/16GB.swap')
    else:
        yield Finding('memory', Level.OK, text)


def check_cache(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """Whether the cache can be written, and whether its disk has room."""
    try:
        folder = cache_root()
    except PerceptionError as error:
        yield Finding('cache', Level.ERROR, one_line(error), 'run export XDG_CACHE_HOME=/a/folder/that/can/be/written')
        return
    if not can_be_written(folder):
        place = _nearest(folder)
        name = system.environment.get('USER') or str(os.getuid())
        # Another owner does not help on a disk that is read only.
        owned = place.is_dir() and folder in (place, *place.parents) and not os.statvfs(place).f_flag & os.ST_RDONLY
        yield Finding(
            'cache', Level.ERROR, f'{place} cannot be written: models and engines cannot be stored',
            f'run sudo chown -R {name} {shlex.quote(str(place))}' if owned else
            'run export XDG_CACHE_HOME=/a/folder/that/can/be/written')
        return
    space = system.free_bytes(folder)
    if space is not None and space[0] < _CACHE_SPACE:
        yield Finding(
            'cache', Level.WARNING, f'{folder}: only {space[0] / _GIB:.1f} GiB are free on its disk',
            'run trt_perception cache prune --unused-for 30')
        return
    yield Finding('cache', Level.OK, f'{folder}' + (f', {space[0] / _GIB:.0f} GiB free' if space else ''))


def can_be_written(folder: Path) -> bool:
    """Return whether files can be made in a folder, or the folder itself in its nearest parent."""
    place = _nearest(folder)
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest parent that is there."""
    for place in (folder, *folder.parents):
        if place.exists():
            return place
    return folder
