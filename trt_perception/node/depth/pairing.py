# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the depth image of the time of the detections. Does not import ROS.

message_filters pairs each message once and in order, and keeps all that wait. Here the newest detections win, and depth
images are kept until the network has found what is in the image of their time. So this node has its own pairing, also
where message_filters is installed: one way, which the tests run.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stamped:
    """A serialized message and its stamp in nanoseconds.

    masks: of detections, the serialized masks of the same image, if they are used
    """

    stamp_ns: int
    data: bytes
    masks: bytes | None = None


@dataclass(frozen=True)
class Pair:
    """Detections and the depth image whose stamp is nearest."""

    detections: Stamped
    depth: Stamped


@dataclass(frozen=True)
class Outcome:
    """What a message settled.

    pair: None if no detections got their depth image
    unmatched: the number of detections that will never get one
    difference_ns: of the stamps of the last of those and the nearest depth image, None if there was none
    """

    pair: Pair | None = None
    unmatched: int = 0
    difference_ns: int | None = None


class MaskJoin:
    """Puts detections and the masks with the same stamp together. The masks come soon after. For several threads."""

    def __init__(self, length: int) -> None:
        """Prepare. length: number of masks to keep until their detections come: after a pause, many overtake them."""
        self._masks: deque[Stamped] = deque(maxlen=length)
        self._waiting: Stamped | None = None
        self._lock = threading.Lock()

    def add_detections(self, detections: Stamped) -> tuple[Stamped | None, bool]:
        """Return the detections with their masks, None if these may still come, and whether older ones have none."""
        with self._lock:
            lost, self._waiting = self._waiting is not None, None
            for masks in list(self._masks):
                if masks.stamp_ns == detections.stamp_ns:
                    # These and those before them: their detections have come, or were lost.
                    while self._masks.popleft() is not masks:
                        pass
                    return replace(detections, masks=masks.data), lost
            self._waiting = detections
            return None, lost

    def add_masks(self, masks: Stamped) -> Stamped | None:
        """Return the detections that waited for these masks."""
        with self._lock:
            detections = self._waiting
            if detections is None or detections.stamp_ns != masks.stamp_ns:
                self._masks.append(masks)
                return None
            self._waiting = None
            return replace(detections, masks=masks.data)

    def drop(self) -> int:
        """Forget the detections that wait. Returns their number."""
        with self._lock:
            dropped, self._waiting = int(self._waiting is not None), None
        return dropped


class Pairing:
    """Keeps the last depth images, and the newest detections if theirs may still come. For several threads."""

    def __init__(self, difference_ns: int, length: int) -> None:
        """Prepare. difference_ns: the largest of the stamps of a pair; length: number of depth images to keep."""
        self._difference_ns = difference_ns
        self._depths: deque[Stamped] = deque(maxlen=length)
        self._waiting: Stamped | None = None
        self._lock = threading.Lock()

    def add_depth(self, depth: Stamped) -> Outcome:
        """Add a depth image."""
        with self._lock:
            if self._depths and depth.stamp_ns < self._depths[-1].stamp_ns:
                # A bag begins again, or the clock was set back.
                self._depths.clear()
            self._depths.append(depth)
            return self._settled()

    def add_detections(self, detections: Stamped) -> Outcome:
        """Add detections. Older ones wait no longer."""
        with self._lock:
            before, self._waiting = self._waiting, detections
            now = self._settled()
            if before is None:
                return now
            late = self._nearest(before)
            if now.pair is None:
                # The older ones may have one; the new ones wait or are unmatched.
                return Outcome(
                    late.pair, late.unmatched + now.unmatched,
                    late.difference_ns if now.difference_ns is None else now.difference_ns)
            # The newest wins.
            return Outcome(now.pair, 1, late.difference_ns)

    def drop(self) -> int:
        """Forget the detections that wait. Returns their number."""
        with self._lock:
            dropped, self._waiting = int(self._waiting is not None), None
        return dropped

    def _settled(self) -> Outcome:
        """Settle the waiting detections if no nearer depth image can come."""
        waiting = self._waiting
        if waiting is None or not self._depths or self._depths[-1].stamp_ns < waiting.stamp_ns:
            return Outcome()
        self._waiting = None
        return self._nearest(waiting)

    def _nearest(self, detections: Stamped) -> Outcome:
        if not self._depths:
            return Outcome(unmatched=1)
        depth = min(self._depths, key=lambda depth: abs(depth.stamp_ns - detections.stamp_ns))
        difference_ns = abs(depth.stamp_ns - detections.stamp_ns)
        if difference_ns > self._difference_ns:
            return Outcome(unmatched=1, difference_ns=difference_ns)
        return Outcome(Pair(detections, depth))
