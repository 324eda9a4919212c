# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The GPU's work for several frames that run through the network together, as CUDA graphs."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from ....errors import EngineError
from ....model.heads.detection import RawOutput
from ....model.heads.further_columns import SegmentHead
from ....model.heads.identify import Head
from ....model.spec import ModelSpec
from ....monitor import LogCallback
from ....pipeline.interface import PostprocessSettings
from ....pipeline.tensorrt_options import RunOptions
from ....pipeline.together import require_rows
from ....results.results import Result
from ..cuda.graph import CudaGraph
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession
from ..library.engine_log import WARNING
from .batch_sizes import batch_sizes
from .frame_slot import FrameSlot
from .resampling import FrameFormat
from .runtime import Engine
from .slot_row import SlotRow
from .turns import Turn

Formats = tuple[FrameFormat, ...]
# Batches that differ in the number of frames or in their formats, each with a graph of its own.
_LEAST_GRAPHS = 16


class BatchWork:
    """The work for 1 to `engine.batch` frames, and its memory. Use it with the session's context current.

    Call prepare, stage, launch, wait and results in this order. Frame i of a batch need not be row i of the tensors:
    frames are ordered by format, so that a row sees few formats.

    There is an execution context for each of batch_sizes. All use the memory of the largest one, also for activations.
    A count between two sizes runs as the larger one; nobody reads the rows that are left.

    graph_state: for describe()
    sizes: the batches for which there is an execution context
    """

    def __init__(
        self, spec: ModelSpec, options: RunOptions, session: CudaSession, engine: Engine, module: KernelModule,
        log: LogCallback, turn: Turn | None = None,
    ) -> None:
        """turn: lets the network wait for those of other streams; None if there are none."""
        self._spec = spec
        self._options = options
        self._session = session
        self._module = module
        self._log = log
        self._turn = turn
        self._head = spec.head
        masks = (spec.head.prototypes_name,) if isinstance(spec.head, SegmentHead) else ()
        for tensor in engine.outputs:
            if tensor.name in (*spec.head.output_names, *masks):
                require_rows(tensor.name, tensor.shape, engine.batch)
        self._engines = self._for_each_count(engine)
        self.sizes = sorted({engine.batch for engine in self._engines})
        self._rows = [SlotRow(functools.partial(self._new_slot, engine, row)) for row in range(engine.batch)]
        self._slots: list[FrameSlot] = []
        self._formats: Formats = ()
        # Position of each frame among the slots; None: their order.
        self._order: list[int] | None = None
        # By formats; None after the first batch of these formats, which runs without a graph.
        self._graphs: OrderedDict[Formats, list[CudaGraph] | None] = OrderedDict()
        self._most_graphs = max(_LEAST_GRAPHS, 2 * engine.batch)
        self.graph_state = 'off: not captured yet' if options.cuda_graph else 'off: cuda_graph is off'
        self._wants_graphs = options.cuda_graph

    @property
    def zero_copy(self) -> bool:
        """Whether the GPU reads all frames of the last batch from host memory."""
        return bool(self._slots) and all(slot.zero_copy for slot in self._slots)

    @property
    def head(self) -> Head:
        """The head that decodes the outputs on the host."""
        return self._head

    @head.setter
    def head(self, head: Head) -> None:
        self._head = head
        for row in self._rows:
            for slot in row.slots:
                slot.head = head

    def prepare(self, forms: Sequence[FrameFormat]) -> None:
        """Prepare for frames of these formats; does little if it was done lately."""
        first = forms[0]
        if all(form == first for form in forms):
            self._order = None
            self._formats = tuple(forms)
        else:
            by_format = sorted(range(len(forms)), key=forms.__getitem__)
            self._order = [0] * len(forms)
            for position, index in enumerate(by_format):
                self._order[index] = position
            self._formats = tuple(forms[index] for index in by_format)
        self._slots = []
        self._slots = [
            row.take(form, functools.partial(self._forget, number))
            for number, (row, form) in enumerate(zip(self._rows, self._formats))]

    def forget_formats(self) -> None:
        """Let later formats use the memory of the formats so far."""
        for formats in list(self._graphs):
            self._drop(formats)
        for row in self._rows:
            for slot in row.slots:
                slot.form = None

    def stage(self, pixels: Sequence[np.ndarray], settings: PostprocessSettings) -> None:
        """Copy the frames to the memory from which the GPU gets them."""
        for slot, each in zip(self._ordered(), pixels):
            slot.stage(each, settings)

    def launch(self) -> None:
        """Queue all GPU work, as graphs from the second batch of the same formats on."""
        formats = self._formats
        graphs = None
        if self._wants_graphs:
            if formats in self._graphs:
                self._graphs.move_to_end(formats)
                graphs = self._graphs[formats] or self._captured(formats)
            else:
                self._graphs[formats] = None
                if len(self._graphs) > self._most_graphs:
                    self._drop(next(iter(self._graphs)))
        self._queue(self._parts() if graphs is None else [graph.launch for graph in graphs])

    def wait(self) -> None:
        """Wait until the GPU has done the launched work."""
        self._session.synchronize()

    def results(self, settings: PostprocessSettings, masks: bool = False) -> list[Result]:
        """Return the result of each frame; EngineError if values are not finite. The stream must be idle."""
        return [slot.result(settings, masks) for slot in self._ordered()]

    def raw_outputs(self) -> list[RawOutput]:
        """Return copies of what the head reads for each frame. The stream must be idle."""
        return [slot.raw_output() for slot in self._ordered()]

    def _ordered(self) -> list[FrameSlot]:
        if self._order is None:
            return self._slots
        return [self._slots[position] for position in self._order]

    def _new_slot(self, engine: Engine, row: int) -> FrameSlot:
        outputs = [tensor.row(row) for tensor in engine.outputs if tensor.shape[:1] == (engine.batch,)]
        slot = FrameSlot(
            self._spec, self._options, self._session, engine.input.row(row), outputs, self._module, capacity=0)
        slot.head = self._head
        return slot

    def _for_each_count(self, largest: Engine) -> list[Engine]:
        """Return the engine for each number of frames, from 0 on."""
        engines = [largest]
        for size in reversed(batch_sizes(largest.batch)[:-1]):
            try:
                engines.insert(0, self._session.adopt(largest.smaller(self._session, size)))
            except EngineError as error:
                if error.fatal:
                    raise
                least = engines[0].batch
                self._log(WARNING, f'a batch of fewer than {least} images takes as long as one of {least}: {error}')
                break
        return [next(engine for engine in engines if engine.batch >= count) for count in range(largest.batch + 1)]

    def _captured(self, formats: Formats) -> list[CudaGraph] | None:
        graphs: list[CudaGraph] = []
        try:
            for part in self._parts():
                graphs.append(self._session.adopt(
                    CudaGraph(self._session.driver, self._session.stream_handle, part)))
        except self._session.errors as error:
            self._wants_graphs = False
            self.graph_state = f'off: {error}'
            self._log(WARNING, f'frames run call by call instead of as one CUDA graph, which is slower: {error}')
            return None
        self._graphs[formats] = graphs
        self.graph_state = 'on'
        return graphs

    def _forget(self, row: int, form: FrameFormat) -> None:
        """Free the graphs that use the memory of this row for frames of this format."""
        for formats in [each for each in self._graphs if len(each) > row and each[row] == form]:
            self._drop(formats)

    def _drop(self, formats: Formats) -> None:
        graphs = self._graphs.pop(formats)
        if graphs:
            # A failed batch may have left work on the stream.
            self._session.synchronize()
            for graph in graphs:
                self._session.release(graph)

    def _parts(self) -> list[Callable[[], None]]:
        """Return what queues the work, one after the other. Without turns, this is one function."""
        steps = [self._enqueue_before, self._enqueue_network, self._enqueue_after]
        if self._turn is not None:
            return steps

        def all_of_them() -> None:
            for step in steps:
                step()

        return [all_of_them]

    def _queue(self, parts: Sequence[Callable[[], None]]) -> None:
        """Call the functions for the parts. Only the network waits for its turn."""
        if self._turn is None:
            for part in parts:
                part()
            return
        before, network, after = parts
        before()
        self._turn.take(self._session.stream_handle, network)
        after()

    def _enqueue_before(self) -> None:
        for slot in self._slots:
            slot.enqueue_before(self._session.stream_handle)

    def _enqueue_network(self) -> None:
        self._engines[len(self._slots)].enqueue(self._session.stream_handle)

    def _enqueue_after(self) -> None:
        for slot in self._slots:
            slot.enqueue_after(self._session.stream_handle)
