# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline that does everything on the GPU, from the frame's pixels to the detections."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

from ....closing import Closing
from ....errors import EngineError
from ....image.frame import Frame
from ....model.heads.detection import RawOutput
from ....model.spec import ModelSpec
from ....monitor import LogCallback, unlogged
from ....pipeline.interface import PipelineOutput, PostprocessSettings
from ....pipeline.preprocess import grey_frame
from ....pipeline.probe import checked_spec, probe_frames
from ....pipeline.tensorrt_options import RunOptions
from ..cache.kernel_cache import kernel_cubin
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession
from ..library.compat import TensorRt
from ..library.engine_log import WARNING
from .frame_work import FrameWork
from .resampling import device_frame
from .runtime import Engine


class DevicePipeline(Closing):
    """Preprocessing, network, decoding and NMS as one CUDA graph.

    The outputs of a classifier and of a FamilyHead are decoded on the host: describe() has this as `decode`. With more
    than 1024 candidates (thresholds near zero) the host does NMS. The results are those of HostPipeline with the same
    engine. Any thread may replace `settings` at any time. One thread owns the pipeline. With options.concurrent_runs,
    more threads may call `run` at the same time: each run has a stream, an execution context and memory of its own.

    load_plan: returns the plan's bytes; called by each `open`
    precision_effective: the engine's real precision, for diagnostics; '' for that of the model file
    log: called with a severity of engine_log and a line

    session, frame_work: the GPU and the work for a frame, for measurements and tests; None if the pipeline is not open
    concurrent_runs: how many threads may call `run` at the same time
    max_batch: 1, because a frame_work is for one frame
    """

    max_batch = 1

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
        # What no thread uses now; None if there is only one of each.
        self._idle: queue.SimpleQueue[tuple[CudaSession, FrameWork]] | None = None
        self.concurrent_runs = 1
        self._device_name = ''

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
                engine = session.adopt(Engine(session, self._tensorrt, self._load_plan(), self.spec))
                module = session.adopt(KernelModule(session.driver, cubin))
                self.frame_work = FrameWork(self.spec, self._options, session, engine, module, self._log)
            # The first run, without the graph, also reports values that are not finite.
            self.run(grey_frame(self.spec))
            self.spec = checked_spec(self.spec, [self._raw_output(frame) for frame in probe_frames(self.spec)])
            self.frame_work.head = self.spec.head
            self._add_runs(session, engine, cubin)
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
        session, work, idle = self.session, self.frame_work, self._idle
        if session is None or work is None:
            raise EngineError('the pipeline is not open')
        if idle is None:
            return self._run(session, work, frame, masks)
        session, work = taken = idle.get()
        try:
            return self._run(session, work, frame, masks)
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
            'postprocess': (finished - inferred) * 1e3})

    def run_batch(self, frames: Sequence[Frame], masks: bool = False) -> list[PipelineOutput]:
        """Process frames one after the other; see `run`."""
        return [self.run(frame, masks) for frame in frames]

    def _add_runs(self, first: CudaSession, engine: Engine, cubin: bytes) -> None:
        """Make what further runs at the same time need. With too little memory for it, warn and do without."""
        work = self.frame_work
        assert work is not None
        idle: queue.SimpleQueue[tuple[CudaSession, FrameWork]] = queue.SimpleQueue()
        idle.put((first, work))
        for _ in range(self._options.concurrent_runs - 1):
            # The first session frees it, and before the engine: an execution context must not outlive its engine.
            owned = first.adopt(_Owned(CudaSession(self._options.device_index)))
            session = owned.session
            try:
                with session.active('preparing a second stream'):
                    context = session.adopt(engine.another(session))
                    module = session.adopt(KernelModule(session.driver, cubin))
                    another = FrameWork(self.spec, self._options, session, context, module, self._log)
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

    def _raw_output(self, frame: Frame) -> RawOutput:
        """Return the network's outputs for a frame of 8 bits, without decoding."""
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
        work = self.frame_work
        return {
            'backend': 'tensorrt', 'backend_version': self._tensorrt.version_text, 'device': self._device_name,
            'pipeline': 'device', 'decode': 'device' if work and work.detection else 'host',
            'precision_effective': self._precision_effective,
            'cuda_graph': work.graph_state if work else 'off: not open',
            'zero_copy': 'on' if work and work.zero_copy else 'off',
            **({'concurrent_inferences': str(self.concurrent_runs)} if self.concurrent_runs > 1 else {})}

    def close(self) -> None:
        """Free everything; safe in any state and repeatedly."""
        self.frame_work = self._idle = None
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
