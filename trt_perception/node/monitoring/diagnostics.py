# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes one diagnostic_msgs message from statistics, health and provenance."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ...errors import printable
from .health import CameraReport, Level
from .statistics import PERCENTILES, Snapshot

# Stages in the order of processing; times are in milliseconds.
STAGES = (
    'receive_age', 'convert', 'preprocess', 'infer', 'postprocess', 'publish', 'total',
    'stamp_to_publish')
# 'damaged' counts images that are in 'bad' or 'processed' too, depending on damaged_images.
COUNTS = ('received', 'processed', 'replaced', 'stale', 'bad', 'failed', 'skipped', 'damaged')
# DiagnosticStatus.level is a byte.
LEVELS = {
    Level.OK: DiagnosticStatus.OK, Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR}


def status_name(node: str, kind: str = 'perception') -> str:
    """Return the name of the status of a node, given its full name and what it does.

    Without the slash at the beginning: diagnostic_aggregator turns slashes into blanks, and the name would begin with
    one.
    """
    return f'{node.lstrip("/")}: {kind}'


def diagnostics_message(
    name: str, stamp: Time, level: Level, reason: str, state: str, snapshot: Snapshot,
    camera: CameraReport | None, provenance: Mapping[str, str],
) -> DiagnosticArray:
    """Return a message with one status; see status_of."""
    message = DiagnosticArray(status=[status_of(name, level, reason, state, snapshot, camera, provenance)])
    message.header.stamp = stamp
    return message


def status_of(
    name: str, level: Level, reason: str, state: str, snapshot: Snapshot, camera: CameraReport | None,
    provenance: Mapping[str, str], camera_name: str = '',
) -> DiagnosticStatus:
    """Return one status with all measured values.

    name: the node's full name; camera_name: of one of several cameras, '' for the node
    """
    values = {'state': state, **provenance}
    if camera is not None:
        values['image_topic'] = camera.topic
        values['image_publishers'] = ', '.join(camera.publishers)
        values['missing_fraction'] = f'{camera.missing_fraction:.3f}'
    values['rate_in_hz'] = f'{snapshot.rates.get("received", 0.0):.2f}'
    values['rate_out_hz'] = f'{snapshot.rates.get("processed", 0.0):.2f}'
    for count in COUNTS:
        values[count] = str(snapshot.counts.get(count, 0))
    for stage in STAGES:
        if stage in snapshot.stages:
            for percentile, value in zip(PERCENTILES, snapshot.stages[stage]):
                values[f'{stage}_ms_p{percentile}'] = f'{value:.3f}'
    return DiagnosticStatus(
        level=LEVELS[level], name=f'{status_name(name)} {camera_name}'.rstrip(), message=printable(reason),
        # Before configure, the device is not chosen yet.
        hardware_id=printable(provenance.get('device') or platform.node() or 'unknown'),
        values=[KeyValue(key=key, value=printable(value)) for key, value in values.items()])
