# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the images of the largest differences: from the bag, from coco/, or from the file that predict read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..annotate.item import BagImage
from ..annotate.reading import numbered, read_image
from ..annotate.topic_files import image_name, topic_file_names
from ..dependencies import require
from ..errors import PerceptionError, printable
from ..image.options import KEEP, ImageOptions
from ..progress import ProgressCallback, silent
from ..results.json_reader import LineResult
from ..sources.bag_reader import BagReader
from ..sources.bag_recording import recorded
from ..sources.open_source import open_source
from .comparison import BagComparison, Comparison
from .inputs import Annotation
from .views import View, view_of, with_pixels


@dataclass(frozen=True)
class Pictures:
    """views: one for each of Comparison.largest; notes: what has no image, and why, for the user"""

    views: tuple[View, ...]
    notes: tuple[str, ...]


def read_pictures(comparison: Comparison, progress: ProgressCallback = silent) -> Pictures:
    """Read the images of the largest differences. Those that are not there any more have no pixels."""
    views = [view_of(item, comparison.options.moved_iou) for item in comparison.largest]
    by_bag: dict[int, list[int]] = defaultdict(list)
    for position, item in enumerate(comparison.largest):
        by_bag[item.bag].append(position)
    notes = []
    for number, positions in by_bag.items():
        bag = comparison.bags[number]
        wanted = {position: comparison.largest[position].image for position in positions}
        reader = _Reader(bag, progress)
        for position, bgr in reader.read(wanted):
            views[position] = with_pixels(views[position], bgr)
        missing = sum(not views[position].jpeg for position in positions)
        if missing:
            why = '; '.join(dict.fromkeys(reader.reasons))
            notes.append(
                f'{printable(bag.name)}: {missing} of {len(positions)} images are not there any more, so their boxes '
                f'are drawn without them{f" ({why})" if why else ""}')
    return Pictures(tuple(views), tuple(notes))


class _Reader:
    """Reads images of one bag. reasons: why some could not be read"""

    def __init__(self, bag: BagComparison, progress: ProgressCallback) -> None:
        self._sides = bag.a, bag.b
        self._progress = progress
        self.reasons: list[str] = []

    def read(self, wanted: dict[int, LineResult]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the position of an image, and its pixels, HxWx3 uint8 BGR; some may be missing."""
        left = dict(wanted)
        ways = (self._from_bag, self._from_coco) if self._sides[0].record else (self._from_source,)
        for way in ways:
            for side in self._sides:
                if not left:
                    return
                try:
                    for position, bgr in way(side, left):
                        if left.pop(position, None) is not None:
                            yield position, bgr
                except (PerceptionError, OSError) as error:
                    self.reasons.append(str(error))

    def _from_bag(self, side: Annotation, wanted: dict[int, LineResult]) -> Iterator[tuple[int, np.ndarray]]:
        files = side.bag_files
        gone = [file for file in files if not file.is_file()]
        if gone or not files:
            self.reasons.extend(f'{printable(file)}: no such file' for file in gone[:1])
            return
        bag = BagReader(files[0] if len(files) == 1 else files[0].parent, cut_off=True)
        positions = {(image.topic, image.frame): position for position, image in wanted.items()}
        topics = [bag.choose_image_topic(name) for name in sorted({image.topic for image in wanted.values()})]
        total = sum(topic.count for topic in topics)
        for number, item in enumerate(numbered(recorded(bag, topics, lambda damage: None))):
            self._progress(f'reading {bag.path.name}', number, total)
            position = positions.pop((item.message.topic, item.index), None)
            if position is not None:
                image = read_image(item, _options(side))
                if isinstance(image, BagImage) and _is(
                        wanted[position], image.frame.width, image.frame.height, image.stamp_ns):
                    yield position, image.frame.bgr()
                else:
                    self.reasons.append(f'{printable(bag.path)} has another image there now')
            if not positions:
                return

    def _from_coco(self, side: Annotation, wanted: dict[int, LineResult]) -> Iterator[tuple[int, np.ndarray]]:
        assert side.folder is not None
        topics = side.part('settings').get('topics')
        names = topic_file_names(
            map(str, topics) if isinstance(topics, list) else {image.topic for image in wanted.values()})
        for position, image in list(wanted.items()):
            path = side.folder / 'coco' / 'images' / image_name(names.get(image.topic, ''), image.frame)
            # OpenCV reads no path that is not UTF-8.
            data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
            bgr = require('cv2').imdecode(data, 1) if len(data) else None
            if bgr is not None and _is(image, bgr.shape[1], bgr.shape[0], image.stamp_ns):
                yield position, bgr

    def _from_source(self, side: Annotation, wanted: dict[int, LineResult]) -> Iterator[tuple[int, np.ndarray]]:
        by_source: dict[tuple[str, str], list[tuple[int, LineResult]]] = defaultdict(list)
        for position, image in wanted.items():
            by_source[image.source, image.topic].append((position, image))
        for (source, topic), images in by_source.items():
            try:
                yield from self._of_source(Path(source), topic, images)
            except PerceptionError as error:
                self.reasons.append(str(error))

    def _of_source(
        self, path: Path, topic: str, images: Iterable[tuple[int, LineResult]],
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Frame numbers count over a folder, so the stamp decides; a file with one image has none.

        topic: of lines of `annotate` whose annotation.json is not beside them, '' for those of `predict`
        """
        left = dict(images)
        with open_source(path, topic or None, options=ImageOptions(damaged=KEEP)) as source:
            for item in source:
                for position, image in list(left.items()):
                    if _is(image, item.frame.width, item.frame.height, item.stamp_ns):
                        del left[position]
                        yield position, item.frame.bgr()
                if not left:
                    return


def _is(image: LineResult, width: int, height: int, stamp_ns: int | None) -> bool:
    """Return whether pixels are those of a result: the file may have been replaced."""
    return (image.width, image.height, image.stamp_ns) == (width, height, stamp_ns)


def _options(side: Annotation) -> ImageOptions:
    """Return how the images of a bag were read. What is damaged is shown as far as it is there."""
    images = side.part('settings').get('images')
    bits = images.get('significant_bits') if isinstance(images, dict) else None
    return ImageOptions(damaged=KEEP, significant_bits=bits if isinstance(bits, int) and 8 <= bits <= 16 else 16)
