# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What onnx.checker says about a file, except for what it refuses and the backends accept."""

from __future__ import annotations

from pathlib import Path

from ..dependencies import require
from ..errors import ModelError, listed, one_line
from .external_data import load_external_data
from .node_order import sort_nodes
from .onnx_file import load_proto

# The backends sort the nodes, and external_data.py checks the links.
_UNSORTED, _LINKED = 'topologically sorted', 'symbolic link'
_NODES_SHOWN = 3


def check_model(path: Path) -> tuple[bool, str]:
    """Return (whether the file is valid, 'ok' or the reason of onnx.checker).

    Nodes that are not sorted and external data behind symbolic links are valid. Raises ModelError if the file cannot be
    read.
    """
    checker = require('onnx').checker
    try:
        checker.check_model(str(path))
        return True, 'ok'
    except Exception as error:  # checker.ValidationError; for files above 2 GB an error of protobuf
        reason = one_line(error)
    if _UNSORTED not in reason and _LINKED not in reason:
        return False, reason
    proto = load_proto(path)
    load_external_data(path, proto)
    stuck = sort_nodes(proto.graph)
    if stuck:
        return False, f'the nodes read each other in a circle: {listed(stuck, _NODES_SHOWN)}'
    try:
        checker.check_model(proto)
    except ModelError:
        raise
    except Exception as error:
        return False, one_line(error)
    if _LINKED in reason:
        return True, 'ok'
    return True, 'ok, but its nodes are not sorted (ONNX Runtime and TensorRT sort them)'
