# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ByteTrack: gives the detections of a camera ids that stay from image to image.

The method is that of Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022:
detections are matched with the predicted boxes of known objects in three rounds. Different here: the prediction uses
the real time between two images, boxes grow with the uncertainty of the prediction in two more rounds, a track is
forgotten after a time and not after a number of images, and a detection of another class needs a much larger overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..results.results import Detections
from .assignment import best_pairs
from .motion import POSITION, VARIANCE, VELOCITY, correct, new_states, predict
from .overlap import centres, corners, overlapping

# The smallest IoU of a detection and the predicted box of its object: of a detection with a high score, of one with a
# low score, and for an object that was seen once.
_HIGH_IOU = 0.1
_LOW_IOU = 0.3
_NEW_IOU = 0.3
# For the boxes that are left, the IoU of boxes that grow on each side by the standard deviation of the predicted
# centre. It finds objects that do not overlap with their prediction, because the time between two images was long.
# C-BIoU (Yang et al., 2023) does this with a fixed growth.
_FAR_IOU = 0.3
# The IoU with an object of another class counts this much less: detectors mistake a car for a truck, but a person on a
# bicycle are two objects.
_OTHER_CLASS = 0.5
# An object gets its id when it is found for the second time: most false detections are found once.
_CONFIRMED = 2
_NO_ID = 0
# The time between two images is at least this: lost objects are forgotten even if a driver stamps all images alike.
_SHORTEST_STEP_NS = 1_000_000
# After a pause of this many buffers between two images, all objects are forgotten.
_LONGEST_PAUSE = 3


