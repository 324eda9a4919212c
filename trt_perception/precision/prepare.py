# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The model file in one precision: the first use makes it, later uses take it from the cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import CalibrationError, FetchError, ModelError
from ..file_cache import cache_root, is_intact, locked, replace_file, scratch_folder, store
from ..image.frame import Frame
from ..model.onnx_file import load_proto, sha256_of
from ..model.spec import ModelSpec, require_onnx
from ..model.unchanged import ModelFiles, unchanged
from ..monitor import Monitor
from ..pipeline.options import PRECISIONS, CalibrationOptions
from ..progress import ProgressCallback, silent
from ..unfinished import remove_leftovers
from .calibration import calibration_of
from .calibration_frames import Samples, read_samples, require_source
from .float_edges import with_float_edges, write_float_edges
from .form import FORMS, form_of
from .fp16 import halve_rest, to_fp16
from .graph import read_record
from .int8 import quantize
from .symmetric_int8 import is_of_another_form
from .target import Target, accepted_targets

# Increase it if this package converts the same model and data in another way than before. Without need it is not
# increased, because another file is another engine, which takes minutes to build on each robot.
_FORMAT = 2
# In int8 a detector's box decoder stays in float since format 3.
_FORMAT_INT8_DETECTOR = 3
# Raise it if float_edges writes other files: those in the cache are not used then.
_FLOAT_EDGES = 2


@dataclass(frozen=True)
class ConversionOptions:
    """Options of a conversion beside its calibration; `trt_perception quantize` has an option for each.

    keep_float: names of layers that stay in float, None to find them by measuring
    target: the agreement of int8 with fp32 to reach
    accepted: weaker targets to accept, with a warning, if no choice of layers reaches `target`
    half_rest: store an int8 model's float layers in float16, for strongly typed TensorRT (see fp16.halve_rest)
    form: of an int8 file, one of form.FORMS
    """

    keep_float: tuple[str, ...] | None = None
    target: Target = field(default_factory=Target)
    half_rest: bool = False
    accepted: tuple[Target, ...] = accepted_targets(Target())
    form: str = FORMS[0]

    @staticmethod
    def for_gate(min_agreement: float | None, form: str = FORMS[0]) -> ConversionOptions:
        """Return the options for a pipeline with this min_agreement, None if the user did not set it."""
        usual = Target()
        target = replace(usual, agreement=max(usual.agreement, min_agreement or 0.0))
        return ConversionOptions(target=target, accepted=accepted_targets(target, min_agreement), form=form)


@dataclass(frozen=True)
class PreparedModel:
    """A model file in the requested precision.

    original: the model as the user gave it
    path: the ONNX file to build or run
    record: the conversion's Fp16Report or Int8Report as JSON values, {} if nothing was converted
    checking: frames for the accuracy gate, () without a source
    held_out: whether calibration used none of these frames
    warnings: warnings about the calibration data, for the user
    """

    original: ModelSpec
    path: Path
    precision: str
    record: dict[str, Any]
    cached: bool = False
    checking: Sequence[Frame] = field(default=(), repr=False)
    held_out: bool = True
    warnings: tuple[str, ...] = ()

    @cached_property
    def spec(self) -> ModelSpec:
        """The spec of the file: the original's with another path, because its inputs and outputs stay the same."""
        if self.path == self.original.path:
            return self.original
        files = ModelFiles.of(self.path)
        return replace(
            self.original, path=self.path, sha256=sha256_of(self.path), files=files, stored_precision=self.precision)

    @property
    def calibration_sha256(self) -> str:
        """Digest of the calibration data and method, '' without calibration."""
        return str(self.record.get('calibration_sha256', ''))

    @property
    def rest_is_float32(self) -> bool:
        """Whether this package made this int8 file and its other layers are stored in float32."""
        return self.record.get('precision') == 'int8' and self.record.get('rest') != 'fp16'


def prepare_model(
    spec: ModelSpec, precision: str, calibration: CalibrationOptions | None = None, output: Path | None = None,
    monitor: Monitor | None = None, *, conversion: ConversionOptions | None = None,
) -> PreparedModel:
    """Return the file of `spec`'s model in this precision.

    output: a file to write instead of one in the cache; it is written even if it exists
    A file that is stored in this precision already is returned unchanged. Warnings are written to the monitor's log.
    Raises ModelError, also if the model's files change during the conversion, SourceError, CalibrationError for int8
    without calibration data, EngineError if ONNX Runtime does not run the model on that data or if the monitor's cancel
    is set. After an error no file is written.
    """
    calibration = calibration or CalibrationOptions()
    require_convertible(spec, precision, calibration)
    monitor = monitor or Monitor()
    logged: list[str] = []

    def warn(texts: Sequence[str]) -> None:
        for text in texts:
            if text not in logged:
                logged.append(text)
                monitor.log('warning', text)

    # Images that are missing may be the reason of an error, so they are told of at once.
    prepared = _prepared(
        spec, precision, calibration, conversion or ConversionOptions(), output,
        monitor.following(f'{precision} of {spec.path.name}'), warn)
    warn(prepared.warnings)
    return prepared


