# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's health: one level and one line, computed from measurements. Does not import ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from .liveness import Progress
from .middleware import large_images_advice
from .processor_wait import ProcessorWait
from .stamps import RosTime, StampReport, stamp_reason
from .statistics import Snapshot

SILENCE_S = 5.0
MISSING_FRACTION = 0.1
# Without a result for this long although this many images were dropped, nothing works, and it is more than a warning.
_FRUITLESS_S = 5.0
_FEWEST_DROPPED = 3
# Of the received images: fewer that are replaced or stale are no reason for a warning.
_MANY_LOST = 0.1
# Configure reports several times a second while an engine is built or a model is converted. Loading reports nothing.
STANDSTILL_S = 10.0


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
    device_fallback: why the network runs on the CPU although a GPU is wanted, or ''
    precision_wanted, precision_effective: precision of the network, '' if unconfigured
    activity: the step that configure is doing, or ''; unchanged_s: seconds since it changed
    image_note: what is unusual about the images, or ''
    progress: of the frames, None if the node is not active; stamps: of the images, None without images
    ros_time: the node's clock; twin: a sentence about another node with the same name, or ''
    middleware: its identifier, such as rmw_fastrtps_cpp
    idle: whether the node is not subscribed because no output has a subscriber
    processor: how long the threads of the node wait for a processor
    """

    state: str
    error: str
    camera: CameraReport | None
    recent: Mapping[str, float]
    last_failure: str
    precision_wanted: str
    precision_effective: str
    activity: str = ''
    image_note: str = ''
    unchanged_s: float = 0.0
    progress: Progress | None = None
    stamps: StampReport | None = None
    ros_time: RosTime = field(default_factory=RosTime)
    twin: str = ''
    middleware: str = ''
    idle: bool = False
    device_fallback: str = ''
    processor: ProcessorWait = field(default_factory=ProcessorWait)


def assess(condition: Condition) -> tuple[Level, str]:
    """Return the level and the most important reason. In a state without frames, a twin is added to the reason."""
    if condition.progress is not None and condition.progress.stuck:
        return Level.ERROR, condition.progress.reason
    if condition.error:
        return Level.ERROR, condition.error
    if condition.state != 'active':
        return Level.WARN, '; '.join(filter(None, (_waiting(condition), condition.twin)))
    # Bad images come before gaps: a gap is only an estimate, and a camera that skips frames looks the same.
    findings = [
        *_topic_findings(condition), *_fruitless_findings(condition), *_frame_findings(condition),
        *([(Level.WARN, condition.twin)] if condition.twin else []),
        *_stamp_findings(condition), *_busy_findings(condition), *_gap_findings(condition), *_late_findings(condition),
        *([(Level.WARN, condition.device_fallback)] if condition.device_fallback else []),
        *_precision_findings(condition)]
    if condition.idle:
        # What happened to the last images says nothing now.
        findings = [
            *([(Level.WARN, condition.twin)] if condition.twin else []),
            *([(Level.WARN, condition.device_fallback)] if condition.device_fallback else []),
            *_precision_findings(condition)]
    if not findings and condition.idle:
        return Level.OK, 'idle: no output has a subscriber, and lazy is true'
    if not findings:
        return Level.OK, f'processing {condition.recent.get("processed", 0.0):.1f} images/s'
    level = max(level for level, _ in findings)
    return level, next(reason for found, reason in findings if found == level)


def assess_together(
    names: Sequence[str], assessed: Sequence[tuple[Level, str]], total: Snapshot,
) -> tuple[Level, str]:
    """Return the worst level of several cameras and the first reason for it, with the name of its camera.

    assessed: the result of `assess` for each camera; total: the sums of all
    """
    level = max(level for level, _ in assessed)
    if level == Level.OK and all(reason.startswith('idle') for _, reason in assessed):
        return assessed[0]
    if level == Level.OK:
        return level, f'processing {total.rates.get("processed", 0.0):.1f} images/s of {len(names)} cameras'
    others = sum(found > Level.OK for found, _ in assessed) - 1
    more = f' (and {others} more of {len(names)} cameras)' if others else ''
    return level, next(
        f'{name}: {reason}{more}' for name, (found, reason) in zip(names, assessed) if found == level)


def _waiting(condition: Condition) -> str:
    if condition.state == 'configuring' and condition.activity:
        seconds = condition.unchanged_s
        standstill = f', without progress for {seconds:.0f} s' if seconds >= STANDSTILL_S else ''
        return f'configuring: {condition.activity}{standstill}'
    return f'{condition.state}: no images are processed until the node is activated'


def _topic_findings(condition: Condition) -> list[tuple[Level, str]]:
    camera = condition.camera
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
                f'arrive ({large_images_advice(condition.middleware)})')
        findings.append((Level.WARN, what))
    return findings


def _fruitless_findings(condition: Condition) -> list[tuple[Level, str]]:
    """Images come and are dropped, all of them: nothing is published, so it is an error."""
    progress = condition.progress
    if progress is None or progress.fruitless_s < _FRUITLESS_S:
        return []
    count = sum(progress.dropped.values())
    if not count and not progress.frame and progress.fruitless_s >= SILENCE_S + progress.expected_s:
        return [(Level.ERROR, f'images are received, but none is processed for {progress.fruitless_s:.0f} s')]
    if count < _FEWEST_DROPPED:
        return []
    outcome = max(progress.dropped, key=lambda name: progress.dropped[name])
    if condition.recent.get(outcome, 0.0) == 0:
        return []
    since = f'no result for {progress.fruitless_s:.0f} s'
    if outcome == 'stale':
        why = stamp_reason(condition.stamps, condition.ros_time) or (
            f'they are {condition.stamps.age_s:.1f} s old on arrival' if condition.stamps else 'they come too late')
        return [(Level.ERROR, f'{since}: all images are older than max_age_ms and dropped ({why})')]
    if outcome == 'bad':
        return [(Level.ERROR, f'bad images: {condition.last_failure} ({since}, all images are bad)')]
    return [(Level.ERROR, f'inference fails: {condition.last_failure} ({since})')]


def _gap_findings(condition: Condition) -> list[tuple[Level, str]]:
    camera = condition.camera
    if camera is None or camera.missing_fraction <= MISSING_FRACTION:
        return []
    return [(
        Level.WARN,
        f'according to the stamps, about {camera.missing_fraction:.0%} of the frames of {camera.topic} do not arrive, '
        f'or the camera skips them: {large_images_advice(condition.middleware)}')]


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


def _busy_findings(condition: Condition) -> list[tuple[Level, str]]:
    """Images are not processed because other programs have the processors."""
    recent = condition.recent
    lost = recent.get('replaced', 0.0) + recent.get('stale', 0.0)
    if not condition.processor.is_much or lost <= _MANY_LOST * recent.get('received', 0.0):
        return []
    return [(
        Level.WARN,
        f'the machine is busy: the threads of this node wait for a processor {condition.processor.waited:.0%} of their '
        f'time, and {lost:.1f} of {recent.get("received", 0.0):.1f} images/s are not processed: end other programs or '
        'give this node a higher priority (nice), raise the CPU limit of its container, or use a smaller model')]


def _stamp_findings(condition: Condition) -> list[tuple[Level, str]]:
    """Stamps that cannot be right, if they are the reason why images are dropped: no other program is to blame."""
    stamps = stamp_reason(condition.stamps, condition.ros_time)
    return [(Level.WARN, stamps)] if stamps and condition.recent.get('stale', 0.0) > 0 else []


def _late_findings(condition: Condition) -> list[tuple[Level, str]]:
    findings = []
    stale = condition.recent.get('stale', 0.0)
    stamps = stamp_reason(condition.stamps, condition.ros_time)
    if stamps:
        findings.append((Level.WARN, stamps))
    if stale > 0:
        findings.append((Level.WARN, f'{stale:.1f} images/s are older than max_age_ms and dropped'))
    return findings


def _precision_findings(condition: Condition) -> list[tuple[Level, str]]:
    if not condition.precision_effective or condition.precision_wanted == condition.precision_effective:
        return []
    return [(
        Level.WARN,
        f'precision {condition.precision_wanted} was requested, but the network runs in '
        f'{condition.precision_effective}')]
