# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What perception nodes say on /diagnostics: one row for each. Does not import ROS."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What follows the name of a node in the name of its status: perception_node, detections_3d_node.
_TASKS = (': perception', ': detections_3d')
_LEVELS = ('OK', 'WARN', 'ERROR', 'STALE')
STALE = 'STALE'
_DROPPED = ('replaced', 'stale', 'bad', 'failed', 'unmatched')
# Without a message for this long, or for three times the period of the node, it is stale.
_SILENT_S = 5.0
_PERIODS = 3
HEADINGS = (
    'node', 'level', 'state', 'in/s', 'out/s', 'age p50', 'age p99', 'network', 'dropped', 'missing', 'backend',
    'reason')


@dataclass(frozen=True)
class Report:
    """The newest status of a node, or of one of its cameras if it has several.

    node: its name, with that of the camera: 'detector', 'detector /front'; camera: of several, '' for the node
    level: OK, WARN, ERROR, or STALE if the node is silent; values: by key, as the node publishes them
    seen: when it came, in seconds of the monotonic clock; period: seconds since the one before, 0 for the first
    """

    node: str
    level: str
    reason: str
    values: Mapping[str, str]
    seen: float
    period: float = 0.0
    camera: str = ''

    @property
    def of(self) -> str:
        """The name of the node."""
        return self.node.removesuffix(f' {self.camera}') if self.camera else self.node

    def number(self, key: str) -> float | None:
        """Return a value as a number, None if the node does not publish it."""
        try:
            number = float(self.values[key])
        except (KeyError, ValueError):
            return None
        return number if math.isfinite(number) else None

    @property
    def dropped(self) -> int | None:
        """Images since activation without a result: replaced by a newer one, stale, bad, failed, or without depth."""
        counts = [self.number(key) for key in _DROPPED]
        known = [count for count in counts if count is not None]
        return int(sum(known)) if known else None


class Reports:
    """The newest status of each perception node."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: dict[str, Report] = {}

    def add(self, message: Any) -> None:
        """Take a diagnostic_msgs/DiagnosticArray; statuses of other nodes are ignored."""
        heard: set[str] = set()
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            # 'detector: perception', or 'detector: perception front' for one of several cameras.
            task = next((task for task in _TASKS if task in status.name), '')
            if not task or 'state' not in values:
                continue
            name = str(status.name).replace(task, '', 1)
            camera = str(status.name).partition(task)[2].strip()
            heard.add(name)
            # rclpy has the level as bytes of length 1.
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            before, now = self._reports.get(name), self._clock()
            self._reports[name] = Report(
                name, _LEVELS[level] if level < len(_LEVELS) else str(level), str(status.message), values, now,
                0.0 if before is None else now - before.seen, camera)
        # A node reports all its cameras together: one that is missing is not configured any more.
        for name, report in list(self._reports.items()):
            if report.camera and report.of in heard and name not in heard:
                del self._reports[name]

    def now(self) -> list[Report]:
        """Return the reports by name. A node that is silent is STALE."""
        return [self._aged(self._reports[name]) for name in sorted(self._reports)]

    def silent_s(self, report: Report) -> float:
        """Return the seconds since the status came."""
        return self._clock() - report.seen

    def _aged(self, report: Report) -> Report:
        silent = self.silent_s(report)
        if silent <= max(_SILENT_S, _PERIODS * report.period):
            return report
        return Report(
            report.node, STALE, f'nothing heard for {silent:.0f} s; the last was {report.level}: {report.reason}',
            report.values, report.seen, report.period, report.camera)


def rows(reports: Sequence[Report]) -> list[Sequence[str]]:
    """Return the cells of a table, with the row of headings."""
    return [HEADINGS, *(
        (report.node, report.level, report.values.get('state', ''), _cell(report, 'rate_in_hz', 1),
         _cell(report, 'rate_out_hz', 1), _cell(report, 'stamp_to_publish_ms_p50', 1, ' ms'),
         _cell(report, 'stamp_to_publish_ms_p99', 1, ' ms'), _cell(report, 'infer_ms_p50', 1, ' ms'),
         '-' if report.dropped is None else str(report.dropped), _percent(report.number('missing_fraction')),
         report.values.get('backend', '-'), report.reason)
        for report in reports)]


def record(report: Report, silent_s: float) -> dict[str, Any]:
    """Return the object of --json."""
    stages = {key.removesuffix('_ms_p50') for key in report.values if key.endswith('_ms_p50')}
    return {
        'node': report.node, 'level': report.level, 'reason': report.reason, 'silent_s': round(silent_s, 3),
        'rate_in_hz': report.number('rate_in_hz'), 'rate_out_hz': report.number('rate_out_hz'),
        'dropped': report.dropped, 'missing_fraction': report.number('missing_fraction'),
        'ms': {
            stage: {f'p{p}': report.number(f'{stage}_ms_p{p}') for p in (50, 95, 99)} for stage in sorted(stages)},
        'values': dict(report.values)}


def _cell(report: Report, key: str, digits: int, unit: str = '') -> str:
    number = report.number(key)
    return '-' if number is None else f'{number:.{digits}f}{unit}'


def _percent(fraction: float | None) -> str:
    return '-' if fraction is None else f'{fraction:.0%}'
