# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline that does everything on the GPU, from the frame's pixels to the detections."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

import numpy as np

from ....closing import Closing
from ....errors import EngineError
from ....image.frame import Frame
from ....model.geometry import Geometry
from ....model.heads.classification import ClassificationHead
from ....model.heads.detection import RawOutput
from ....model.heads.further_columns import SegmentHead
from ....model.heads.yolo import YoloHead
from ....model.spec import ModelSpec
from ....monitor import LogCallback, unlogged
from ....pipeline.interface import PipelineOutput, PostprocessSettings
from ....pipeline.preprocess import geometry_of, grey_frame
from ....pipeline.probe import checked_spec, probe_frames
from ....pipeline.tensorrt_options import RunOptions
from ....results.results import Result
from ..cache.kernel_cache import kernel_cubin
from ..cuda.graph import CudaGraph
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession, DeviceBuffer, HostBuffer
from ..library.compat import TensorRt
from ..library.engine_log import WARNING
from .detection_work import DetectionWork
from .frame_copy import copying_speedup
from .frame_upload import FrameUpload
from .resampling import (
    FrameFormat,
    Sampling,
    device_frame,
    kernel_name,
    reads_once,
    sampling_of,
    sampling_tables,
    sampling_threads,
)
from .runtime import Engine, Tensor

PREPROCESS_BLOCK = (32, 8)


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


