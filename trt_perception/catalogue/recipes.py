# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts the files of a catalogue entry to an ONNX model with names and preprocessing in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..errors import FetchError, ModelError
from ..model.labels import shipped_labels
from ..model.normalisation import METADATA_KEY
from .catalog import CatalogEntry
from .converters.darknet import convert_darknet
from .converters.efficientnet_lite import convert_efficientnet_lite0
from .converters.nanodet import convert_nanodet
from .converters.onnx_writer import graph_sha256
from .converters.torch_checkpoint import read_checkpoint

__all__ = ['convert', 'graph_sha256', 'model_metadata']


def convert(entry: CatalogEntry, members: Mapping[str, bytes], input_size: int | None = None) -> bytes:
    """Return the bytes of the entry's ONNX file.

    members: file contents by role, see the entry's `members`; input_size: side in pixels, for detectors

    Raises FetchError if the converter cannot use the files.
    """
    metadata = model_metadata(entry)
    try:
        if entry.converter == 'darknet':
            return convert_darknet(
                members['cfg'].decode(), members['weights'], metadata,
                input_size=input_size or entry.input_size, masks=entry.options.get('masks'))
        if entry.converter == 'efficientnet-lite0':
            return convert_efficientnet_lite0(read_checkpoint(members['checkpoint']), metadata)
        if entry.converter == 'nanodet':
            return convert_nanodet(members['model'], members['weights'], metadata)
    except ModelError as error:
        raise FetchError(f'{entry.name} cannot be converted: {error}') from error
    raise FetchError(
        f'{entry.name}: converter is {entry.converter!r}, expected darknet, efficientnet-lite0 or nanodet')


def model_metadata(entry: CatalogEntry) -> dict[str, str]:
    """Return the metadata_props of the model. `names` and `task` have the form that Ultralytics' exporter writes."""
    names = {str(index): name for index, name in enumerate(shipped_labels(entry.labels))}
    return {
        'names': json.dumps(names),
        'task': entry.task,
        METADATA_KEY: json.dumps(dict(entry.preprocessing), sort_keys=True),
        **{key: str(value) for key, value in sorted(entry.thresholds.items())},
        'description': entry.description,
        'license': entry.weights_licence,
        'source': f'{entry.origin}, {entry.file}, sha256 {entry.sha256}',
    }
