# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes results as JSON lines, as `trt_perception predict --json` does, without the times of the stages."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from ..model.spec import ModelSpec
from ..results.json_lines import result_record
from .item import Annotated


class JsonLines:
    """One line for each image: the record of predict, and topic, frame_id, log_ns, publish_ns, and the run.

    run: the same as in annotation.json, which has the provenance
    """

    def __init__(self, path: Path, spec: ModelSpec, bag: str, run: str) -> None:
        self._file = path.open('w', encoding='utf-8')
        self._spec = spec
        self._bag = bag
        self._run = run

    def write(self, item: Annotated) -> None:
        """Append the result of an image. Raises OSError."""
        image = item.image
        record = result_record(
            self._bag, image.index, image.frame.width, image.frame.height, item.result, self._spec.name_of, {},
            image.stamp_ns)
        # They differ from run to run, and the rest does not.
        del record['timings_ms']
        record.update(
            topic=image.topic, frame_id=image.frame_id, log_ns=image.log_ns, publish_ns=image.publish_ns, run=self._run)
        self._file.write(json.dumps(record) + '\n')

    def finish(self) -> None:
        """Close the file. Raises OSError."""
        self._file.close()

    def abort(self) -> None:
        """Close the file, whatever is in it."""
        with contextlib.suppress(OSError):
            self._file.close()
