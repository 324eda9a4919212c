# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's health: one level and one line, computed from measurements. Does not import ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

SILENCE_S = 5.0
MISSING_FRACTION = 0.1
# A larger difference between stamps and clock means another clock, not a late frame.
_CLOCK_SKEW_MS = 10_000.0
LARGE_IMAGES_HINT = (
    'large images are lost between processes by default: start the camera and this node with the Fast DDS '
    'profile config/fastdds_large_images.xml (README, Large images)')


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class CameraReport:
    """The state of the image topic at one moment.

    topic: the resolved name; publishers: the node name of each publisher, or a note that it is not discovered yet
    incompatible: a sentence for each publisher whose QoS or type does not match
    silent_s: seconds since the last frame, or since the subscription if no frame has come
    missing_fraction: estimated fraction of the camera's frames that did not arrive
    elsewhere: a sentence that replaces the advice if no node publishes the topic, for example because another topic
        has the images; '' for the general advice
    """

    topic: str
    publishers: tuple[str, ...]
    incompatible: tuple[str, ...]
    silent_s: float
    missing_fraction: float
    elsewhere: str = ''


@dataclass(frozen=True)
class Condition:
    """The inputs of `assess`.

    state: label of the lifecycle state; error: reason why the last transition failed, or ''
    recent: events per second over the window, by name (received, processed, stale, bad, failed)
    last_failure: error text of the last failed frame
    precision_wanted, precision_effective: precision of the network, '' if unconfigured
    age_p50_ms: median age of the images on arrival by their stamps, None without images
    activity: the step that configure is doing, or ''
    image_note: what is unusual about the images, or ''
    """

    state: str
    error: str
    camera: CameraReport | None
    recent: Mapping[str, float]
    last_failure: str
    precision_wanted: str
    precision_effective: str
    age_p50_ms: float | None
    activity: str = ''
    image_note: str = ''


def assess(condition: Condition) -> tuple[Level, str]:
    """Return the level and the most important reason."""
    if condition.error:
        return Level.ERROR, condition.error
    if condition.state == 'configuring' and condition.activity:
        return Level.WARN, f'configuring: {condition.activity}'
    if condition.state != 'active':
        return Level.WARN, f'{condition.state}: no images are processed until the node is activated'
    # Bad images come before gaps: a gap is only an estimate, and a camera that skips frames looks the same.
    findings = [
        *_topic_findings(condition.camera), *_frame_findings(condition), *_gap_findings(condition.camera),
        *_late_findings(condition), *_precision_findings(condition)]
    if not findings:
        return Level.OK, f'processing {condition.recent.get("processed", 0.0):.1f} images/s'
    level = max(level for level, _ in findings)
    return level, next(reason for found, reason in findings if found == level)


def _topic_findings(camera: CameraReport | None) -> list[tuple[Level, str]]:
    if camera is None:
        return []
    findings = [(Level.ERROR, reason) for reason in camera.incompatible]
    if camera.silent_s >= SILENCE_S:
        if not camera.publishers:
            what = (
                f'no images for {camera.silent_s:.0f} s: no node publishes {camera.topic}; '
                f'{camera.elsewhere or "check the camera and the topic name (ros2 topic list)"}')
        else:
            what = (
                f'no images for {camera.silent_s:.0f} s on {camera.topic}, published by '
                f'{", ".join(camera.publishers)}: the camera is silent, or its frames do not '
                f'arrive ({LARGE_IMAGES_HINT})')
        findings.append((Level.WARN, what))
    return findings


def _gap_findings(camera: CameraReport | None) -> list[tuple[Level, str]]:
    if camera is None or camera.missing_fraction <= MISSING_FRACTION:
        return []
    return [(
        Level.WARN,
        f'according to the stamps, about {camera.missing_fraction:.0%} of the frames of {camera.topic} do not arrive, '
        f'or the camera skips them: {LARGE_IMAGES_HINT}')]


def _frame_findings(condition: Condition) -> list[tuple[Level, str]]:
    findings = []
    recent = condition.recent
    if recent.get('failed', 0.0) > 0:
        findings.append((Level.ERROR, f'inference fails: {condition.last_failure}'))
    if recent.get('bad', 0.0) > 0:
        findings.append((Level.WARN, f'bad images: {condition.last_failure}'))
    elif recent.get('damaged', 0.0) > 0:
        findings.append((Level.WARN, f'damaged images are processed: {condition.last_failure}'))
    if condition.image_note:
        findings.append((Level.WARN, condition.image_note))
    return findings


def _late_findings(condition: Condition) -> list[tuple[Level, str]]:
    findings = []
    recent = condition.recent
    if recent.get('stale', 0.0) > 0:
        findings.append((
            Level.WARN,
            f'{recent["stale"]:.1f} images/s are older than max_age_ms and dropped'))
    if condition.age_p50_ms is not None and abs(condition.age_p50_ms) > _CLOCK_SKEW_MS:
        findings.append((
            Level.WARN,
            f'image stamps are {condition.age_p50_ms / 1e3:.0f} s from the clock: synchronise the '
            'clocks, or for a bag play it with --clock and set use_sim_time'))
    return findings


def _precision_findings(condition: Condition) -> list[tuple[Level, str]]:
    if not condition.precision_effective or condition.precision_wanted == condition.precision_effective:
        return []
    return [(
        Level.WARN,
        f'precision {condition.precision_wanted} was requested, but the network runs in '
        f'{condition.precision_effective}')]
