# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes results as a rosbag2 (MCAP) beside the original: the same times, so that both can be played together."""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..model.spec import ModelSpec
from ..parameters.camera_names import namespaces_of
from ..sources.mcap_records import mcap_messages
from .errors import AnnotateError
from .item import Annotated
from .serialized_results import AnnotationsWriter, ResultWriter

# The newest that `ros2 bag` of Humble reads.
_VERSION = 8


class BagOutput:
    """A rosbag2 with the results of each image topic: detections or classifications, and image_annotations.

    /front/image_raw has /front/detections and /front/image_annotations, as the node names them for several cameras.
    The log and publish times are those of the image, the header too. metadata.yaml, and the metadata in the file, have
    the provenance as custom data: `trt_perception`.
    """

    def __init__(
        self, folder: Path, spec: ModelSpec, topics: Sequence[str], provenance: Mapping[str, Any], annotations: bool,
    ) -> None:
        """Create the bag.

        folder: of the new bag; topics: the image topics; annotations: with foxglove_msgs/ImageAnnotations
        Raises OSError.
        """
        from .definitions import result_types

        rosbag2 = require('rosbags.rosbag2')
        self._folder = folder
        self._writer = rosbag2.Writer(folder, version=_VERSION, storage_plugin=rosbag2.StoragePlugin.MCAP)
        self._writer.set_custom_data('trt_perception', json.dumps(provenance, sort_keys=True))
        self._writer.open()
        results = ResultWriter(spec)
        writers: list[tuple[str, ResultWriter | AnnotationsWriter]] = [
            ('detections' if spec.task == 'detection' else 'classifications', results)]
        if annotations:
            writers.append(('image_annotations', AnnotationsWriter(spec)))
        self._connections = {
            topic: [
                (self._writer.add_connection(f'{namespace}/{name}', writer.type, typestore=result_types()), writer)
                for name, writer in writers]
            for topic, namespace in zip(topics, namespaces_of(topics))}
        self._publish_ns = array('q')
        self._differ = False

    def write(self, item: Annotated) -> None:
        """Append the result of an image. Raises OSError."""
        image = item.image
        for connection, writer in self._connections[image.topic]:
            self._writer.write(connection, image.log_ns, writer.write(item))
            self._publish_ns.append(image.publish_ns)
        self._differ |= image.publish_ns != image.log_ns

    def finish(self) -> None:
        """Write the index and metadata.yaml. Raises OSError."""
        self._writer.close()
        if self._differ:
            set_publish_times(self._folder / f'{self._folder.name}.mcap', self._publish_ns)

    def abort(self) -> None:
        """Close the files without an end."""
        self._writer.abort()


def set_publish_times(path: Path, times_ns: Sequence[int]) -> None:
    """Set the times of publishing of all messages of an MCAP file without compression and CRC.

    rosbags writes the time of recording in their place.
    times_ns: one for each message, in the order of the file
    Raises OSError; AnnotateError if the file is not as expected.
    """
    places: list[int | None] = []
    problems: list[str] = []
    places.extend(message.publish_at for message in mcap_messages(
        path, lambda topic, kind: True, lambda damage: problems.append(str(damage)), data=False))
    if problems or None in places or len(places) != len(times_ns):
        raise AnnotateError(
            f'{path}: the times of publishing cannot be written ({len(places)} of {len(times_ns)} messages found): the '
            'installed rosbags writes files in another way; install a version that requirements/runtime.txt names')
    with path.open('r+b') as file:
        for place, time_ns in zip(places, times_ns):
            assert place is not None
            file.seek(place)
            file.write(struct.pack('<Q', time_ns))
