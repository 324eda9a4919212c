# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a model on ONNX Runtime, in int8 if requested."""

from __future__ import annotations

import contextlib

from ..cores import usable_cores
from ..errors import EngineError
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..model.unchanged import unchanged
from ..model.whole_model import whole_model
from ..monitor import Monitor
from ..ort.backend import OnnxRuntimeBackend
from ..pipeline.host import HostPipeline
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import STRICT_PRECISION, PipelineOptions
from ..pipeline.plausible_outputs import require_plausible_outputs
from ..pipeline.probe import after_conversion, probe_frames
from ..pipeline.timing import times_in_turns
from ..precision.executed import Executed, executed
from ..precision.form import made_for_other_runtimes
from ..precision.gate import checking_frames, measure_agreement, needed_agreement, require_agreement
from ..precision.prepare import ConversionOptions, prepare_model
from ..precision.stored_int8 import sums_saturate
from ..progress import counted

# Enough to see which is slower, and a small part of the time that `open` takes.
_TIMED_TURNS = 15
_TIMED_SECONDS = 2.0


class OnnxRuntimePipeline(HostPipeline):
    """HostPipeline over ONNX Runtime.

    With precision fp16 the file runs in its stored precision: ONNX Runtime has no fp16 arithmetic on CPUs and would
    convert each tensor back and forth. With int8 a file in the form for CPUs is made and timed; if it is slower
    than the fp32 file on this machine, the fp32 file runs, except with strict_precision. describe() reports the real
    precision as precision_effective; of int8 files, also the share of the layers as execution_types.
    """

    def __init__(
        self, spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        # Without a monitor nobody can cancel.
        self._canceller = monitor
        self._saturates = False
        concurrent, batch, self._threads = _together(spec, options)
        super().__init__(spec, self._backend_of(spec), settings, concurrent, batch)
        self._options = options
        self._monitor = monitor or Monitor()
        self._original = spec
        self._agreement = ''
        self._executed: Executed | None = None

    def _backend_of(self, spec: ModelSpec) -> OnnxRuntimeBackend:
        return OnnxRuntimeBackend(
            spec.path, self._threads, self._canceller, whole_model, inspected=spec.stored_precision == 'int8',
            exact_sums=self._saturates)

    def open(self) -> None:
        """Load the model, quantised if int8 is requested, run it once, and check its accuracy if required."""
        options, original = self._options, self._original
        convert = options.precision == 'int8' and original.stored_precision == 'fp32'
        if not convert:
            self._require_precision(original.stored_precision)
        self._agreement = ''
        frames: tuple[Frame, ...] = ()
        spec = original
        if convert:
            require_plausible_outputs(original, options.num_threads, self._canceller)
            prepared = prepare_model(
                original, 'int8', options.calibration, monitor=self._monitor,
                conversion=ConversionOptions.for_gate(options.min_agreement, 'cpu'))
            frames = tuple(prepared.checking)
            spec = prepared.spec
        try:
            self._load(spec)
            self._check_precision()
            # An unconverted file would be compared with itself, so this needs an explicit min_agreement.
            if needed_agreement(original, options) and (convert or options.min_agreement is not None):
                compared = checking_frames(original, options, frames, self._monitor)
                report = measure_agreement(original, self, options, compared, self._monitor)
                require_agreement(original, report, options)
                self._agreement = report.summary
            if convert:
                self._keep_the_faster()
        except BaseException:
            self.close()
            raise

    def _load(self, spec: ModelSpec) -> None:
        """Open the pipeline with this file."""
        converted = spec.stored_precision != self._original.stored_precision
        self.spec = spec
        self._saturates = sums_saturate(spec.path, spec.stored_precision)
        backend = self._backend_of(spec)
        self._backend = backend
        with (
            unchanged(spec.path, spec.sha256, 'it was loaded', spec.files, storing=False),
            after_conversion(self._original, 'int8') if converted else contextlib.nullcontext(),
        ):
            super().open()
            self._executed = executed(spec.path, backend.operators) if backend.operators else None

    def _effective(self) -> str:
        known = self._executed.precision_effective if self._executed else ''
        return known or self.spec.stored_precision

    def _check_precision(self) -> None:
        """Say so if the loaded file does not run as requested; EngineError with strict_precision."""
        requested, stored, name = self._options.precision, self.spec.stored_precision, self._original.path.name
        if requested != stored:
            self._monitor.log(
                'warning', f'precision {requested} was requested, but ONNX Runtime runs {name} in {stored}, as stored '
                'in the file')
        elif self._executed is not None and self._effective() != requested:
            self._require_precision(self._effective())
            # Not a warning: the results are those of int8, and perhaps nobody asked for more than what the file has.
            # On ARM a few layers of a file for TensorRT are computed in int8 too.
            other_form = not self._executed.int8_layers or made_for_other_runtimes(self.spec.path)
            advice = '; for int8 make a file with trt_perception quantize --form cpu' if other_form else ''
            self._monitor.log(
                'info', f'ONNX Runtime rounds {name} to int8, but computes mostly in {self._effective()}: '
                f'{self._executed.text()}{advice}')
        exact = isinstance(self._backend, OnnxRuntimeBackend) and self._backend.exact_sums
        if exact and self._executed is not None and self._executed.int8_layers:
            self._monitor.log(
                'info', f'{name} has int8 weights of 8 bits. With the fast instructions of this CPU, sums of their '
                'products would saturate, so the int8 layers use slower instructions; for speed make the file on this '
                'machine with trt_perception quantize --form cpu')

    def _require_precision(self, effective: str) -> None:
        """Raise EngineError if the user demands another precision than this one."""
        options = self._options
        if effective != options.precision and options.strict_precision:
            raise EngineError(
                f'precision {options.precision} was requested, but ONNX Runtime would run '
                f'{self._original.path.name} in {effective}{STRICT_PRECISION}')

    def _keep_the_faster(self) -> None:
        """Run the fp32 file instead, with a warning, if int8 takes longer on this machine.

        With strict_precision int8 stays, with a warning too.
        """
        original, strict = self._original, self._options.strict_precision
        reference = HostPipeline(
            original, OnnxRuntimeBackend(original.path, self._threads, self._canceller), self.settings)
        with unchanged(original.path, original.sha256, 'it was timed', original.files, storing=False), reference:
            turns = counted(
                range(_TIMED_TURNS), 'timing fp32 and int8', _TIMED_TURNS,
                self._monitor.following(f'timing {original.path.name}'))
            # The fastest run: on a robot that starts, other programs use the processors too.
            fp32, int8 = times_in_turns(reference, self, probe_frames(original), turns, _TIMED_SECONDS, min)
        figures = f'{int8:.1f} ms instead of {fp32:.1f} ms for one inference'
        if int8 <= fp32:
            self._monitor.log('info', f'int8 on ONNX Runtime on this machine: {figures} in fp32')
            return
        does = 'strict_precision keeps int8' if strict else 'the fp32 file runs'
        self._monitor.log(
            'warning', f'int8 is slower than fp32 on ONNX Runtime on this machine: {figures}, so {does}; set precision '
            'to fp32, or backend to openvino')
        if not strict:
            super().close()
            self._agreement = ''
            self._load(original)

    def describe(self) -> dict[str, str]:
        """Return the pipeline's description, with the agreement if it was measured."""
        types = self._executed.text() if self._executed else ''
        return {
            **super().describe(), 'precision_effective': self._effective(),
            **({'execution_types': types} if types else {}),
            **({'agreement': self._agreement} if self._agreement else {})}


def _together(spec: ModelSpec, options: PipelineOptions) -> tuple[int, int, int]:
    """Return the concurrent runs, the largest batch, and the threads of one run.

    A batch uses all threads, so it is instead of concurrent runs.
    """
    threads = options.num_threads or usable_cores()
    if options.max_batch > 1 and spec.dynamic_batch and not spec.size_inputs:
        return 1, options.max_batch, options.num_threads
    concurrent = min(options.concurrent_runs or options.cameras, threads)
    return concurrent, 1, options.num_threads if concurrent == 1 else max(1, threads // concurrent)
