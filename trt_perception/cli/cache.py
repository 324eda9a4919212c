# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""List or prune the cached TensorRT engines.

prune removes broken entries always, and of the sound ones those that the options name.
"""

from __future__ import annotations

import argparse
import time

from ..backends.tensorrt.cache import CacheEntry, EngineCache
from .numbers import duration

_DAY_S = 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    commands = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    commands.add_parser('list', help='show what is in the cache')
    prune = commands.add_parser('prune', help='remove engines')
    prune.add_argument(
        '--unused-for', type=duration, metavar='DAYS', help='remove engines not used for so many days')
    prune.add_argument('--all', action='store_true', help='remove all engines')


def run(options: argparse.Namespace) -> int:
    """List or prune."""
    cache = EngineCache()
    if options.action == 'list':
        entries = cache.entries()
        for entry in entries:
            print(_line(entry))
        print(f'{len(entries)} engines, {sum(e.plan_bytes for e in entries) / 1e6:.1f} MB in {cache.root}')
        return 0
    oldest = time.time() - options.unused_for * _DAY_S if options.unused_for is not None else 0.0
    removed = cache.prune(lambda entry: not options.all and entry.last_used >= oldest)
    for entry in removed:
        print(f'removed {_line(entry)}')
    print(f'{len(removed)} engines removed, {sum(e.plan_bytes for e in removed) / 1e6:.1f} MB freed')
    return 0


def _line(entry: CacheEntry) -> str:
    used = time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.last_used))
    size = f'{entry.plan_bytes / 1e6:8.1f} MB'
    if entry.problem:
        return f'{entry.digest} {size}  used {used}  unusable: {entry.problem or "no sidecar"}'
    key = entry.sidecar['key']
    effective = entry.sidecar.get('precision_effective', key['precision'])
    return (
        f'{entry.digest} {size}  used {used}  {entry.sidecar["model"]} {key["precision"]} (runs in {effective}), '
        f'{key["gpu"]}, {key["tensorrt"]}')
