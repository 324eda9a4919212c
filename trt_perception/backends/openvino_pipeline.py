# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a model on OpenVINO, in fp32, half precision or int8."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np

from ..cores import usable_cores
from ..errors import EngineError
from ..image.frame import Frame
from ..model.geometry import Geometry
from ..model.spec import ModelSpec
from ..model.unchanged import unchanged
from ..monitor import Monitor
from ..openvino_runtime.backend import OpenVinoBackend, capabilities
from ..openvino_runtime.compilation import Compilation, half_type
from ..pipeline.host import HostPipeline
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import STRICT_PRECISION, PipelineOptions
from ..pipeline.plausible_outputs import require_plausible_outputs
from ..pipeline.preprocess import Preprocessor, codes_of_pixels
from ..pipeline.probe import after_conversion
from ..precision.gate import checking_frames, measure_agreement, needed_agreement, require_agreement
from ..precision.prepare import ConversionOptions, prepare_model
from ..precision.stored_int8 import OpenVinoInt8, for_openvino


class OpenVinoPipeline(HostPipeline):
    """HostPipeline over OpenVINO, which takes the pixels as they are and normalises them in the compiled model.

    fp32 pins all arithmetic to float32. fp16 is bf16 or f16, or with a warning fp32 if the CPU computes in neither.
    int8 runs a file in the form for OpenVINO; its float layers are in half precision too. An int8 file of the user runs
    so that the results are those of the file (precision/stored_int8.py). describe() has what OpenVINO reports of the
    loaded model, as precision_effective and execution_types.
    """

    def __init__(
        self, spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self._monitor = monitor or Monitor()
        self._from_pixels = takes_pixels(spec)
        self._openvino = OpenVinoBackend(
            compilation(spec), spec.sha256, options.precision, options.num_threads, self._monitor)
        concurrent = min(options.concurrent_runs or options.cameras, options.num_threads or usable_cores())
        super().__init__(spec, self._openvino, settings, concurrent)
        self._options = options
        self._original = spec
        self._agreement = ''
        self._int8 = OpenVinoInt8()

    def open(self) -> None:
        """Load the model, quantised if int8 is requested, run it, check its precision and its accuracy if required."""
        options, original = self._options, self._original
        self._agreement = ''
        converted = options.precision == 'int8' and original.stored_precision == 'fp32'
        if options.precision == 'fp16' and options.strict_precision and half_type(capabilities()) is None:
            raise EngineError(
                'precision fp16 was requested, but this CPU computes in neither bf16 nor f16, and OpenVINO would run '
                f'{original.path.name} in fp32{STRICT_PRECISION}')
        frames: tuple[Frame, ...] = ()
        spec = original
        if converted:
            require_plausible_outputs(original, options.num_threads, self._monitor)
            prepared = prepare_model(
                original, 'int8', options.calibration, monitor=self._monitor,
                conversion=ConversionOptions.for_gate(options.min_agreement, 'openvino'))
            frames = tuple(prepared.checking)
            spec = prepared.spec
        self.spec = spec
        self._int8 = for_openvino(spec)
        self._from_pixels = takes_pixels(spec)
        other = options.precision in ('fp16', 'int8') and options.precision != original.stored_precision
        try:
            with (
                unchanged(spec.path, spec.sha256, 'it was loaded', spec.files, storing=False) as check,
                after_conversion(original, options.precision) if other else contextlib.nullcontext(),
            ):
                work = replace(compilation(spec), unsigned=self._int8.unsigned, in_float=bool(self._int8.in_float))
                self._openvino = OpenVinoBackend(
                    work, spec.sha256, options.precision, options.num_threads, self._monitor, check,
                    self.concurrent_runs)
                self._backend = self._openvino
                super().open()
            self._check_precision()
            self._check_accuracy(frames)
        except BaseException:
            self.close()
            raise

    def describe(self) -> dict[str, str]:
        """Return the pipeline's description, with the agreement if it was measured."""
        effective = self._openvino.types.precision_effective or self.spec.stored_precision
        return {
            **super().describe(), 'precision_effective': effective,
            **({'agreement': self._agreement} if self._agreement else {})}

    def _input(self, preprocess: Preprocessor, frame: Frame) -> tuple[np.ndarray, Geometry]:
        return preprocess.bgr_pixels(frame) if self._from_pixels else preprocess(frame)

    def _check_precision(self) -> None:
        options, name = self._options, self._original.path.name
        shortfall = self._openvino.types.shortfall(options.precision)
        if shortfall and options.strict_precision:
            raise EngineError(f'{shortfall}{STRICT_PRECISION}')
        if self._int8.in_float:
            self._monitor.log(
                'warning', f'{name} runs in float, with the rounding of its int8, because {self._int8.in_float}: for '
                'int8 make the file from the fp32 model on this machine with trt_perception quantize --form openvino')
        elif shortfall:
            self._monitor.log('warning', shortfall)

    def _check_accuracy(self, frames: tuple[Frame, ...]) -> None:
        options, original = self._options, self._original
        if not needed_agreement(original, options):
            return
        compared = checking_frames(original, options, frames, self._monitor)
        report = measure_agreement(original, self, options, compared, self._monitor)
        require_agreement(original, report, options)
        self._agreement = report.summary


def takes_pixels(spec: ModelSpec) -> bool:
    """Return whether the compiled model converts the pixels: not for a quantised input of other integers."""
    return codes_of_pixels(spec) is None


def compilation(spec: ModelSpec) -> Compilation:
    """Return the model as OpenVINO compiles it, with the spec's preprocessing."""
    options = spec.preprocessing
    path, shape, order = str(spec.path.absolute()), spec.input_shape, options.color_order
    if spec.input_dtype.kind in 'iu':
        # The integers are the pixels, or the Preprocessor makes them.
        return Compilation(
            path, spec.input_name, shape, spec.layout, order, from_pixels=takes_pixels(spec),
            size_inputs=spec.size_inputs)
    # x = (pixel * scale - mean) / std = (pixel - mean / scale) / (std / scale)
    mean = tuple(value / options.scale for value in options.mean[:spec.channels])
    scale = tuple(value / options.scale for value in options.std[:spec.channels])
    return Compilation(
        path, spec.input_name, shape, spec.layout, order, mean if any(mean) else (),
        scale if any(value != 1.0 for value in scale) else (), size_inputs=spec.size_inputs)
