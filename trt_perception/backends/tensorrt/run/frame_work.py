# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The GPU's work for one frame: upload, preprocessing, network, decoding and NMS, as one CUDA graph."""

from __future__ import annotations

from ....model.spec import ModelSpec
from ....monitor import LogCallback
from ....pipeline.tensorrt_options import RunOptions
from ..cuda.graph import CudaGraph
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession
from ..library.engine_log import WARNING
from .frame_slot import FrameSlot
from .resampling import FrameFormat
from .runtime import Engine


class FrameWork(FrameSlot):
    """The work for each frame, and its memory. Use it with the session's context current.

    Call prepare, stage, launch, wait and result in this order.

    graph_state: for describe()
    graph, wants_graph: the captured graph, None if there is none; whether the next frame may capture one
    """

    def __init__(
        self, spec: ModelSpec, options: RunOptions, session: CudaSession, engine: Engine, module: KernelModule,
        log: LogCallback,
    ) -> None:
        super().__init__(spec, options, session, engine.input, engine.outputs, module)
        self._engine = engine
        self._log = log
        self.graph_state = 'off: not captured yet' if options.cuda_graph else 'off: cuda_graph is off'
        self.wants_graph = options.cuda_graph
        self._has_run = False
        self.graph: CudaGraph | None = None

    def prepare(self, form: FrameFormat) -> None:
        """Prepare for frames of this format; does nothing if that is done."""
        if form == self.form:
            return
        self.form = None
        if self.graph is not None:
            # A failed frame may have left work on the stream.
            self._session.synchronize()
            graph, self.graph = self.graph, None
            self._session.release(graph)
        self._has_run = False
        super().prepare(form)

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
        stream = self._session.stream_handle
        self.enqueue_before(stream)
        self._engine.enqueue(stream)
        self.enqueue_after(stream)
