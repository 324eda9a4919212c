# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy that a precision costs, before an engine is built: the conversion against fp32, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

from ..dependencies import require
from ..errors import ModelError
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..pipeline.host import HostPipeline
from ..pipeline.interface import PostprocessSettings
from ..progress import ProgressCallback, counted, silent
from .graph import load_model, read_record
from .half_arithmetic import rounding_as_half
from .parity import Agreement, compare
from .prepare import PreparedModel
from .simulation import SimulationBackend


def expected_agreement(
    spec: ModelSpec, prepared: PreparedModel, frames: Sequence[Frame], settings: PostprocessSettings | None = None,
    progress: ProgressCallback = silent,
) -> Agreement:
    """Compare the fp32 model with its conversion; the rounding is computed exactly.

    spec: of the fp32 model
    Raises ModelError if this package did not convert the file or if ONNX Runtime does not load it, EngineError if it
    does not run.
    """
    float_model = load_model(spec.path)
    if prepared.precision == 'fp32':
        converted = float_model
    elif prepared.precision == 'int8':
        converted = require('onnx').load(str(prepared.path))
    else:
        record = read_record(prepared.path)
        if 'kept_float' not in record:
            raise ModelError(
                f'{prepared.path}: expected an fp16 file that this package converted, found no list of the nodes in '
                'float32: convert the fp32 file with trt_perception quantize')
        converted = rounding_as_half(float_model, set(record['kept_float']))
    settings = settings or PostprocessSettings.of_model(spec)
    text = 'comparing with float32'
    progress(text, 0, len(frames))
    with HostPipeline(spec, SimulationBackend(float_model, spec.path.name), settings) as reference, \
            HostPipeline(spec, SimulationBackend(converted), settings) as candidate:
        return compare(reference, candidate, counted(frames, text, len(frames), progress))
