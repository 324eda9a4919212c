# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Show all perception nodes in a live table, from /diagnostics.

For each node: level and reason, rates, age of the results (stamp to publication, p50 and p99 of the last 10 s), time of
the network, images without a result since activation, estimated fraction of lost images. A node that is silent is
STALE. Ctrl-C ends it. Exit code of --once: 0, or 1 if no node was heard.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..dependencies import require
from ..errors import ParameterError, printable
from .node_reports import Report, Reports, record, rows
from .numbers import above_zero, duration
from .ros_session import listening
from .together import require_beside

_TOPIC = '/diagnostics'
_POLL_S = 0.1
_WAIT_S = 10.0
# Two periods of the diagnostics.
_OTHERS_S = 2.0
_COLORS = {'OK': 'green', 'WARN': 'yellow', 'ERROR': 'red', 'STALE': 'magenta'}
# Move to the first line and column, and delete what is below.
_HOME = '\x1b[H\x1b[J'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    times = parser.add_mutually_exclusive_group()
    times.add_argument('--once', action='store_true', help='print the table once')
    parser.add_argument(
        '--wait', type=duration, default=_WAIT_S, metavar='SECONDS',
        help=f'with --once: wait for the first node for at most this time, then {_OTHERS_S:g} s for the others '
        '(default: %(default)s)')
    times.add_argument(
        '--every', type=above_zero, default=1.0, metavar='SECONDS',
        help='seconds between two tables (default: %(default)s)')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON object for each node and each time, in one line')


def run(options: argparse.Namespace) -> int:
    """Show the table."""
    if not options.once:
        require_beside('--once', {'--wait': options.wait != _WAIT_S})
    kind: Any = require('diagnostic_msgs.msg').DiagnosticArray
    reports = Reports()
    with listening('trt_perception_top') as listener:
        listener.subscribe(kind, _TOPIC, reports.add)
        if options.once:
            deadline = time.monotonic() + options.wait
            while not reports.now() and (left := deadline - time.monotonic()) > 0:
                listener.spin(min(left, _POLL_S))
            if reports.now():
                listener.spin(_OTHERS_S)
            _show(reports, options.json)
            if not reports.now():
                raise ParameterError(_nobody(options.wait))
            return 0
        with _Screen(options.json) as show:
            while True:
                listener.spin(options.every)
                show(reports)


def _nobody(seconds: float) -> str:
    domain = os.environ.get('ROS_DOMAIN_ID') or '0'
    return (
        f'no perception node was heard on {_TOPIC} within {seconds:g} s: check that it runs, on a machine in the same '
        f'network and with ROS_DOMAIN_ID {domain}')


class _Screen:
    """Gives a function that shows the reports: a live table of rich, plain tables, or lines of JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._live: Any = None

    def __enter__(self) -> Callable[[Reports], None]:
        if self._as_json or not sys.stdout.isatty():
            return lambda reports: _show(reports, self._as_json)
        try:
            from rich.live import Live
        except ImportError:
            return _redraw
        self._live = Live(auto_refresh=False, screen=True)
        self._live.__enter__()
        return lambda reports: self._live.update(_rich_table(reports.now()), refresh=True)

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.__exit__(*error)


def _redraw(reports: Reports) -> None:
    print(_HOME + _table(reports.now(), shutil.get_terminal_size().columns), flush=True)


def _show(reports: Reports, as_json: bool) -> None:
    now = reports.now()
    if as_json:
        for report in now:
            print(json.dumps(record(report, reports.silent_s(report))), flush=True)
    elif now or sys.stdout.isatty():
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        print(_table(now, width), flush=True)


def _table(reports: Sequence[Report], width: int) -> str:
    """Return the table as text. width: cut lines that are longer, 0 for no limit."""
    cells = [[printable(cell) for cell in row] for row in rows(reports)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        '  '.join(
            cell.rjust(size) if 3 <= column <= 9 else cell.ljust(size)
            for column, (cell, size) in enumerate(zip(row, widths))).rstrip()
        for row in cells]
    nodes = len({report.of for report in reports})
    heading = f'{time.strftime("%H:%M:%S")}  {nodes} perception node{"" if nodes == 1 else "s"}'
    return '\n'.join(line[:width] if width else line for line in [heading, *lines])


def _rich_table(reports: Sequence[Report]) -> Any:
    from rich.table import Table
    from rich.text import Text

    headings, *others = rows(reports)
    table = Table(title=f'{time.strftime("%H:%M:%S")}  perception nodes on {_TOPIC}', expand=True)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify='right' if 3 <= column <= 9 else 'left', no_wrap=column < len(headings) - 1)
    for row in others:
        level = row[1]
        table.add_row(
            Text(printable(row[0])), Text(level, style=_COLORS.get(level, '')),
            *(Text(printable(cell)) for cell in row[2:]))
    return table
