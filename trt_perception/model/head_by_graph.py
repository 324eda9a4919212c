# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decides by the graph between [1, N, 5 + C] and [1, N, 4 + C] for a detector without class names."""

from __future__ import annotations

from collections.abc import Sequence

from .heads.evidence import HeadEvidence
from .heads.identify import Head
from .heads.yolo import YoloHead
from .onnx_columns import has_objectness
from .onnx_file import OnnxSummary
from .output_shapes import with_fixed_input


def heads_of_graph(summary: OnnxSummary, evidence: HeadEvidence, heads: Sequence[Head]) -> list[Head]:
    """Return `heads` without those that the graph excludes.

    A graph that does not show how it joins its columns, such as a .tflite file, leaves the usual [1, N, 5 + C].
    """
    turned = [head for head in heads if isinstance(head, YoloHead) and head.transposed]
    objectness = [head for head in heads if head.kind in ('yolov5', 'yolox')]
    if not turned or not objectness:
        return list(heads)
    found = None
    if summary.tflite is None:
        found = has_objectness(with_fixed_input(summary, *evidence.input_size), turned[0].output_name)
    excluded = objectness if found is False else turned
    return [head for head in heads if head not in excluded]
