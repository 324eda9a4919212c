# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the user wants of an annotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..image.options import DEFAULT, ImageOptions
from .selection import Selection
from .tracks import Tracking

BAG, JSON, COCO, PARQUET, VIDEO = 'bag', 'json', 'coco', 'parquet', 'video'
FORMATS = (BAG, JSON, COCO, PARQUET, VIDEO)
# Those whose outputs need the pixels of images; the others need the results alone.
NEEDS_PIXELS = frozenset({COCO, VIDEO})


@dataclass(frozen=True)
class AnnotateOptions:
    """The options for all bags of one run.

    topics: image topics; () for all that a bag has
    formats: of FORMATS
    annotations: the bag has foxglove_msgs/ImageAnnotations too
    merge: the bag has a copy of all messages of the recording too
    selection: the images that COCO takes
    tracking: objects get ids; None: they do not
    images: how images are read
    settings: of the model, of the thresholds and of all above, as JSON values: another run with the same settings and
        bag has the same results
    about: further JSON values for the provenance
    """

    topics: tuple[str, ...] = ()
    formats: tuple[str, ...] = (BAG, JSON)
    annotations: bool = True
    merge: bool = False
    selection: Selection = field(default_factory=Selection)
    tracking: Tracking | None = None
    images: ImageOptions = DEFAULT
    settings: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
