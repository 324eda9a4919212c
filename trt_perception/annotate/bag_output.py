# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes results as a rosbag2 that is played and shown together with the recording, or with a copy of it in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SourceError
from ..model.spec import ModelSpec
from ..parameters.camera_names import namespaces_of
from ..sources.bag_faults import MissingMessages
from ..sources.bag_reader import BagReader
from ..sources.rosbag2_writer import Rosbag2Writer, WrittenTopic, new_topic
from .item import Annotated
from .merging import Merging, require_mergeable
from .serialized_results import AnnotationsWriter, ResultWriter

# Before the names of results, if the recording has topics with these names.
_PREFIX = '/annotate'


class BagOutput:
    """A rosbag2 with the results of each image topic: detections or classifications, and image_annotations.

    /front/image_raw has /front/detections and /front/image_annotations, as the node names them for several cameras.
    The log and publish times are those of the image, the header too. metadata.yaml, and the metadata in the file, have
    the provenance as custom data: `trt_perception`.
    """

    def __init__(
        self, folder: Path, spec: ModelSpec, topics: Sequence[str], provenance: Mapping[str, Any], annotations: bool,
        merged: BagReader | None = None, report: Callable[[SourceError], None] = lambda error: None,
    ) -> None:
        """Create the bag.

        folder: of the new bag; topics: the image topics; annotations: with foxglove_msgs/ImageAnnotations
        merged: a bag whose messages are copied too; report: called with what cannot be read of it
        Raises OSError, SourceError.
        """
        from .definitions import result_types

        if merged is not None:
            require_mergeable(merged)
        writers: list[tuple[str, ResultWriter | AnnotationsWriter]] = [
            ('detections' if spec.task == 'detection' else 'classifications', ResultWriter(spec))]
        if annotations:
            writers.append(('image_annotations', AnnotationsWriter(spec)))
        store = result_types()

        def topic(name: str, kind: str) -> WrittenTopic:
            return new_topic(name, kind, store.generate_msgdef(kind, ros_version=2)[0], store.hash_rihs01(kind))

        namespaces = namespaces_of(topics)
        taken = {topic.name for topic in merged.topics} if merged else set()
        prefix = _PREFIX if taken & {f'{space}/{name}' for space in namespaces for name, _ in writers} else ''
        self._topics = {
            image: [(topic(f'{prefix}{namespace}/{name}', writer.type), writer) for name, writer in writers]
            for image, namespace in zip(topics, namespaces)}
        self._writer = Rosbag2Writer(
            folder, f'trt_perception {__version__}', {'trt_perception': json.dumps(provenance, sort_keys=True)})
        for written in self._topics.values():
            for result, _ in written:
                self._writer.add(result)
        self._merging = Merging(merged, self._writer, report) if merged else None

    def write(self, item: Annotated) -> None:
        """Append the result of an image. Raises OSError, SourceError."""
        image = item.image
        if self._merging is not None:
            self._merging.copy_to(image.topic, image.index)
        for topic, writer in self._topics[image.topic]:
            self._writer.write(topic, image.log_ns, image.publish_ns, writer.write(item))

    def finish(self) -> None:
        """Write the index and metadata.yaml. Raises OSError, SourceError."""
        if self._merging is not None:
            self._merging.copy_rest()
        self._writer.finish()

    def missing(self) -> MissingMessages | None:
        """Return an error if messages to copy are missing in the recording; those of the image topics do not count."""
        return None if self._merging is None else self._merging.missing(self._topics)

    def abort(self) -> None:
        """Close the files without an end."""
        if self._merging is not None:
            self._merging.close()
        self._writer.abort()