class Tracker:
    """The objects that one camera sees. Not for several threads at once."""

    def __init__(self, buffer_s: float = 1.0, predicted_s: float = 0.0) -> None:
        """Start without objects.

        buffer_s: seconds for which an object that is not found keeps its id. It is looked for in at least one image, if
            that comes within three times as long
        predicted_s: seconds for which the predicted box of an object that is not found is returned too
        """
        self._buffer_ns = round(buffer_s * 1e9)
        self._predicted_ns = round(predicted_s * 1e9)
        self._next_id = 1
        self._view: tuple[tuple[int, int], str] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all objects. Their ids are not given again."""
        self._stamp: int | None = None
        # The tracker's own time in nanoseconds.
        self._now = 0
        self._states = np.zeros((0, 5, 4))
        self._ids = np.zeros(0, np.int64)
        self._hits = np.zeros(0, np.int64)
        self._seen = np.zeros(0, np.int64)
        self._classes = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Return the number of objects with an id that are found or not yet forgotten."""
        return int((self._ids != _NO_ID).sum())

    def update(
        self, detections: Detections, stamp_ns: int, size: tuple[int, int], score: float = 0.0, camera: str = '',
        reported: Callable[[Detections], Detections] | None = None,
    ) -> Detections:
        """Return the detections of the next image with ids: those with at least this score.

        detections: of one image; stamp_ns: its time in nanoseconds; size: its width and height in pixels
        score: detections below it continue the track of a known object, and are not returned
        camera: such as the frame_id
        reported: returns those of the predicted boxes that may be returned, None for all

        All objects are forgotten if the time goes back, or if the size or the camera changes. The result has the same
        boxes, scores and classes in the same order, and `ids`. An object that was found once has no id yet. With
        predicted_s, the predicted boxes follow, with score 0.
        """
        if (size, camera) != self._view or (self._stamp is not None and stamp_ns < self._stamp):
            self.reset()
        self._view = size, camera
        last = self._now
        self._advance(stamp_ns)
        predict(self._states, (self._now - last) / 1e9)
        partners = self._partners(detections, score, last)
        found = partners >= 0
        ids = np.zeros(len(detections), np.int64)
        self._continue(detections, partners, found)
        ids[partners[found]] = self._ids[found]
        strong = detections.scores >= score
        new = strong.copy()
        new[partners[found]] = False
        self._keep(found | (self._ids != _NO_ID))
        self._start(detections, new)
        result = replace(detections, ids=ids)
        if not strong.all():
            result = result.chosen(np.flatnonzero(strong))
        return self._with_predicted(result, size, reported) if self._predicted_ns else result

    def _advance(self, stamp_ns: int) -> None:
        """Go on to the time of the next image, and forget objects that were not found for long."""
        step = 0 if self._stamp is None else stamp_ns - self._stamp
        self._stamp = stamp_ns
        last = self._now
        self._now += max(step, _SHORTEST_STEP_NS)
        # The images may come seldom: an object of the last one gets its chance in this one.
        kept = (self._now - self._seen <= self._buffer_ns) | (self._seen == last)
        self._keep(kept & (self._now - last <= _LONGEST_PAUSE * self._buffer_ns))

    def _partners(self, detections: Detections, score: float, last: int) -> np.ndarray:
        """Return the index of the detection of each object, (T,) int64, -1 without one."""
        partners = np.full(len(self._ids), -1)
        if not len(partners) or not len(detections):
            return partners
        free = np.ones(len(detections), bool)
        strong = detections.scores >= score
        confirmed = self._ids != _NO_ID
        overlap = self._similar(detections, partners < 0, free)

        def match(objects: np.ndarray, found: np.ndarray, smallest: float, grown: bool = False) -> None:
            objects, found = objects & (partners < 0), found & free
            if not objects.any() or not found.any():
                return
            rows, columns, similar = self._similar(detections, objects, found, True) if grown else overlap
            kept = np.flatnonzero(objects[rows] & found[columns])
            rows, columns = best_pairs(rows[kept], columns[kept], similar[kept] - smallest)
            partners[rows] = columns
            free[columns] = False

        tracked = self._seen == last
        match(confirmed, strong, _HIGH_IOU)
        match(confirmed & tracked, strong, _FAR_IOU, grown=True)
        match(confirmed & tracked, ~strong, _LOW_IOU)
        match(~confirmed, strong, _NEW_IOU)
        match(~confirmed, strong, _FAR_IOU, grown=True)
        return partners

    def _similar(
        self, detections: Detections, objects: np.ndarray, found: np.ndarray, grown: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the chosen objects and detections that overlap, (K,) indices of both, and how similar they are."""
        rows, columns = np.flatnonzero(objects), np.flatnonzero(found)
        margins = np.sqrt(self._states[rows, VARIANCE, :2]) if grown else None
        row, column, similar = overlapping(
            corners(self._states[rows, POSITION]), detections.boxes[columns].astype(np.float64), margins)
        rows, columns = rows[row], columns[column]
        return rows, columns, similar - _OTHER_CLASS * (self._classes[rows] != detections.class_indices[columns])

    def _continue(self, detections: Detections, partners: np.ndarray, found: np.ndarray) -> None:
        chosen = partners[found]
        self._states[found] = correct(self._states[found], centres(detections.boxes[chosen]))
        # What is out of sight does not go on growing.
        self._states[~found, VELOCITY, 2:] = 0.0
        self._seen[found] = self._now
        self._classes[found] = detections.class_indices[chosen]
        self._hits[found] += 1
        named = np.flatnonzero(found & (self._hits >= _CONFIRMED) & (self._ids == _NO_ID))
        # In the order of the detections, so by score.
        named = named[partners[named].argsort()]
        self._ids[named] = np.arange(self._next_id, self._next_id + len(named))
        self._next_id += len(named)

    def _start(self, detections: Detections, new: np.ndarray) -> None:
        count = int(new.sum())
        if not count:
            return
        self._states = np.concatenate([self._states, new_states(centres(detections.boxes[new]))])
        self._ids = np.concatenate([self._ids, np.full(count, _NO_ID)])
        self._hits = np.concatenate([self._hits, np.ones(count, np.int64)])
        self._seen = np.concatenate([self._seen, np.full(count, self._now)])
        self._classes = np.concatenate([self._classes, detections.class_indices[new]])

    def _keep(self, kept: np.ndarray) -> None:
        if kept.all():
            return
        self._states, self._ids, self._hits = self._states[kept], self._ids[kept], self._hits[kept]
        self._seen, self._classes = self._seen[kept], self._classes[kept]

    def _with_predicted(
        self, found: Detections, size: tuple[int, int], reported: Callable[[Detections], Detections] | None,
    ) -> Detections:
        assert found.ids is not None
        missed = (self._ids != _NO_ID) & (self._now - self._seen <= self._predicted_ns) & ~np.isin(self._ids, found.ids)
        boxes = np.clip(corners(self._states[:, POSITION]), 0, [*size, *size]).astype(np.float32)
        # Those that have left the image are not predicted.
        missed &= (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        ids = self._ids[missed]
        predicted = Detections(boxes[missed], np.zeros(len(ids), np.float32), self._classes[missed], ids)
        if reported is not None:
            predicted = reported(predicted)
        assert predicted.ids is not None
        return Detections(
            np.concatenate([found.boxes, predicted.boxes]),
            np.concatenate([found.scores, predicted.scores]),
            np.concatenate([found.class_indices, predicted.class_indices]),
            np.concatenate([found.ids, predicted.ids]),
            None if found.masks is None else found.masks.with_empty(len(predicted)))
