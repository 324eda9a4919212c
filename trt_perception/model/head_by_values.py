# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decides between heads that fit by shape and metadata, by the values of a run on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import EngineError, MissingDependencyError, ModelError, printable
from ..tensors.quantisation import real_outputs
from .heads.detection import FamilyHead, RawOutput
from .heads.evidence import HeadEvidence
from .heads.fractions import problem_in_fractions
from .heads.further_columns import FurtherColumnsHead
from .heads.identify import Head
from .heads.plausibility import problem_of
from .heads.rtdetr import without_rival
from .heads.yolo import YoloHead
from .onnx_file import OnnxSummary
from .running import backend_of

# The grey of the padding. uint8 networks take pixels, others fractions or normalised values of about this size.
_GREY = 114


def head_by_values(summary: OnnxSummary, evidence: HeadEvidence, heads: Sequence[Head]) -> Head:
    """Return the only one of `heads` whose layout the values have.

    Without ONNX Runtime (LiteRT for a .tflite file), or if it cannot run the file, it is the first;
    `require_plausible` refuses it later if it is wrong. Raises ModelError, which names the parameter `head`, if several
    or none fit.
    """
    output = heads[0].output_names[0]
    try:
        outputs = _run(summary, evidence.input_size)
    except (MissingDependencyError, ModelError, EngineError):
        return heads[0]
    problems = [
        _problem(summary, head, [head.pick(values) for values in outputs], evidence.input_size, evidence.num_names or 0)
        for head in heads]
    fitting: list[Head] = without_rival(
        [head for head, problem in zip(heads, problems) if not problem], outputs)
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and isinstance(heads[0], YoloHead) and any(isinstance(head, FamilyHead) for head in heads):
        # The usual head gives the better reason when it is refused.
        return heads[0]
    kinds = ' and '.join(head.kind for head in fitting or heads)
    reason = 'neither has these values' if not fitting else 'the values of two test images do not show which it is'
    details = '' if fitting else f' ({"; ".join(f"{head.kind}: {text}" for head, text in zip(heads, problems))})'
    raise ModelError(
        f"output '{printable(output)}' {list(dict(evidence.outputs)[output])} fits the heads {kinds}, and {reason}"
        f'{details}: set head to the right one')


def _problem(
    summary: OnnxSummary, head: Head, outputs: Sequence[RawOutput], size: tuple[int, int], num_names: int,
) -> str:
    problem = problem_of(head, outputs, size, num_names)
    if problem and summary.tflite is not None and isinstance(head, YoloHead | FurtherColumnsHead):
        return problem_in_fractions(head, outputs, size, num_names)
    return problem


def _run(summary: OnnxSummary, size: tuple[int, int]) -> list[Mapping[str, np.ndarray]]:
    """Return the outputs for a grey image and for one of random pixels."""
    width, height = size
    shape = (1, summary.channels, height, width) if summary.layout == 'nchw' else (1, height, width, summary.channels)
    noise = np.random.default_rng(0).integers(0, 256, shape)
    scale = 1 / 255 if summary.input_dtype.kind == 'f' else 1.0
    offset = 128 if summary.input_dtype == np.int8 else 0
    with backend_of(summary) as backend:
        return [
            real_outputs(
                backend.infer(summary.input_name, np.asarray((pixels - offset) * scale, summary.input_dtype)),
                summary.quantised)
            for pixels in (np.full(shape, _GREY), noise)]
