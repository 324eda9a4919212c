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
from ..pipeline.options import PipelineOptions
from ..pipeline.plausible_outputs import require_plausible_outputs
from ..pipeline.probe import after_conversion, probe_frames
from ..pipeline.timing import times_in_turns
from ..precision.gate import checking_frames, measure_agreement, needed_agreement, require_agreement
from ..precision.prepare import ConversionOptions, prepare_model
from ..progress import counted

# Enough to see that int8 is slower, and a small part of the time that `open` takes.
_TIMED_TURNS = 7
_TIMED_SECONDS = 1.0


class OnnxRuntimePipeline(HostPipeline):
    """HostPipeline over ONNX Runtime.

    With precision fp16 the file runs in its stored precision: ONNX Runtime has no fp16 arithmetic on CPUs and would
    convert each tensor back and forth. describe() reports the real precision as precision_effective.
    """

    def __init__(
        self, spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        # Without a monitor nobody can cancel.
        self._canceller = monitor
        concurrent, batch, self._threads = _together(spec, options)
        super().__init__(
            spec, OnnxRuntimeBackend(spec.path, self._threads, monitor, whole_model), settings, concurrent, batch)
        self._options = options
        self._monitor = monitor or Monitor()
        self._original = spec
        self._agreement = ''

    def open(self) -> None:
        """Load the model, quantised if int8 is requested, run it once, and check its accuracy if required."""
        options = self._options
        convert = options.precision == 'int8' and self._original.stored_precision == 'fp32'
        effective = 'int8' if convert else self._original.stored_precision
        if effective != options.precision and options.strict_precision:
            raise EngineError(
                f'precision {options.precision} was requested, but ONNX Runtime would run '
                f'{self._original.path.name} in {effective}; strict_precision is set')
        frames: tuple[Frame, ...] = ()
        if convert:
            require_plausible_outputs(self._original, options.num_threads, self._canceller)
            prepared = prepare_model(
                self._original, 'int8', options.calibration, monitor=self._monitor,
                conversion=ConversionOptions.for_gate(options.min_agreement))
            frames = tuple(prepared.checking)
            self.spec = prepared.spec
            self._backend = OnnxRuntimeBackend(prepared.path, self._threads, self._canceller, whole_model)
        try:
            with (
                unchanged(self.spec.path, self.spec.sha256, 'it was loaded', self.spec.files, storing=False),
                after_conversion(self._original, 'int8') if convert else contextlib.nullcontext(),
            ):
                super().open()
        except BaseException:
            self.close()
            raise
        if effective != options.precision:
            self._monitor.log(
                'warning', f'precision {options.precision} was requested, but ONNX Runtime runs '
                f'{self._original.path.name} in {effective}, as stored in the file')
        # An unconverted file would be compared with itself, so this needs an explicit min_agreement.
        gate = needed_agreement(self._original, options) and (convert or options.min_agreement is not None)
        try:
            if gate:
                compared = checking_frames(self._original, options, frames, self._monitor)
                report = measure_agreement(self._original, self, options, compared, self._monitor)
                require_agreement(self._original, report, options)
                self._agreement = report.summary
            if convert:
                self._warn_if_slower()
        except BaseException:
            self.close()
            raise

    def _warn_if_slower(self) -> None:
        """Warn if int8 takes longer than fp32 on this machine.

        ONNX Runtime computes a convolution in int8 only if its output is quantised too, which TensorRT's form of the
        file does not do. So it converts to int8 and back, and computes in float32.
        """
        original = self._original
        reference = HostPipeline(
            original, OnnxRuntimeBackend(original.path, self._threads, self._canceller), self.settings)
        with unchanged(original.path, original.sha256, 'it was timed', original.files, storing=False), reference:
            turns = counted(
                range(_TIMED_TURNS), 'timing fp32 and int8', _TIMED_TURNS,
                self._monitor.following(f'timing {original.path.name}'))
            fp32, int8 = times_in_turns(reference, self, probe_frames(original), turns, _TIMED_SECONDS)
        if int8 > fp32:
            self._monitor.log(
                'warning', f'int8 is slower than fp32 on ONNX Runtime on this machine: {int8:.1f} ms instead of '
                f'{fp32:.1f} ms for one inference; set precision to fp32, or backend to openvino')

    def describe(self) -> dict[str, str]:
        """Return the pipeline's description, with the agreement if it was measured."""
        return {**super().describe(), **({'agreement': self._agreement} if self._agreement else {})}


def _together(spec: ModelSpec, options: PipelineOptions) -> tuple[int, int, int]:
    """Return the concurrent runs, the largest batch, and the threads of one run.

    A batch uses all threads, so it is instead of concurrent runs.
    """
    threads = options.num_threads or usable_cores()
    if options.max_batch > 1 and spec.dynamic_batch and not spec.size_inputs:
        return 1, options.max_batch, options.num_threads
    concurrent = min(options.concurrent_runs or options.cameras, threads)
    return concurrent, 1, options.num_threads if concurrent == 1 else max(1, threads // concurrent)