def require_convertible(spec: ModelSpec, precision: str, calibration: CalibrationOptions) -> None:
    """Raise ModelError or CalibrationError if prepare_model would refuse these arguments; converts nothing."""
    if precision not in PRECISIONS:
        raise ModelError(f"precision is '{precision}': expected one of {', '.join(PRECISIONS)}")
    require_onnx(spec, 'a conversion')
    if spec.stored_precision not in ('fp32', precision):
        raise ModelError(
            f'{spec.path.name} is stored in {spec.stored_precision}: expected the fp32 file to convert to {precision}, '
            f'or precision {spec.stored_precision}')
    if precision == 'int8' != spec.stored_precision:
        require_source(calibration.source)


def _prepared(
    spec: ModelSpec, precision: str, calibration: CalibrationOptions, conversion: ConversionOptions,
    output: Path | None, progress: ProgressCallback, warn: Callable[[Sequence[str]], None],
) -> PreparedModel:
    keep_float = conversion.keep_float
    if precision == spec.stored_precision:
        return PreparedModel(spec, spec.path, precision, read_record(spec.path))
    spec = float_edges(spec, progress)
    if precision == 'fp16':
        kept = {} if keep_float is None else {'keep_float': keep_float}
        if not calibration.source:
            return _made(
                spec, 'fp16', kept, output, progress, Samples((), (), False),
                lambda path, progress: to_fp16(spec.path, path, keep_float=keep_float, progress=progress))
        samples = _samples(calibration, progress)
        warn(samples.faults)
        seen = calibration_of(spec, samples.calibration, 'minmax', progress)
        return _made(
            spec, 'fp16', {'calibration': seen.sha256, **kept}, output, progress, samples,
            lambda path, progress: to_fp16(
                spec.path, path, keep_float=keep_float, calibration=seen, progress=progress))
    samples = _samples(calibration, progress)
    warn(samples.faults)
    if not conversion.half_rest:
        return _quantised(spec, calibration, conversion, samples, output, progress)
    if output is None:
        return with_half_rest(_quantised(spec, calibration, conversion, samples, None, progress), None, progress)
    try:
        with scratch_folder(output) as folder:
            # `output` is written by the second conversion.
            quantised = _quantised(spec, calibration, conversion, samples, folder / output.name, progress)
            return with_half_rest(quantised, output, progress)
    except FetchError as error:
        raise ModelError(str(error)) from error


def float_edges(spec: ModelSpec, progress: ProgressCallback = silent) -> ModelSpec:
    """Return the model as TensorRT takes it, with a float input and float outputs, in the cache; often the same spec.

    Raises ModelError, also for int8 that TensorRT cannot run, and if the model's files change meanwhile.
    """
    if not spec.quantised and not _is_of_another_form(spec):
        return spec
    rules = [[name, asdict(rule)] for name, rule in spec.quantised]
    made = _made(
        spec, spec.stored_precision, {'float_edges': rules, 'written': _FLOAT_EDGES}, None, progress,
        Samples((), (), False),
        lambda path, progress: write_float_edges(spec, path, progress), ending='float-edges')
    return with_float_edges(spec, made.path, made.spec.sha256, made.spec.files)


def _is_of_another_form(spec: ModelSpec) -> bool:
    return (
        spec.file_format == 'onnx' and spec.stored_precision == 'int8'
        and is_of_another_form(load_proto(spec.path, weights=False)))


