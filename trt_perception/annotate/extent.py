# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much of a run over several bags is done, and how much is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from .one_bag import OpenBag
from .options import AnnotateOptions
from .store import Store, content_of


@dataclass(frozen=True)
class State:
    """How far a run is.

    name: of the bag in work
    bags_done: those that are finished, also those of an earlier run; bags: all
    images: messages done by this run; total: of all bags that this run annotates, as far as they are known
    is_known: whether `total` has all of them
    """

    name: str
    bags_done: int
    bags: int
    images: int
    total: int
    is_known: bool


StateCallback = Callable[[State], None]


def no_state(state: State) -> None:
    """A StateCallback that does nothing."""


class Extent:
    """The bags of a run, with the messages that each has to annotate. One bag after the other is done."""

    def __init__(self, images: Sequence[int | None]) -> None:
        """images: messages of each bag, None for an unknown number, 0 for a bag that is finished."""
        self._images = list(images)
        # Of all bags, since a fleet has thousands of them and the state is asked for after each image.
        self._left = sum(number or 0 for number in images)
        self._unknown = sum(number is None for number in images)
        self._finished = sum(number == 0 for number in images)
        self._done = self._in_work = 0

    @classmethod
    def of(cls, bags: Sequence[Path], store: Store, options: AnnotateOptions) -> Extent:
        """Look at all bags; none is read as a whole for that. Of one that cannot be opened the number is unknown."""
        return cls([_images_of(path, store, options) for path in bags])

    def state(self, bag: int, name: str, done: int, total: int) -> State:
        """Return the state while a bag is in work.

        bag: its place in the list, from 0; done: messages; total: of this bag, as it was counted when it was opened
        """
        self._set(bag, max(total, done))
        self._in_work = done
        return State(
            name, self._finished, len(self._images), self._done + done, self._done + self._left, not self._unknown)

    def finish(self, bag: int) -> None:
        """Count a bag as done, with the messages of its last state; none if it was skipped."""
        self._set(bag, 0)
        self._done += self._in_work
        self._in_work = 0

    def _set(self, bag: int, images: int) -> None:
        before = self._images[bag]
        if images != before:
            self._images[bag] = images
            self._left += images - (before or 0)
            self._unknown -= before is None
            self._finished += (images == 0) - (before == 0)


def _images_of(path: Path, store: Store, options: AnnotateOptions) -> int | None:
    try:
        bag = OpenBag.of(path, options, counted=True)
    except (SourceError, OSError):
        return None  # Its turn says why, or it is there by then.
    files = store.files.unchanged(bag.reader.storage_files)
    if files is not None and store.finished(content_of(files), bag.run) is not None:
        return 0
    return sum(topic.count for topic in bag.topics)
