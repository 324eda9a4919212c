# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline that does everything on the GPU, from the frame's pixels to the detections."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ....closing import Closing
from ....errors import EngineError
from ....image.frame import Frame
from ....model.heads.detection import RawOutput
from ....model.heads.yolo import YoloHead
from ....model.spec import ModelSpec
from ....monitor import LogCallback, unlogged
from ....pipeline.interface import PipelineOutput, PostprocessSettings
from ....pipeline.preprocess import grey_frame
from ....pipeline.probe import checked_spec, probe_frames
from ....pipeline.tensorrt_options import RunOptions
from ....pipeline.together import require_independent
from ..cache.kernel_cache import kernel_cubin
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession
from ..library.compat import TensorRt
from ..library.engine_log import WARNING
from .batch_work import BatchWork
from .frame_work import FrameWork
from .resampling import device_frame
from .runtime import Engine
from .turns import Turns

Work = FrameWork | BatchWork
AnyWork = TypeVar('AnyWork', FrameWork, BatchWork)


class DevicePipeline(Closing):
    """Preprocessing, network, decoding and NMS as one CUDA graph.

    The outputs of a classifier and of a FamilyHead are decoded on the host: describe() has this as `decode`. With more
    than 1024 candidates (thresholds near zero) the host does NMS. The results are those of HostPipeline with the same
    engine. Any thread may replace `settings` at any time. One thread owns the pipeline. With options.concurrent_runs,
    more threads may call `run` at the same time: each run has a stream, an execution context and memory of its own.
    With options.max_batch and a model with a dynamic batch, `run_batch` runs frames together.

    load_plan: returns the plan's bytes; called by each `open`
    precision_effective: the engine's real precision, for diagnostics; '' for that of the model file
    log: called with a severity of engine_log and a line

    session, frame_work: the GPU and the work for a frame, for measurements and tests; None if the pipeline is not open
    batch_work: the work for several frames instead, if max_batch is above 1
    concurrent_runs: how many threads may call `run` and `run_batch` at the same time
    max_batch: largest number of frames of run_batch
    """

    def __init__(
        self, spec: ModelSpec, load_plan: Callable[[], bytes], tensorrt: TensorRt, options: RunOptions | None = None,
        settings: PostprocessSettings | None = None, precision_effective: str = '', log: LogCallback | None = None,
    ) -> None:
        self.spec = spec
        self.settings = settings or PostprocessSettings.of_model(spec)
        self._load_plan = load_plan
        self._tensorrt = tensorrt
        self._options = options or RunOptions()
        self._precision_effective = precision_effective or spec.stored_precision
        self._log = log or unlogged
        self.session: CudaSession | None = None
        self.frame_work: FrameWork | None = None
        self.batch_work: BatchWork | None = None
        # What no thread uses now, each a FrameWork or a BatchWork; None if there is only one of each.
        self._idle: queue.SimpleQueue[tuple[CudaSession, Any]] | None = None
        self.concurrent_runs = 1
        self.max_batch = self._options.max_batch if spec.dynamic_batch and not spec.size_inputs else 1
        self._turns: Turns | None = None
        self._device_name = ''

    @property
    def frames_of_camera(self) -> int:
        """How many frames of one camera may usefully be in work at the same time."""
        return min(self.concurrent_runs, 2)

    def open(self) -> None:
        """Load the engine, allocate memory, and run test images until the graph is captured.

        Raises EngineError, or ModelError if the engine's outputs cannot be right.
        """
        self.close()
        session = self.session = CudaSession(self._options.device_index)
        self._device_name = session.device_name
        try:
            cubin = kernel_cubin(session.compute_capability, self._log)
            with session.active('loading the engine'):
                engine = session.adopt(
                    Engine(session, self._tensorrt, self._load_plan(), self.spec, self.max_batch))
                module = session.adopt(KernelModule(session.driver, cubin))
                # A batch fills the GPU, a single image may not: then it is faster if several of them share it.
                if engine.batch > 1 and self._options.concurrent_runs > 1:
                    self._turns = Turns(session)
                work = self._new_work(session, engine, module)
                if isinstance(work, BatchWork):
                    self.batch_work = work
                else:
                    self.frame_work = work
            # The first run, without the graph, also reports values that are not finite.
            self.run(grey_frame(self.spec))
            frames = probe_frames(self.spec)
            alone = [self._raw_outputs([frame])[0] for frame in frames]
            self.spec = checked_spec(self.spec, alone)
            work.head = self.spec.head
            if self.max_batch > 1:
                self._check_batch(*frames)
            if isinstance(work, BatchWork):
                self._warm_up(session, work)
            self._add_runs(session, work, engine, cubin)
        except BaseException:
            self.close()
            raise

    def run(self, frame: Frame, masks: bool = False) -> PipelineOutput:
        """Process one frame; FrameError for a bad frame, EngineError if the GPU fails.

        masks: with instance masks, if the model has them; the host computes them from the prototypes, which are copied
            from the GPU for these frames only
        The times: preprocess copies the frame into page-locked memory, infer is all GPU work, postprocess reads the
        result.
        """
        session, work = self.session, self.frame_work
        if session is None or work is None:
            if self.batch_work is None:
                raise EngineError('the pipeline is not open')
            return self.run_batch([frame], masks)[0]
        with self._idle_run(session, work) as (session, work):
            return self._run(session, work, frame, masks)

    @contextlib.contextmanager
    def _idle_run(self, session: CudaSession, work: AnyWork) -> Iterator[tuple[CudaSession, AnyWork]]:
        """Yield these, or with several runs at the same time those that no other thread uses."""
        idle = self._idle
        if idle is None:
            yield session, work
            return
        taken = idle.get()
        try:
            yield taken
        finally:
            idle.put(taken)

    def _run(self, session: CudaSession, work: FrameWork, frame: Frame, masks: bool) -> PipelineOutput:
        settings = self.settings
        started = time.perf_counter()
        form, frame = device_frame(frame)
        with session.active('processing a frame'):
            work.prepare(form)
            work.stage(frame.data[:form.size], settings)
            staged = time.perf_counter()
            work.launch()
            work.wait()
            inferred = time.perf_counter()
            result = work.result(settings, masks)
        finished = time.perf_counter()
        return PipelineOutput(result, {
            'preprocess': (staged - started) * 1e3, 'infer': (inferred - staged) * 1e3,
            'postprocess': (finished - inferred) * 1e3}, settings)

    def run_batch(self, frames: Sequence[Frame], masks: bool = False) -> list[PipelineOutput]:
        """Process 1 to max_batch frames together, or one after the other if that is 1; see `run`.

        The times are those of the whole batch.
        """
        session, work = self.session, self.batch_work
        if session is None or work is None:
            return [self.run(frame, masks) for frame in frames]
        with self._idle_run(session, work) as (session, work):
            return self._run_batch(session, work, frames, masks)

    def _run_batch(
        self, session: CudaSession, work: BatchWork, frames: Sequence[Frame], masks: bool,
    ) -> list[PipelineOutput]:
        settings = self.settings
        started = time.perf_counter()
        # All of them first: a bad frame leaves nothing half done.
        readable = [device_frame(frame) for frame in frames]
        with session.active('processing frames'):
            work.prepare([form for form, _ in readable])
            work.stage([frame.data[:form.size] for form, frame in readable], settings)
            staged = time.perf_counter()
            work.launch()
            work.wait()
            inferred = time.perf_counter()
            results = work.results(settings, masks)
        finished = time.perf_counter()
        return [
            PipelineOutput(result, {
                'preprocess': (staged - started) * 1e3, 'infer': (inferred - staged) * 1e3,
                'postprocess': (finished - inferred) * 1e3}, settings)
            for result in results]

    def _new_work(self, session: CudaSession, engine: Engine, module: KernelModule) -> Work:
        if engine.batch == 1:
            return FrameWork(self.spec, self._options, session, engine, module, self._log)
        turn = None if self._turns is None else self._turns.join()
        return BatchWork(self.spec, self._options, session, engine, module, self._log, turn)

    def _add_runs(self, first: CudaSession, work: Work, engine: Engine, cubin: bytes) -> None:
        """Make what further runs at the same time need. With too little memory for it, warn and do without."""
        idle: queue.SimpleQueue[tuple[CudaSession, Any]] = queue.SimpleQueue()
        idle.put((first, work))
        for _ in range(self._options.concurrent_runs - 1):
            # The first session frees it, and before the engine: an execution context must not outlive its engine.
            owned = first.adopt(_Owned(CudaSession(self._options.device_index)))
            session = owned.session
            try:
                with session.active('preparing a second stream'):
                    context = session.adopt(engine.another(session))
                    module = session.adopt(KernelModule(session.driver, cubin))
                    another = self._new_work(session, context, module)
                if isinstance(another, BatchWork):
                    self._warm_up(session, another)
                else:
                    self._run(session, another, grey_frame(self.spec), False)
            except EngineError as error:
                if error.fatal:
                    raise
                first.release(owned)
                self._log(WARNING, f'fewer frames run at the same time on the GPU: {error}')
                break
            idle.put((session, another))
        self.concurrent_runs = idle.qsize()
        self._idle = idle if self.concurrent_runs > 1 else None

    def _warm_up(self, session: CudaSession, work: BatchWork) -> None:
        """Run each batch once: the first run of an execution context takes longer."""
        for count in work.sizes:
            self._run_batch(session, work, [grey_frame(self.spec)] * count, False)
        with session.active('preparing for the cameras'):
            work.forget_formats()

    def _check_batch(self, first: Frame, second: Frame) -> None:
        """Run two different images together; EngineError if the outputs are not those of each image with itself.

        The same kernels run in both cases, so the outputs hardly differ, whatever the precision.
        """
        together = self._raw_outputs([first, second])
        alone = [self._raw_outputs([first, first])[0], self._raw_outputs([second, second])[1]]
        require_independent(self.spec, together, alone)

    def _raw_outputs(self, frames: Sequence[Frame]) -> list[RawOutput]:
        """Return the network's outputs for frames of 8 bits that run together, without decoding."""
        session, work = self.session, self.batch_work
        assert session is not None
        if work is None:
            return [self._raw_output(frame) for frame in frames]
        readable = [device_frame(frame) for frame in frames]
        with session.active('running test images'):
            work.prepare([form for form, _ in readable])
            work.stage([frame.data[:form.size] for form, frame in readable], self.settings)
            work.launch()
            work.wait()
            return work.raw_outputs()

    def _raw_output(self, frame: Frame) -> RawOutput:
        session, work = self.session, self.frame_work
        assert session is not None and work is not None
        form, frame = device_frame(frame)
        with session.active('running a test image'):
            work.prepare(form)
            work.stage(frame.data[:form.size], self.settings)
            work.launch()
            work.wait()
            return work.raw_output()

    def describe(self) -> dict[str, str]:
        """Return provenance for diagnostics; cuda_graph is 'on', or 'off: ' and the reason."""
        work = self.frame_work or self.batch_work
        return {
            'backend': 'tensorrt', 'backend_version': self._tensorrt.version_text, 'device': self._device_name,
            'pipeline': 'device', 'decode': 'device' if work and isinstance(self.spec.head, YoloHead) else 'host',
            'precision_effective': self._precision_effective,
            'cuda_graph': work.graph_state if work else 'off: not open',
            'zero_copy': 'on' if work and work.zero_copy else 'off',
            **({'concurrent_inferences': str(self.concurrent_runs)} if self.concurrent_runs > 1 else {}),
            **({'max_batch': str(self.max_batch)} if self.max_batch > 1 else {})}

    def close(self) -> None:
        """Free everything; safe in any state and repeatedly."""
        self.frame_work = self.batch_work = self._idle = self._turns = None
        self.concurrent_runs = 1
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def __del__(self) -> None:
        """Close the session if close() was not called."""
        session = getattr(self, 'session', None)
        if session is not None:
            session.close()


class _Owned:
    """A session that another session closes."""

    def __init__(self, session: CudaSession) -> None:
        self.session = session

    def free(self) -> None:
        """Close it; does nothing the second time."""
        self.session.close()
