# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the driver and the workers send each other: paths, numbers and short texts, never pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..annotate.annotate_bag import Counts
from ..annotate.known_files import BagFile
from ..sources.bag_recording import BagPart

# What failed: a bag cannot be read, an output cannot be written, anything else.
BAG, OUTPUT, WORKER = 'bag', 'output', 'worker'


@dataclass(frozen=True)
class Ready:
    """A worker has opened its model. warnings: lines of that"""

    host: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """A bag was read once. parts: of it, with `images` messages each"""

    run: str
    files: list[BagFile]
    parts: list[BagPart]
    images: list[int]


@dataclass(frozen=True)
class Span:
    """Images of a task, and the times of recording of the first and the last of them, in nanoseconds."""

    images: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def joined(self, other: Span) -> Span:
        """Return both together."""
        if not self.images or not other.images:
            return self if self.images else other
        return Span(
            self.images + other.images, min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns))


@dataclass(frozen=True)
class Annotated:
    """The outputs of a bag are complete. record: annotation.json; lines: about what could not be read"""

    counts: Counts
    record: Mapping[str, Any]
    lines: list[str]
    span: Span = field(default_factory=Span)


@dataclass(frozen=True)
class Failure:
    """A task failed. what: BAG, OUTPUT or WORKER; text: one line; replace: the process cannot be used any longer"""

    what: str
    text: str
    replace: bool = False
