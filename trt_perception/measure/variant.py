# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One row of a comparison: a model file on one backend in one precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..backends.create import BACKENDS
from ..model.spec import ModelOptions
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import PipelineOptions

PYTORCH = 'pytorch'
# Frames with different pixels: enough for a variety of scenes; at 1920x1080 they take 400 MB of the temporary folder.
DISTINCT = 64
# Every name that --against accepts. A backend that this version does not have is named in the report and left out.
NAMES = tuple(dict.fromkeys(('onnxruntime', 'openvino', 'litert', 'tensorrt', *BACKENDS[1:], PYTORCH)))


@dataclass(frozen=True)
class Variant:
    """One row of a comparison.

    backend: one of NAMES
    precision: fp32, fp16 or int8
    model: the file that this backend runs
    spec_file: the file with the preprocessing, the names and the head; for PyTorch the ONNX file, otherwise `model`
    """

    backend: str
    precision: str
    model: Path
    spec_file: Path
    options: PipelineOptions
    model_options: ModelOptions
    settings: PostprocessSettings

    @property
    def name(self) -> str:
        """Backend and precision, for tables."""
        return f'{self.backend} {self.precision}'


@dataclass(frozen=True)
class LeftOut:
    """A row that could not be measured, and the reason."""

    name: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return the JSON values."""
        return {'name': self.name, 'reason': self.reason}


def variants(
    backends: Sequence[str], precisions: Sequence[str], model: Path, files: Mapping[str, Path],
    options: PipelineOptions, model_options: ModelOptions, settings: PostprocessSettings,
) -> tuple[list[Variant], list[LeftOut]]:
    """Return (the variants to try, those that this version cannot try), in the given order.

    files: the file of a backend that does not run `model`, by name
    """
    wanted: list[Variant] = []
    left_out: list[LeftOut] = []
    for backend in backends:
        if backend != PYTORCH and backend not in BACKENDS:
            left_out.append(LeftOut(backend, 'this version of trt_perception does not have this backend'))
            continue
        if backend == PYTORCH and PYTORCH not in files:
            left_out.append(LeftOut(backend, 'no TorchScript file was given: add --pytorch FILE'))
            continue
        for precision in precisions:
            if backend == PYTORCH and precision != 'fp32':
                left_out.append(LeftOut(f'{backend} {precision}', 'the TorchScript file is run as it is: fp32 only'))
                continue
            file = files.get(backend, model)
            wanted.append(Variant(
                backend, precision, file, model if backend == PYTORCH else file,
                replace(
                    # A row must not show another precision than its name.
                    options, backend='auto' if backend == PYTORCH else backend, precision=precision,
                    strict_precision=True,
                    # The gate would run ONNX Runtime in the measured process. The agreement is a column of the table.
                    min_agreement=options.min_agreement or 0.0, build=replace(options.build, precision=precision)),
                model_options, settings))
    return wanted, left_out
