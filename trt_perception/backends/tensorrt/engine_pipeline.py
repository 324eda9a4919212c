# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes a running pipeline of a model's engine: loads it, runs it once, checks its precision and accuracy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from ...closing import Closing
from ...errors import EngineError, PlanError
from ...image.frame import Frame
from ...pipeline.interface import Pipeline, PipelineOutput, PostprocessSettings
from ...pipeline.options import STRICT_PRECISION
from ...pipeline.probe import after_conversion
from ...precision.agreement_report import AgreementReport
from ...precision.gate import (
    checking_frames,
    comparison_identity,
    measure_agreement,
    needed_agreement,
    require_agreement,
)
from ...precision.prepare import PreparedModel
from .cache.engine_cache import CachedEngine
from .engine_source import EngineSource
from .library.inspector import layers_from_records, precision_doubt, summarize
from .run.choose import choose_pipeline

# Key of the accuracy report in a sidecar.
_AGREEMENT = 'agreement'


class EnginePipeline(Closing):
    """Runs a model on TensorRT; `open` builds its engine if it is not in the cache.

    `open` raises ModelError, CalibrationError or EngineError for every fault of the model and its engine.
    """

    def __init__(
        self, source: EngineSource, settings: PostprocessSettings | None = None, prepared: PreparedModel | None = None,
        choose: Callable[..., Pipeline] = choose_pipeline,
    ) -> None:
        """Store the arguments; `open` does the work.

        settings: thresholds for the results
        prepared: result of source.prepare(), None to prepare the model in `open`
        choose: returns the pipeline that runs the engine, see choose_pipeline
        """
        self.spec = source.spec
        self._source = source
        self._settings = settings or PostprocessSettings.of_model(source.spec)
        self._prepared = prepared
        self._choose = choose
        self._inner: Pipeline | None = None
        self._provenance: dict[str, str] = {}

    @property
    def settings(self) -> PostprocessSettings:
        """Thresholds; any thread may replace them at any time."""
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
        source = self._source
        source.require_possible()
        prepared = self._prepared or source.prepare()
        engine = source.engine(prepared)
        try:
            self._open(prepared, engine)
        except PlanError as error:
            if not engine.hit:
                raise
            # The file is intact but TensorRT cannot load it, for example after a driver update: build it again, once.
            # Other errors, such as too little GPU memory, must not discard the engine.
            source.monitor.log('warning', f'the cached engine cannot be loaded ({error}); building it again')
            source.cache.discard(engine)
            engine = source.engine(prepared)
            self._open(prepared, engine)
        try:
            self._check_precision(engine)
            report = self._agreement(engine, prepared)
        except BaseException:
            self.close()
            raise
        self._provenance = {
            'engine': engine.digest, 'engine_built': str(engine.sidecar.get('built', '')),
            'engine_from': 'cache' if engine.hit else f'build ({engine.reason})',
            'precision_effective': str(engine.sidecar.get('precision_effective', '')),
            **({'agreement': report.summary} if report is not None else {})}

    def run(self, frame: Frame, masks: bool = False) -> PipelineOutput:
        """Process one frame; masks: with instance masks, if the model has them."""
        if self._inner is None:
            raise EngineError('the pipeline is not open')
        return self._inner.run(frame, masks) if masks else self._inner.run(frame)

    def run_batch(self, frames: Sequence[Frame], masks: bool = False) -> list[PipelineOutput]:
        """Process frames together, at most max_batch."""
        if self._inner is None:
            raise EngineError('the pipeline is not open')
        return self._inner.run_batch(frames, masks) if masks else self._inner.run_batch(frames)

    @property
    def concurrent_runs(self) -> int:
        """How many threads may call run and run_batch at the same time."""
        return self._inner.concurrent_runs if self._inner is not None else 1

    @property
    def frames_of_camera(self) -> int:
        """How many frames of one camera may usefully be in work at the same time."""
        return self._inner.frames_of_camera if self._inner is not None else 1

    @property
    def max_batch(self) -> int:
        """The largest number of frames for run_batch."""
        return self._inner.max_batch if self._inner is not None else 1

    def describe(self) -> dict[str, str]:
        """Return the running pipeline's description and where its engine comes from."""
        return {**(self._inner.describe() if self._inner is not None else {}), **self._provenance}

    def close(self) -> None:
        """Free everything; safe in any state."""
        inner, self._inner = self._inner, None
        self._provenance = {}
        if inner is not None:
            inner.close()

    def _open(self, prepared: PreparedModel, engine: CachedEngine) -> None:
        source = self._source
        # Assigned before open(), so that settings that change during it take effect.
        self._inner = self._choose(
            prepared.spec, lambda: engine.plan, source.library, source.options.run, self._settings,
            str(engine.sidecar.get('precision_effective', '')), source.monitor.log)
        converted = prepared.precision != self.spec.stored_precision
        try:
            with after_conversion(self.spec, prepared.precision) if converted else contextlib.nullcontext():
                self._inner.open()
        except BaseException:
            self.close()
            raise

    def _check_precision(self, engine: CachedEngine) -> None:
        options = self._source.options
        doubt = precision_doubt(options.precision, summarize(layers_from_records(engine.sidecar['layers'])))
        if doubt and options.strict_precision:
            raise EngineError(f'{doubt}{STRICT_PRECISION}')
        if doubt:
            self._source.monitor.log('warning', doubt)

    def _agreement(self, engine: CachedEngine, prepared: PreparedModel) -> AgreementReport | None:
        """Return the agreement with ONNX Runtime: measured, or from the sidecar. If no gate is set, only the latter."""
        options, monitor = self._source.options, self._source.monitor
        report = AgreementReport.from_json(engine.sidecar.get(_AGREEMENT))
        if not needed_agreement(self.spec, options):
            return report
        inner = self._inner
        assert inner is not None
        frames = checking_frames(self.spec, options, prepared.checking, monitor)
        # Compare the frames themselves, because the content of a source folder may change.
        if report is None or report.compared != comparison_identity(self.spec, frames, inner.settings):
            report = measure_agreement(self.spec, inner, options, frames, monitor)
            # Store it even if it is too low, so that the next attempt need not measure again.
            try:
                self._source.cache.annotate(engine, {_AGREEMENT: report.to_json()})
            except EngineError as error:
                # The next start measures again, but this one must not fail.
                monitor.log('warning', f'the agreement cannot be stored: {error}')
        require_agreement(self.spec, report, options)
        return report
