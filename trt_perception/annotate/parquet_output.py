# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes results as a Parquet file, a row for each object, for DuckDB, pandas and Spark."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..model.spec import ModelSpec
from ..results.results import Detections
from .item import Annotated

# Rows that are written together: a row group of some hundred kB.
_GROUP = 16_384


class ParquetOutput:
    """A row for each detection, or for each class of a classification, in the order of the images.

    Columns: stamp_ns, log_ns (int64), topic, frame (int64, the number of the image in its topic), class_name,
    class_index (int32), score (float), x_min, y_min, x_max, y_max (float, pixels; null for a classification), track_id
    (int64; null without tracking). An image without a result has no row: results.jsonl has a line for each image.
    The metadata of the schema has the provenance as JSON: `trt_perception`.
    """

    def __init__(self, path: Path, spec: ModelSpec, provenance: Mapping[str, Any]) -> None:
        """Create the file. Raises OSError; MissingDependencyError without pyarrow."""
        arrow = require('pyarrow')
        text = arrow.dictionary(arrow.int32(), arrow.string())
        self._schema = arrow.schema([
            ('stamp_ns', arrow.int64()), ('log_ns', arrow.int64()), ('topic', text), ('frame', arrow.int64()),
            ('class_name', text), ('class_index', arrow.int32()), ('score', arrow.float32()),
            *((name, arrow.float32()) for name in ('x_min', 'y_min', 'x_max', 'y_max')), ('track_id', arrow.int64()),
        ], metadata={'trt_perception': json.dumps(provenance, sort_keys=True)})
        self._arrow = arrow
        self._spec = spec
        self._rows: list[tuple[Any, ...]] = []
        # The file is opened here, so that a full disk is an error of Python.
        self._file = path.open('wb')
        self._writer = require('pyarrow.parquet').ParquetWriter(self._file, self._schema, compression='zstd')

    def write(self, item: Annotated) -> None:
        """Append the results of an image. Raises OSError."""
        image, result = item.image, item.result
        count = len(result)
        boxes = result.boxes.tolist() if isinstance(result, Detections) else [(None,) * 4] * count
        ids = result.ids.tolist() if isinstance(result, Detections) and result.ids is not None else [0] * count
        for index, score, box, number in zip(result.class_indices.tolist(), result.scores.tolist(), boxes, ids):
            self._rows.append((
                image.stamp_ns, image.log_ns, image.topic, image.index, self._spec.name_of(index), index, score, *box,
                number or None))
        if len(self._rows) >= _GROUP:
            self._write_rows()

    def finish(self) -> None:
        """Write the rest and the footer. Raises OSError."""
        if self._rows:
            self._write_rows()
        self._writer.close()
        self._file.close()

    def abort(self) -> None:
        """Close the file, whatever is in it."""
        # The writer is left without a footer; at its end it would write one into the closed file.
        with contextlib.suppress(Exception):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._file.close()

    def _write_rows(self) -> None:
        columns = [self._arrow.array(column, kind.type) for column, kind in zip(zip(*self._rows), self._schema)]
        self._writer.write_table(self._arrow.Table.from_arrays(columns, schema=self._schema))
        self._rows = []
