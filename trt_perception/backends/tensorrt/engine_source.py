# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the engine of a model: converts the model to the requested precision, then finds or builds the engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ...model.spec import ModelSpec, require_onnx
from ...model.unchanged import unchanged
from ...monitor import Monitor
from ...pipeline.options import PipelineOptions
from ...pipeline.plausible_outputs import require_plausible_outputs
from ...pipeline.tensorrt_options import BuildOptions
from ...precision.gate import require_frames
from ...precision.prepare import ConversionOptions, PreparedModel, float_edges, prepare_model, require_convertible
from ...precision.strong_types import for_strong_types
from .build.builder import gpu_to_build_for
from .build.process import build_in_process
from .build.request import build_request
from .cache.engine_cache import BuiltEngine, CachedEngine, EngineCache
from .cache.engine_key import EngineKey
from .cache.timings import timing_cache_path
from .cuda.gpu_info import GpuInfo, gpu_info
from .library.compat import TensorRt, load_for


@dataclass(frozen=True)
class EngineSource:
    """Provides the engine of a model, both for the node and for `trt_perception build`.

    Call require_possible, prepare, then engine or build.

    spec: the original model; options: how to run it
    monitor: follows the conversion and the build
    tensorrt: the TensorRT that builds, None for the installed one; cache: the engines of this machine
    """

    spec: ModelSpec
    options: PipelineOptions
    monitor: Monitor = field(default_factory=Monitor)
    tensorrt: TensorRt | None = None
    cache: EngineCache = field(default_factory=EngineCache)

    @property
    def library(self) -> TensorRt:
        """The TensorRT that builds; MissingDependencyError or EngineError if none is usable."""
        return self.tensorrt or load_for(self.options.build)

    def require_possible(self, into_cache: bool = True) -> None:
        """Check the options before the conversion, which takes minutes.

        into_cache: whether the engine is for this machine's GPU; if not, the options may name other GPUs
        Raises ModelError, CalibrationError, EngineError, MissingDependencyError.
        """
        require_onnx(self.spec, 'a TensorRT engine')
        library, options = self.library, self.options
        require_convertible(self.spec, options.precision, options.calibration)
        require_frames(self.spec, options, ())
        build_request(self.spec, options.build)
        gpu: GpuInfo | None = None
        if into_cache:
            gpu = gpu_info(options.run.device_index)
        elif not options.build.compute_capabilities:
            gpu = gpu_to_build_for(library, options.run.device_index)
        library.require_options(options.build, gpu)

    def require_plausible_outputs(self) -> None:
        """Raise ModelError if a detector does not decode its boxes; EngineError if cancelled."""
        require_plausible_outputs(self.spec, self.options.num_threads, self.monitor)

    def require_parsable(self) -> None:
        """Let TensorRT read the model, which takes about a second; ModelError if it cannot.

        Raises EngineError if that process crashes, without a GPU (except with TensorRT for RTX), or if cancelled;
        MissingDependencyError without TensorRT.
        """
        build_in_process(
            replace(
                build_request(
                    self._float_spec(), self.options.build, device_index=self.options.run.device_index,
                    tensorrt=self.library.name),
                only_parse=True),
            self.monitor)

    def prepare(self) -> PreparedModel:
        """Return the model in the precision of the options and in a form that this TensorRT accepts; cached.

        Raises the errors of prepare_model.
        """
        prepared = prepare_model(
            self._float_spec(), self.options.precision, self.options.calibration, monitor=self.monitor,
            conversion=ConversionOptions.for_gate(self.options.min_agreement))
        if self.library.is_strongly_typed(self.options.build):
            return for_strong_types(prepared, self.monitor)
        return prepared

    def engine(self, prepared: PreparedModel) -> CachedEngine:
        """Return the engine for this GPU from the cache, or build and store it.

        Its sidecar holds the report of builder.build_plan. Raises the errors of the build, ModelError if boxes are not
        decoded or if the model's files change during the build, EngineError without a GPU, MissingDependencyError
        without TensorRT.
        """
        library, gpu = self.library, gpu_info(self.options.run.device_index)
        key = engine_key(
            prepared.spec, self._build_options(prepared), library, gpu, prepared.calibration_sha256)
        timings = timing_cache_path(
            self.cache.root, library.identity, gpu.name, gpu.compute_capability,
            prepared.spec.sha256) if self.options.timing_cache else None
        return self.cache.get_or_build(
            key, prepared.path.name, lambda: self._built(prepared, timings), self.monitor)

    def build(self, prepared: PreparedModel) -> BuiltEngine:
        """Build the engine without the cache, also for other GPUs; raises the same errors as `engine`."""
        return self._built(prepared, None)

    def _built(self, prepared: PreparedModel, timings: Path | None) -> BuiltEngine:
        spec, original = prepared.spec, self.spec
        request = build_request(
            spec, self._build_options(prepared), device_index=self.options.run.device_index,
            tensorrt=self.library.name, timing_cache=timings, debug_log=self.monitor.debug_log)
        with unchanged(original.path, original.sha256, 'its boxes were checked', original.files, storing=False):
            self.require_plausible_outputs()
        with unchanged(spec.path, spec.sha256, 'its engine was built', spec.files) as check:
            def progress(text: str, done: float, total: float | None) -> None:
                # Called at least once a second: the build ends as soon as the file has changed.
                check()
                self.monitor.progress(text, done, total)

            return build_in_process(request, replace(self.monitor, progress=progress))

    def _float_spec(self) -> ModelSpec:
        """Return the model with a float input and float outputs, which the GPU's preprocessing and decoding have."""
        return float_edges(self.spec, self.monitor.following(f'reading {self.spec.path.name}'))

    def _build_options(self, prepared: PreparedModel) -> BuildOptions:
        return replace(self.options.build, precision=prepared.precision)


def engine_key(
    spec: ModelSpec, options: BuildOptions, tensorrt: TensorRt, gpu: GpuInfo, calibration_sha256: str = '',
) -> EngineKey:
    """Return the identity of the engine for `spec` on this GPU."""
    return EngineKey(
        spec.sha256, tensorrt.identity, gpu.name, gpu.compute_capability, gpu.multiprocessors, gpu.memory_mib, options,
        calibration_sha256)
