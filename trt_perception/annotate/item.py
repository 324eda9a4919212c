# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An image of a bag with its result, as the outputs take it."""

from __future__ import annotations

from dataclasses import dataclass

from ..image.frame import Frame
from ..results.results import Result


@dataclass(frozen=True)
class BagImage:
    """An image of a bag.

    topic: its image topic; index: number of the message in its topic, from 0
    log_ns, publish_ns: times of recording and of publishing, in nanoseconds; the same if the bag has one of them only
    sec, nanosec, frame_id: of the message's header
    frame: its pixels
    """

    topic: str
    index: int
    log_ns: int
    publish_ns: int
    sec: int
    nanosec: int
    frame_id: str
    frame: Frame

    @property
    def stamp_ns(self) -> int:
        """The header's stamp in nanoseconds. The time of recording if the driver set none, which is a stamp of 0."""
        return self.sec * 1_000_000_000 + self.nanosec or self.log_ns


@dataclass(frozen=True)
class Annotated:
    """An image and what the model found in it."""

    image: BagImage
    result: Result
