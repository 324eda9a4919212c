# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes some images as JPEG, and their detections as COCO JSON (cocodataset.org/#format-data)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..dependencies import require
from ..errors import SourceError
from ..model.spec import ModelSpec
from ..results.results import Detections
from .errors import AnnotateError
from .item import Annotated
from .missed import OtherModel
from .selection import Selection, Selector
from .topic_files import image_name, topic_file_names

_QUALITY = 95
# JPEG has 16 bits for a side; libjpeg has this limit.
_MOST_PIXELS = 65_500
# Datumaro, and CVAT for a folder as a ZIP file, look for annotations/instances_*.json.
_FILE = 'annotations/instances_default.json'


class CocoOutput:
    """The folder coco/ with annotations/instances_default.json and images/. Memory does not grow with the bag.

    A category_id is the index of the class plus 1. bbox is x, y, width, height in pixels. The first class of a
    classification is a box around the image. With another model, `attributes` has `missed` for each annotation.
    """

    def __init__(
        self, folder: Path, spec: ModelSpec, topics: Sequence[str], selection: Selection, provenance: Mapping[str, Any],
        other: OtherModel | None = None,
    ) -> None:
        """Create the folder. Raises OSError.

        topics: of the images; other: only images are taken of which this model misses an object
        """
        (folder / 'images').mkdir(parents=True)
        (folder / _FILE).parent.mkdir()
        self._folder = folder
        self._spec = spec
        self._names = topic_file_names(topics)
        self._selector = Selector(selection, other)
        self._provenance = provenance
        self._images = (folder / 'images.jsonl').open('w+', encoding='utf-8')
        self._objects = (folder / 'objects.jsonl').open('w+', encoding='utf-8')
        self._image_count = self._object_count = 0

    def write(self, item: Annotated) -> None:
        """Take an image if the selection does. Raises OSError, AnnotateError, SourceError for a size no JPEG has."""
        image = item.image
        taken = self._selector.take(item)
        if taken is None:
            return
        if max(image.frame.width, image.frame.height) > _MOST_PIXELS:
            raise SourceError(
                f'{self._provenance["bag"]}: frame {image.index} of {image.topic}: {image.frame.width}x'
                f'{image.frame.height} pixels, but a JPEG has at most {_MOST_PIXELS} on a side: leave coco out of '
                '--formats')
        name = image_name(self._names[image.topic], image.index)
        cv2 = require('cv2')
        done, data = cv2.imencode('.jpg', image.frame.bgr(), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not done:
            raise AnnotateError(f'{name}: OpenCV cannot write {image.frame.width}x{image.frame.height} pixels as JPEG')
        (self._folder / 'images' / name).write_bytes(data.tobytes())
        self._image_count += 1
        self._images.write(json.dumps({
            'id': self._image_count, 'file_name': name, 'width': image.frame.width, 'height': image.frame.height,
            'topic': image.topic, 'stamp_ns': image.stamp_ns}) + '\n')
        for entry in _objects(item, taken.missed):
            self._object_count += 1
            self._objects.write(json.dumps({
                'id': self._object_count, 'image_id': self._image_count, **entry}) + '\n')

    def finish(self) -> None:
        """Write the JSON file. Raises OSError."""
        names = self._spec.names
        with (self._folder / _FILE).open('w', encoding='utf-8') as file:
            file.write('{"info": ' + json.dumps({'description': 'trt_perception annotate', **self._provenance}))
            file.write(', "licenses": [], "categories": ')
            json.dump([{'id': index + 1, 'name': name, 'supercategory': ''} for index, name in enumerate(names)], file)
            for key, lines in (('images', self._images), ('annotations', self._objects)):
                file.write(f', "{key}": [')
                file.writelines(_joined(lines))
                file.write(']')
            file.write('}\n')
        for lines in (self._images, self._objects):
            lines.close()
            Path(lines.name).unlink()

    def abort(self) -> None:
        """Close the files, whatever is in them."""
        for lines in (self._images, self._objects):
            with contextlib.suppress(OSError):
                lines.close()


def _objects(item: Annotated, missed: np.ndarray | None) -> Iterator[dict[str, Any]]:
    """Yield what an annotation has apart from its ids, for each object."""
    frame, result = item.image.frame, item.result
    if isinstance(result, Detections):
        boxes = result.boxes.tolist()
    else:
        # CVAT refuses an annotation without a box, and FiftyOne leaves it out.
        boxes = [[0, 0, frame.width, frame.height]] * min(len(result), 1)
    for number, (left, top, right, bottom) in enumerate(boxes):
        width, height = right - left, bottom - top
        entry: dict[str, Any] = {
            'category_id': int(result.class_indices[number]) + 1, 'iscrowd': 0,
            'bbox': [round(value, 3) for value in (left, top, width, height)], 'area': round(width * height, 3),
            'segmentation': [], 'score': round(float(result.scores[number]), 6)}
        if missed is not None:
            entry['attributes'] = {'missed': bool(missed[number])}
        yield entry


def _joined(lines: TextIO) -> Iterator[str]:
    lines.seek(0)
    for number, line in enumerate(lines):
        yield (',\n' if number else '\n') + line.rstrip('\n')
