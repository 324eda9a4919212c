# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a model file to a running engine: precision, cache or build, pipeline, accuracy gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...closing import Closing
from ...errors import EngineError, PlanError
from ...image.frame import Frame
from ...model.spec import ModelSpec
from ...pipeline.decoded_boxes import require_decoded_boxes
from ...pipeline.interface import Pipeline, PipelineOutput, PostprocessSettings
from ...pipeline.options import Monitor, PipelineOptions
from ...precision.gate import (
    checking_frames,
    comparison_identity,
    measure_agreement,
    needed_agreement,
    require_agreement,
    require_frames,
)
from ...precision.prepare import PreparedModel
from ...precision.strong_types import precise_model, require_convertible
from .build.request import build_request
from .cache.engine_cache import CachedEngine, EngineCache
from .cuda.gpu_info import gpu_info
from .engine_source import cached_engine
from .library.compat import TensorRt, load
from .library.inspector import layers_from_records, precision_doubt, summarize
from .run.choose import choose_pipeline


class EnginePipeline(Closing):
    """A model on TensorRT; `open` builds its engine where the cache has none.

    Everything that can fail fails in `open`: ModelError, CalibrationError, EngineError.
    """

    def __init__(
        self, spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None = None,
        monitor: Monitor | None = None, tensorrt: TensorRt | None = None, prepared: PreparedModel | None = None,
    ) -> None:
        """Take the model and how it is run.

        tensorrt: what runs it, None for what is installed; prepared: the model in its precision, None to make it
        """
        self.spec = spec
        self._tensorrt = tensorrt
        self._prepared = prepared
        self._options = options
        self._settings = settings or PostprocessSettings()
        self._monitor = monitor or Monitor()
        self._cache = EngineCache()
        self._inner: Pipeline | None = None
        self._provenance: dict[str, str] = {}

    @property
    def settings(self) -> PostprocessSettings:
        """Thresholds; may be replaced at any time, from any thread."""
        return self._settings

    @settings.setter
    def settings(self, value: PostprocessSettings) -> None:
        self._settings = value
        inner = self._inner
        if inner is not None:
            inner.settings = value

    def open(self) -> None:
        """Prepare the model, find or build the engine, load it, run it once, compare it with fp32."""
        self.close()
        tensorrt = self._tensorrt or load()
        require_sensible(self.spec, self._options)
        tensorrt.require_options(self._options.build, gpu_info(self._options.run.device_index))
        prepared = self._prepared or precise_model(
            self.spec, self._options, self._monitor, tensorrt.is_strongly_typed(self._options.build))
        spec = prepared_spec(self.spec, prepared)
        engine = self._engine(spec, prepared, tensorrt)
        try:
            self._open(spec, engine, tensorrt)
        except PlanError as error:
            if not engine.hit:
                raise
            # A sound file that TensorRT does not load, after an update of the driver say: once more from the model. Not
            # after other errors: for want of GPU memory, say, no engine is thrown away.
            self._monitor.on_log('warning', f'the cached engine does not load ({error}); building it again')
            self._cache.discard(engine)
            engine = self._engine(spec, prepared, tensorrt)
            self._open(spec, engine, tensorrt)
        try:
            self._check_precision(engine)
            self._check_agreement(engine, prepared)
        except BaseException:
            self.close()
            raise
        self._provenance = {
            'engine': engine.digest, 'engine_built': str(engine.sidecar.get('built', '')),
            'engine_from': 'cache' if engine.hit else f'build ({engine.reason})',
            'precision_effective': str(engine.sidecar.get('precision_effective', '')),
            **({'agreement': engine.sidecar['agreement']['summary']} if 'agreement' in engine.sidecar else {})}

    def run(self, frame: Frame) -> PipelineOutput:
        """Process one frame."""
        if self._inner is None:
            raise EngineError('the pipeline is not open')
        return self._inner.run(frame)

    def describe(self) -> dict[str, str]:
        """Return the running pipeline's description and where its engine comes from."""
        return {**(self._inner.describe() if self._inner is not None else {}), **self._provenance}

    def close(self) -> None:
        """Free everything; safe in any state."""
        inner, self._inner = self._inner, None
        self._provenance = {}
        if inner is not None:
            inner.close()

    def _engine(self, spec: ModelSpec, prepared: PreparedModel, tensorrt: TensorRt) -> CachedEngine:
        return cached_engine(
            spec, replace(self._options.build, precision=prepared.precision),
            device_index=self._options.run.device_index, calibration_sha256=prepared.calibration_sha256,
            tensorrt=tensorrt, cache=self._cache, timing_cache=self._options.timing_cache,
            debug_log=self._monitor.debug_log,
            on_progress=self._monitor.on_progress, on_log=self._monitor.on_log, cancel=self._monitor.cancel,
            before_build=lambda: require_decoded_boxes(
                self.spec, self._options.num_threads, self._monitor.cancel))

    def _open(self, spec: ModelSpec, engine: CachedEngine, tensorrt: TensorRt) -> None:
        self._inner = choose_pipeline(
            spec, lambda: engine.plan, tensorrt, self._options.run, self._settings,
            str(engine.sidecar.get('precision_effective', '')), self._monitor.on_log)
        try:
            self._inner.open()
        except BaseException:
            self.close()
            raise

    def _check_precision(self, engine: CachedEngine) -> None:
        doubt = precision_doubt(self._options.precision, summarize(layers_from_records(engine.sidecar['layers'])))
        if doubt and self._options.strict_precision:
            raise EngineError(f'{doubt}; strict_precision is set')
        if doubt:
            self._monitor.on_log('warning', doubt)

    def _check_agreement(self, engine: CachedEngine, prepared: PreparedModel) -> None:
        if not needed_agreement(self.spec, self._options):
            return
        assert self._inner is not None
        frames = checking_frames(self.spec, self._options, prepared.checking, self._monitor)
        compared = comparison_identity(self.spec, frames, self._settings)
        report = engine.sidecar.get('agreement')
        # Not by the source's name: what is in a folder changes.
        if report is None or report.get('compared') != compared:
            report = {
                **measure_agreement(self.spec, self._inner, self._options, frames, self._monitor),
                'source': self._options.calibration_source, 'compared': compared}
            # Kept also where it is too low: the next attempt need not measure it again.
            try:
                self._cache.annotate(engine, {'agreement': report})
            except EngineError as error:
                # As with the timing cache: measured again next time, but no reason not to run now.
                self._monitor.on_log('warning', f'the agreement is not kept: {error}')
            engine.sidecar['agreement'] = report
        require_agreement(self.spec, report, self._options)


def require_sensible(spec: ModelSpec, options: PipelineOptions) -> None:
    """Raise what model and options alone tell: a conversion to int8 takes long enough to be refused before.

    Raises ModelError, CalibrationError, EngineError.
    """
    require_convertible(spec, options)
    require_frames(spec, options, ())
    build_request(spec, options.build)


def prepared_spec(spec: ModelSpec, prepared: PreparedModel) -> ModelSpec:
    """Return the spec with the file of another precision; what it takes and gives stays the same."""
    if prepared.path == spec.path:
        return spec
    from ...model.onnx_file import sha256_of
    path = Path(prepared.path)
    return replace(spec, path=path, sha256=sha256_of(path), stored_precision=prepared.precision)
