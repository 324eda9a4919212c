# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The bags that a driver has in work, with their unfinished folders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..annotate.errors import writing
from ..annotate.store import Store, content_of
from ..unfinished import part_folder
from .messages import Survey


@dataclass
class BagInWork:
    """A bag.

    number: in the schedule; images: about; survey, place: when they are known
    """

    number: int
    path: Path
    name: str
    run: str
    images: int
    survey: Survey = field(default_factory=lambda: Survey('', [], [], []))
    place: Path = Path()
    folders: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    spool: Path | None = None

    def new_folder(self, store: Store) -> Path:
        """Return an empty folder for the outputs; it is removed when the bag is closed, unless it got its place."""
        return self.folders.enter_context(store.new(self.place))

    def part(self, number: int) -> Path:
        """Return the file for the results of a part. Raises AnnotateError."""
        if self.spool is None:
            with writing(self.place.parent):
                self.spool = self.folders.enter_context(part_folder(self.place.parent, self.place.name))
        return self.spool / f'{number:06d}.jsonl'

    def parts(self) -> list[Path]:
        """Return the files of all parts, in order."""
        return [self.part(number) for number in range(len(self.survey.parts))]


class BagsInWork:
    """All of them. A context manager: the end removes what is unfinished.

    Bags of the same name get their folders in the order in which they were given, and of bags of the same content only
    one is in work at a time, as if one process took one after the other.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.bags: list[BagInWork] = []
        self._open: set[int] = set()
        self._by_name: dict[str, list[int]] = {}
        self._surveyed: set[int] = set()
        self._held: set[int] = set()
        self._contents: dict[str, int] = {}

    @property
    def left(self) -> int:
        """How many are not closed."""
        return len(self._open)

    def add(self, path: Path, name: str, run: str, images: int) -> None:
        """Add a bag."""
        number = len(self.bags)
        self.bags.append(BagInWork(number, path, name, run, images))
        self._open.add(number)
        self._by_name.setdefault(name, []).append(number)

    def surveyed(self, bag: BagInWork, survey: Survey) -> list[BagInWork]:
        """Store the survey of a bag. Returns the bags that can go on now: this one and others, or none."""
        self._surveyed.add(bag.number)
        bag.survey = survey
        self._held.add(bag.number)
        return list(self._free(bag.name))

    def close(self, bag: BagInWork) -> list[BagInWork]:
        """Remove what is unfinished of a bag; returns those that waited for it."""
        bag.folders.close()
        self._open.discard(bag.number)
        self._held.discard(bag.number)
        names = {bag.name}
        if bag.survey.files:
            content = content_of(bag.survey.files)
            if self._contents.get(content) == bag.number:
                del self._contents[content]
                held = [self.bags[number] for number in self._held]
                names |= {other.name for other in held if content_of(other.survey.files) == content}
        return [other for name in sorted(names) for other in self._free(name)]

    def __enter__(self) -> BagsInWork:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is unfinished."""
        for number in sorted(self._open):
            self.bags[number].folders.close()

    def _free(self, name: str) -> Iterator[BagInWork]:
        for number in self._by_name[name]:
            if number in self._held:
                content = content_of(self.bags[number].survey.files)
                if self._contents.setdefault(content, number) != number:
                    return
                self._held.discard(number)
                yield self.bags[number]
            elif number in self._open and number not in self._surveyed:
                return
