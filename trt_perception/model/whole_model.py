# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model with external data as one piece of memory, so that its session does not depend on the files any more."""

from __future__ import annotations

from pathlib import Path

from .external_data import external_files, load_external_data, stored_bytes
from .onnx_file import load_proto

# The largest message of protobuf is 2 GiB - 1; the names of a graph take less than this.
_MOST = 2**31 - 2**24


def whole_model(path: Path) -> bytes | str:
    """Return what ONNX Runtime loads: the path, or the whole model as bytes if it has external data.

    ONNX Runtime maps external data into memory and reads it in each inference (seen with 1.32). If somebody writes
    another model over the files while the session runs, its results are wrong, and if the file is cut, the process
    ends with SIGBUS. Other files are read once, when they are loaded.

    A model of 2 GiB or more cannot be one message: its path is returned. Raises ModelError if a file cannot be read.
    """
    proto = load_proto(path, weights=False)
    if not external_files(path, proto) or stored_bytes(path, proto) >= _MOST:
        return str(path)
    proto = load_proto(path)
    load_external_data(path, proto)
    content: bytes = proto.SerializeToString()
    return content