class FrameWork:
    """The work for each frame, and its memory. Use it with the session's context current.

    Call prepare, stage, launch, wait and result in this order.

    graph_state: for describe()
    graph, wants_graph: the captured graph, None if there is none; whether the next frame may capture one
    module, form, sampling: the kernels, the format of the frames, and the arguments of the kernel that reads them
    detection: the work after a YOLO detector; None for other heads, whose outputs are copied to the host
    head: the head that decodes these outputs on the host
    """

    def __init__(
        self, spec: ModelSpec, options: RunOptions, session: CudaSession, engine: Engine, module: KernelModule,
        log: LogCallback,
    ) -> None:
        self._spec = spec
        self._session = session
        self._engine = engine
        self.module = module
        self._log = log
        self._options = options
        self.head = spec.head
        self.graph_state = 'off: not captured yet' if options.cuda_graph else 'off: cuda_graph is off'
        self.wants_graph = options.cuda_graph
        self._upload = FrameUpload(session)
        self._interpolation = spec.preprocessing.interpolation
        self._tables: DeviceBuffer | None = None
        self._read = [tensor for tensor in engine.outputs if tensor.name in spec.head.output_names]
        self._fetched: list[tuple[Tensor, HostBuffer]] = []
        self._masks: tuple[Tensor, HostBuffer] | None = None
        self._geometry: Geometry | None = None
        self.detection: DetectionWork | None = None
        if isinstance(spec.head, YoloHead):
            self.detection = DetectionWork(spec.head, self._read[0], session, module)
        else:
            self._fetched = [(tensor, session.allocate_host(tensor.size)) for tensor in self._read]
        self.form: FrameFormat | None = None
        self.sampling = Sampling()
        self._has_run = False
        self.graph: CudaGraph | None = None

    @property
    def zero_copy(self) -> bool:
        """Whether the GPU reads frames of the current format from host memory."""
        return self._upload.in_place

    def prepare(self, form: FrameFormat) -> None:
        """Prepare for frames of this format; does nothing if that is done."""
        if form == self.form:
            return
        self.form = None
        # A failed frame may have left work on the stream.
        self._session.synchronize()
        if self.graph is not None:
            graph, self.graph = self.graph, None
            self._session.release(graph)
        geometry = self._geometry = geometry_of(self._spec, form.width, form.height)
        tables = sampling_tables(self._interpolation, form, geometry, copying_speedup())
        self._upload.reserve(form.size, form.step, tables.used, self._in_place(geometry))
        sampling = sampling_of(self._spec, form, geometry)
        sampling.source = self._upload.pixels_address
        tables.place(sampling, self._stored(tables.data))
        sampling.tensor = self._engine.input.address
        if self.detection is not None:
            self.detection.prepare(geometry)
            sampling.candidates = self.detection.header_address
        self.sampling = sampling
        self._session.synchronize()
        self._has_run = False
        self.form = form

    def stage(self, pixels: np.ndarray, settings: PostprocessSettings) -> None:
        """Copy the frame to the memory from which the GPU gets it."""
        if self.detection is not None:
            self.detection.update(settings.detection)
        self._upload.stage(pixels)

    def launch(self) -> None:
        """Queue all GPU work, as a graph from the second frame of a format on.

        The first frame runs without a graph. It triggers lazy loading, and a source whose format changes with every
        frame is not captured every time.
        """
        if self.graph is None and self.wants_graph and self._has_run:
            self._capture()
        if self.graph is not None:
            self.graph.launch()
        else:
            self._enqueue()
        self._has_run = True

    def wait(self) -> None:
        """Wait until the GPU has done the launched work."""
        self._session.synchronize()

    def result(self, settings: PostprocessSettings, masks: bool = False) -> Result:
        """Return the result of the launched frame; EngineError if values are not finite. The stream must be idle."""
        if self.detection is not None:
            return self.detection.result(settings.detection)
        head = self.head
        values: RawOutput = head.pick({
            tensor.name: buffer.array.view(tensor.dtype).reshape(tensor.shape) for tensor, buffer in self._fetched})
        if isinstance(head, ClassificationHead):
            return head.decode(values, settings.classification)
        assert self._geometry is not None
        if masks and isinstance(head, SegmentHead) and head.prototypes_name:
            values[head.prototypes_name] = self._prototypes(head.prototypes_name)
            return head.decode_with_masks(values, self._geometry, settings.detection)
        return head.decode(values, self._geometry, settings.detection)

    def _prototypes(self, name: str) -> np.ndarray:
        """Return the prototypes of the launched frame, copied from the GPU. The next call overwrites them."""
        if self._masks is None:
            tensor = next(tensor for tensor in self._engine.outputs if tensor.name == name)
            self._masks = tensor, self._session.allocate_host(tensor.size)
        tensor, buffer = self._masks
        self._session.download(buffer.array, tensor.address)
        self._session.synchronize()
        prototypes: np.ndarray = buffer.array.view(tensor.dtype).reshape(tensor.shape)
        return prototypes

    def raw_output(self) -> RawOutput:
        """Return a copy of what the head reads for the launched frame. The stream must be idle."""
        copies = [(tensor, np.empty(tensor.size, np.uint8)) for tensor in self._read]
        for tensor, values in copies:
            self._session.download(values, tensor.address)
        self._session.synchronize()
        return self._spec.head.pick({
            tensor.name: values.view(tensor.dtype).reshape(tensor.shape) for tensor, values in copies})

    def _stored(self, data: np.ndarray) -> int:
        """Queue the upload of the tables; return their device address. The stream must be idle."""
        if self._tables is None or self._tables.size < data.nbytes:
            old, self._tables = self._tables, None
            if old is not None:
                self._session.release(old)
            self._tables = self._session.allocate(data.nbytes)
        self._session.upload(self._tables.address, data)
        return self._tables.address

    def _in_place(self, geometry: Geometry) -> bool:
        wanted = self._options.zero_copy
        # A kernel reads over the bus as fast as the copy engine, and the copy itself takes no time. This is a gain only
        # if the kernel does not read the same bytes many times.
        once = reads_once(self._interpolation, geometry)
        return wanted == 'on' or (wanted == 'auto' and (self._session.integrated or once))

    def _capture(self) -> None:
        try:
            self.graph = self._session.adopt(
                CudaGraph(self._session.driver, self._session.stream_handle, self._enqueue))
            self.graph_state = 'on'
        except self._session.errors as error:
            self.wants_graph = False
            self.graph_state = f'off: {error}'
            self._log(WARNING, f'frames run call by call instead of as one CUDA graph, which is slower: {error}')

    def _enqueue(self) -> None:
        assert self.form is not None
        stream = self._session.stream_handle
        self._upload.enqueue()
        self.module.launch(
            kernel_name(self._interpolation, self.form), sampling_threads(self.sampling), PREPROCESS_BLOCK,
            self.sampling, stream)
        self._engine.enqueue(stream)
        if self.detection is not None:
            self.detection.enqueue(stream)
        for tensor, buffer in self._fetched:
            self._session.download(buffer.array, tensor.address)