def _quantised(
    spec: ModelSpec, calibration: CalibrationOptions, conversion: ConversionOptions, samples: Samples,
    output: Path | None, progress: ProgressCallback,
) -> PreparedModel:
    keep_float = conversion.keep_float
    form = form_of(conversion.form)
    try:
        data = calibration_of(spec, samples.calibration, calibration.method, progress)
        checks = calibration_of(spec, samples.checking or samples.calibration, calibration.method, progress).sha256
        quantised = _made(
            spec, 'int8', {
                'calibration': data.sha256, 'checking': checks if samples.checking else '',
                # The layers are chosen by the head's results.
                'head': asdict(spec.head), 'keep_float': keep_float, **_demands(spec, conversion), **form.identity,
                'onnxruntime': require('onnxruntime').__version__},
            output, progress, samples,
            lambda path, progress: quantize(
                spec.path, path, data, samples.checking, keep_float, (conversion.target, *conversion.accepted),
                progress, form),
            ending='-'.join(('int8', *([conversion.form] if form.identity else ()))))
        missed = quantised.record.get('missed')
        if not missed:
            return quantised
        return replace(quantised, warnings=(
            *quantised.warnings, f'int8 misses its usual accuracy, whichever layers stay in float: {missed}'))
    except CalibrationError as error:
        raise CalibrationError(f'{calibration.source}: {error}') from error


def _demands(spec: ModelSpec, conversion: ConversionOptions) -> dict[str, Any]:
    """The part of the recipe about the accuracy; without demands that other versions of this package did not have."""
    demands: dict[str, Any] = {'target': conversion.target.as_dict(spec.task)}
    if conversion.accepted != accepted_targets(conversion.target):
        demands['accepted'] = [target.as_dict(spec.task) for target in conversion.accepted]
    return demands


def _samples(calibration: CalibrationOptions, progress: ProgressCallback) -> Samples:
    return read_samples(
        calibration.source, calibration.samples, calibration.checking, calibration.topic, progress, calibration.images)


def with_half_rest(
    quantised: PreparedModel, output: Path | None = None, progress: ProgressCallback = silent,
) -> PreparedModel:
    """Return an int8 file of `prepare_model` with its float layers in float16, in `output` or the cache.

    Raises ModelError if the file cannot be converted; the int8 file does not change.
    """
    samples = Samples((), tuple(quantised.checking), quantised.held_out, quantised.warnings)
    return _made(
        quantised.original, 'int8', {'half_rest_of': quantised.spec.sha256}, output, progress, samples,
        lambda path, progress: halve_rest(quantised.path, path, progress), quantised.spec)


def _made(
    spec: ModelSpec, precision: str, recipe: dict[str, Any], output: Path | None, progress: ProgressCallback,
    samples: Samples, convert: Callable[[Path, ProgressCallback], Any], source: ModelSpec | None = None,
    ending: str = '',
) -> PreparedModel:
    """Return the converted file, from the cache if `output` is None.

    convert: writes the file of `source`, by default of `spec`, to a path
    ending: of the name in the cache, by default the precision
    Raises ModelError, and stores nothing, if the source changes during the conversion.
    """
    source = source or spec

    def make(path: Path) -> None:
        doing = f'it was converted to {ending or precision}'
        with unchanged(source.path, source.sha256, doing, source.files) as check:
            def following(text: str, done: float, total: float | None) -> None:
                check()
                progress(text, done, total)

            convert(path, following)

    def result(path: Path, cached: bool) -> PreparedModel:
        return PreparedModel(
            spec, path, precision, read_record(path), cached, samples.checking, samples.held_out, samples.warnings)

    if output is not None:
        try:
            replace_file(output, make)
        except FetchError as error:
            raise ModelError(str(error)) from error
        return result(output, False)
    later = precision == 'int8' and spec.task == 'detection'
    recipe = {
        'format': _FORMAT_INT8_DETECTOR if later else _FORMAT, 'model': spec.sha256, 'precision': precision, **recipe}
    identity = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    try:
        folder = cache_root() / 'quantized'
        target = folder / f'{spec.path.stem}-{ending or precision}-{identity[:16]}.onnx'
        # Checked before the lock, because a read-only file system does not allow the lock.
        if is_intact(target, identity):
            return result(target, True)
        with locked(folder / f'.{target.stem}.lock', progress) as held:
            if is_intact(target, identity):
                return result(target, True)
            _remove_leftovers(target, held)
            with scratch_folder(target) as unfinished:
                made = unfinished / target.name
                make(made)
                store(target, made.read_bytes(), identity)
    except FetchError as error:
        raise ModelError(str(error)) from error
    return result(target, False)


def _remove_leftovers(target: Path, held: bool) -> None:
    """Remove what killed processes left in the folder of `target`; held: this process holds the lock of `target`."""
    remove_leftovers(target.parent)
    remove_leftovers(target.parent, target.name, locked=held)
    if held:
        # The name that older versions of this package gave to an unfinished file.
        with contextlib.suppress(OSError):
            target.with_name(f'.{target.stem}.new.onnx').unlink()
