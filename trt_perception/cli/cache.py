# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""List or prune the cached TensorRT engines, timing caches, and networks of trt_perception.from_torch.

prune always removes broken engines, and unfinished files that killed processes left, also those of downloads and of
conversions to fp16 or int8. It removes valid engines and networks only if an option selects them. A timing cache makes
the next build of a model faster; it is removed with the last engine of the same model, TensorRT and GPU. Engines that
are being built are kept, and so are finished model files, including those converted to fp16 or int8.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable

from ..backends.tensorrt.cache.engine_cache import CacheEntry, EngineCache
from ..backends.tensorrt.cache.timings import TimingCache, prune_timings, timing_caches
from ..errors import EngineError, printable, reason
from ..precision.raw import StoredNetwork, remove_network, stored_networks
from ..unfinished import remove_leftovers
from .numbers import duration

_DAY_S = 86400.0
# Files that cannot be removed: name at most this many.
_NAMED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    commands = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    commands.add_parser('list', help='show the content of the cache')
    prune = commands.add_parser(
        'prune', help='remove engines, timing caches without an engine, and networks',
        description=(__doc__ or '').partition('\n\n')[2])
    which = prune.add_mutually_exclusive_group()
    which.add_argument(
        '--unused-for', type=duration, metavar='DAYS', help='remove engines and networks not used for this many days')
    which.add_argument('--all', action='store_true', help='remove all engines, timing caches and networks')


def run(options: argparse.Namespace) -> int:
    """List or prune."""
    cache = EngineCache()
    if options.action == 'list':
        entries, timings = cache.entries(), timing_caches(cache.root)
        for entry in entries:
            print(printable(_line(entry)))
        for timing in timings:
            print(printable(_timing_line(timing)))
        print(
            f'{len(entries)} engines, {sum(e.plan_bytes for e in entries) / 1e6:.1f} MB, and {len(timings)} timing '
            f'caches, {sum(t.size for t in timings) / 1e6:.1f} MB, in {printable(cache.root)}')
        networks = stored_networks()
        for network in networks:
            print(printable(_network_line(network)))
        if networks:
            print(
                f'{len(networks)} networks of from_torch, {sum(n.size for n in networks) / 1e6:.1f} MB, in '
                f'{printable(networks[0].path.parent)}')
        return 0
    oldest = time.time() - options.unused_for * _DAY_S if options.unused_for is not None else 0.0
    stuck: list[str] = []
    removed = cache.prune(lambda entry: not options.all and entry.last_used >= oldest, stuck.append)
    with contextlib.suppress(OSError):
        for folder in cache.root.parent.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                remove_leftovers(folder)
    for entry in removed:
        print(f'removed {printable(_line(entry))}')
    keys = [entry.sidecar['key'] for entry in cache.entries() if not entry.problem]
    timings = prune_timings(cache.root, () if options.all else keys, stuck.append)
    for timing in timings:
        print(f'removed {printable(_timing_line(timing))}')
    networks = _pruned_networks(lambda network: not options.all and network.last_used >= oldest, stuck)
    for network in networks:
        print(f'removed {printable(_network_line(network))}')
    freed = sum(e.plan_bytes for e in removed) + sum(t.size for t in timings) + sum(n.size for n in networks)
    print(
        f'{len(removed)} engines removed, {len(timings)} timing caches removed, '
        f'{f"{len(networks)} networks removed, " if networks else ""}{freed / 1e6:.1f} MB freed')
    if stuck:
        more = f' (and {len(stuck) - _NAMED} more)' if len(stuck) > _NAMED else ''
        raise EngineError(f'{"; ".join(stuck[:_NAMED])}{more}')
    return 0


def _pruned_networks(keep: Callable[[StoredNetwork], bool], stuck: list[str]) -> list[StoredNetwork]:
    removed = []
    for network in stored_networks():
        if keep(network):
            continue
        try:
            remove_network(network)
        except OSError as error:
            stuck.append(f'{network.path} cannot be removed ({reason(error)}): remove it yourself')
        else:
            removed.append(network)
    return removed


def _network_line(network: StoredNetwork) -> str:
    used = time.strftime('%Y-%m-%d %H:%M', time.localtime(network.last_used))
    return f'{"network":<32} {network.size / 1e6:8.1f} MB  used {used}  {network.path.stem}'


def _timing_line(timing: TimingCache) -> str:
    return f'{"timing cache":<32} {timing.size / 1e6:8.1f} MB  {timing.path.stem}'


def _line(entry: CacheEntry) -> str:
    used = time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.last_used))
    size = f'{entry.plan_bytes / 1e6:8.1f} MB'
    if entry.problem:
        return f'{entry.digest} {size}  used {used}  unusable: {printable(entry.problem)}'
    key = entry.sidecar['key']
    effective = entry.sidecar.get('precision_effective', key['precision']) or 'unknown types'
    return printable(
        f'{entry.digest} {size}  used {used}  {entry.sidecar["model"]} {key["precision"]} (runs in {effective}), '
        f'{key["gpu"]}, {key["tensorrt"]}')
