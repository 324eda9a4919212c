# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The health of detections_3d_node: one level and one line. Does not import ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..monitoring.health import SILENCE_S, Level

# Part of the detections of the last seconds that may stay without depth image or place.
_MANY = 0.5


@dataclass(frozen=True)
class Input:
    """One of the three topics: its resolved name, the number of its publishers, seconds since its last message."""

    topic: str
    publishers: int
    silent_s: float


@dataclass(frozen=True)
class Condition:
    """The inputs of `assess`.

    state: label of the lifecycle state; error: reason why the last transition failed, or ''
    inputs: empty unless the node is active
    rates: events per second over the last seconds, by name (received, processed, unmatched, bad)
    difference_s: of the stamps of the last detections without depth image, None if there was no depth image
    limit_s: the parameter max_stamp_difference; last_failure: reason of the last bad messages, or ''
    """

    state: str
    error: str
    inputs: tuple[Input, ...]
    rates: Mapping[str, float]
    difference_s: float | None
    limit_s: float
    last_failure: str


def assess(now: Condition) -> tuple[Level, str]:
    """Return the level and the reason in one line."""
    if now.error and now.state == 'unconfigured':
        return Level.ERROR, now.error
    if now.state != 'active':
        return Level.OK, f'{now.state}: no detections are processed'
    findings = [*_bad(now), *_silent(now), *_unmatched(now)]
    # An error comes first: what is wrong with messages that come says more than a topic that is silent.
    return max(findings, key=lambda finding: finding[0], default=(
        Level.OK, f'{now.rates.get("processed", 0.0):.1f} results a second'))


def _bad(now: Condition) -> list[tuple[Level, str]]:
    bad, received = now.rates.get('bad', 0.0), now.rates.get('received', 0.0)
    if received and bad > _MANY * received:
        return [(Level.ERROR, f'most detections cannot be placed: {now.last_failure}')]
    return [(Level.WARN, f'some detections cannot be placed: {now.last_failure}')] if now.last_failure and bad else []


def _silent(now: Condition) -> list[tuple[Level, str]]:
    return [(
        Level.WARN,
        f'no node publishes {source.topic}: check the name of the topic (ros2 topic list)' if not source.publishers else
        f'no message on {source.topic} for {source.silent_s:.0f} s, although it has a publisher',
    ) for source in now.inputs if source.silent_s >= SILENCE_S]


def _unmatched(now: Condition) -> list[tuple[Level, str]]:
    received = now.rates.get('received', 0.0)
    if not received or now.rates.get('unmatched', 0.0) <= _MANY * received:
        return []
    return [(
        Level.WARN,
        'most detections have no depth image of their time' + (
            '' if now.difference_s is None else
            f': the nearest differs by {now.difference_s:.3f} s, and max_stamp_difference is {now.limit_s:g} s'))]
