# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The model file of a precision: made when it is first needed, then taken from the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import CalibrationError, FetchError, ModelError
from ..file_cache import cache_root, is_intact, locked, store
from ..image.frame import Frame
from ..model.onnx_file import sha256_of
from ..model.spec import ModelSpec
from ..progress import ProgressCallback, silent
from .calibration import calibration_of
from .calibration_frames import Samples, read_samples
from .fp16 import halve_rest, to_fp16
from .graph import read_record
from .int8 import quantize
from .ranges import AUTO
from .search import Target

PRECISIONS = ('fp32', 'fp16', 'int8')
# Raised when what this package makes of the same model and data changes.
_FORMAT = 2


@dataclass(frozen=True)
class CalibrationOptions:
    """Where calibration data comes from and what is done with it.

    source: a folder of images, a video or a rosbag2; None refuses int8
    samples: frames to calibrate with; checking: others of the source to measure the agreement on
    method: minmax, entropy, percentile, mse or auto
    half_rest: an int8 model's float layers in float16, for strongly typed TensorRT (see fp16.halve_rest)
    """

    source: str | None = None
    topic: str | None = None
    samples: int = 64
    checking: int = 24
    method: str = AUTO
    keep_float: tuple[str, ...] | None = None
    target: Target = field(default_factory=Target)
    half_rest: bool = False


@dataclass(frozen=True)
class PreparedModel:
    """A model file in the precision asked for.

    path: of the ONNX file to build or run
    record: what the conversion did (Fp16Report or Int8Report as JSON values), {} where there was nothing to do
    checking: frames for the accuracy gate, () where no source was given
    warnings: what a user should know of the calibration data
    """

    path: Path
    precision: str
    record: dict[str, Any]
    cached: bool = False
    checking: Sequence[Frame] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def calibration_sha256(self) -> str:
        """Identity of the calibration data and method, '' where there is none."""
        return str(self.record.get('calibration_sha256', ''))

    @property
    def rest_is_float32(self) -> bool:
        """Whether this is an int8 file of this package whose other layers are stored in float32."""
        return self.record.get('precision') == 'int8' and self.record.get('rest') != 'fp16'


def prepare_model(
    spec: ModelSpec, precision: str, calibration: CalibrationOptions | None = None,
    output: Path | None = None, progress: ProgressCallback = silent,
) -> PreparedModel:
    """Return the file of `spec`'s model in this precision; `output` instead of the cache is always written anew.

    A file that is stored in the precision asked for already stays as it is. Raises ModelError, SourceError,
    CalibrationError for int8 without calibration data, EngineError where ONNX Runtime does not run the model on it; and
    what `progress`, called several times a second, raises to cancel: then no file is written.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision is '{precision}': expected one of {', '.join(PRECISIONS)}")
    options = calibration or CalibrationOptions()
    if precision == spec.stored_precision:
        return PreparedModel(spec.path, precision, read_record(spec.path))
    if spec.stored_precision != 'fp32':
        raise ModelError(
            f'{spec.path.name} is stored in {spec.stored_precision}: expected the fp32 file to make {precision} of, or '
            f'precision {spec.stored_precision}')
    if precision == 'fp16':
        kept = {} if options.keep_float is None else {'keep_float': options.keep_float}
        if not options.source:
            return _made(
                spec, 'fp16', kept, output, progress, Samples((), (), False),
                lambda path: to_fp16(spec.path, path, keep_float=options.keep_float, progress=progress))
        samples = read_samples(options.source, options.samples, options.checking, options.topic, progress)
        seen = calibration_of(spec, samples.calibration, 'minmax', progress)
        return _made(
            spec, 'fp16', {'calibration': seen.sha256, **kept}, output, progress, samples,
            lambda path: to_fp16(
                spec.path, path, keep_float=options.keep_float, calibration=seen, progress=progress))
    samples = read_samples(options.source, options.samples, options.checking, options.topic, progress)
    # With the float layers in half precision still to come, `output` is not written yet.
    unfinished = _unfinished(output) if output and options.half_rest else output
    try:
        data = calibration_of(spec, samples.calibration, options.method, progress)
        checks = calibration_of(spec, samples.checking or samples.calibration, options.method, progress).sha256
        quantised = _made(
            spec, 'int8', {
                'calibration': data.sha256, 'checking': checks if samples.checking else '',
                # By what the head finds the layers are chosen.
                'head': asdict(spec.head), 'keep_float': options.keep_float, 'target': asdict(options.target),
                'onnxruntime': require('onnxruntime').__version__},
            unfinished, progress, samples,
            lambda path: quantize(
                spec.path, path, data, samples.checking, options.keep_float, options.target, progress))
        return with_half_rest(spec, quantised, output, progress) if options.half_rest else quantised
    except CalibrationError as error:
        raise CalibrationError(f'{options.source}: {error}') from error
    finally:
        if unfinished is not None and unfinished != output:
            unfinished.unlink(missing_ok=True)


def _unfinished(output: Path) -> Path:
    # A name that the next run knows as left by one that was killed: see replace_file.
    return output.with_name(f'.{output.name.lstrip(".")}.{os.getpid()}.int8.part')


def with_half_rest(
    spec: ModelSpec, quantised: PreparedModel, output: Path | None = None, progress: ProgressCallback = silent,
) -> PreparedModel:
    """Return an int8 file of `prepare_model` with its float layers in float16, in `output` or the cache.

    Raises ModelError where the file cannot be brought to that form; it stays as it is.
    """
    samples = Samples((), tuple(quantised.checking), False, quantised.warnings)
    return _made(
        spec, 'int8', {'half_rest_of': sha256_of(quantised.path)}, output, progress, samples,
        lambda path: halve_rest(quantised.path, path, progress))


def _made(
    spec: ModelSpec, precision: str, recipe: dict[str, Any], output: Path | None,
    progress: ProgressCallback, samples: Samples, make: Callable[[Path], Any],
) -> PreparedModel:
    def done(path: Path, cached: bool) -> PreparedModel:
        return PreparedModel(path, precision, read_record(path), cached, samples.checking, samples.warnings)

    if output is not None:
        make(output)
        return done(output, False)
    recipe = {'format': _FORMAT, 'model': spec.sha256, 'precision': precision, **recipe}
    identity = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    try:
        folder = cache_root() / 'quantized'
        target = folder / f'{spec.path.stem}-{precision}-{identity[:16]}.onnx'
        # Without the lock, which cannot be had on a file system that is mounted read-only.
        if is_intact(target, identity):
            return done(target, True)
        with locked(folder / f'.{target.stem}.lock', progress):
            if is_intact(target, identity):
                return done(target, True)
            made = target.with_name(f'.{target.stem}.new.onnx')
            try:
                make(made)
                store(target, made.read_bytes(), identity)
            finally:
                made.unlink(missing_ok=True)
    except FetchError as error:
        raise ModelError(str(error)) from error
    return done(target, False)
