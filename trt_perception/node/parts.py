# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a configured node: the worker, the pipeline in it, and the outputs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from ..backends.create import create_pipeline
from ..catalogue.resolve import resolve_model
from ..errors import EngineError, ParameterError, printable
from ..model.spec import ModelSpec, load_model
from ..parameters.settings import Settings
from ..pipeline.interface import Pipeline
from .camera import Arrival
from .frame_loop import FrameLoop
from .frame_types import FrameParts
from .live_settings import LiveSettings
from .memory import trim_memory
from .opening import Activity, opening_monitor
from .outputs import Outputs
from .worker import LatestWorker

# Reading a model, a build and a calibration end soon after they are cancelled. A library that loads or runs a model may
# not. After this time configure fails anyway.
_CANCEL_GRACE_S = 3.0
_CLOSE_S = 10.0


class Parts:
    """Opened on configure, freed on cleanup, shutdown and errors."""

    def __init__(self, node: Any, live: LiveSettings, frames: FrameLoop) -> None:
        self._node = node
        self._live = live
        self._frames = frames
        self._worker: LatestWorker[Arrival] | None = None
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        # A function of the worker did not return after it was cancelled.
        self._busy = False
        self.provenance: Mapping[str, str] = {}

    def announce(self, settings: Settings) -> None:
        """Publish the class names, and begin with new tracks."""
        assert self._outputs is not None
        self._outputs.forget()
        self._outputs.announce(settings)

    def open(self, settings: Settings, cancel: threading.Event, activity: Activity) -> ModelSpec:
        """Read the model, open the pipeline in the worker's thread and make the outputs. Returns the model.

        cancel: ends this soon after it is set; activity: gets the present step
        """
        self._worker = worker = LatestWorker('perception', self._frames.process, self._frames.failed_unexpectedly)
        activity.tell(f'reading {printable(settings.model_file)}')
        spec: ModelSpec = self._call(lambda: _read_model(settings), cancel, activity)
        monitor = opening_monitor(self._node.get_logger(), cancel, activity.tell)
        self._pipeline = pipeline = self._live.connect_pipeline(
            spec, lambda present: create_pipeline(
                spec, present.pipeline_options(), present.postprocess(spec), monitor))
        activity.tell(f'loading {printable(spec.path.name)}')
        self._call(pipeline.open, cancel, activity)
        self.provenance = {
            'task': spec.task, 'model': str(spec.path), 'model_sha256': spec.sha256,
            'input_shape': 'x'.join(map(str, spec.input_shape)), 'head': spec.head.kind,
            'classes': str(len(spec.names)), 'precision': settings.precision, **pipeline.describe()}
        self._outputs = Outputs(self._node, spec, settings)
        self._live.connect_outputs(self._outputs)
        # The last step of opening runs the network once.
        self._frames.connect(FrameParts(worker, pipeline, self._outputs, activity.unchanged_s))
        return spec

    def free(self) -> str:
        """Free all parts that exist. Safe in every state.

        Returns why the worker does not end, '' if it has ended. It is left behind then, with its pipeline.
        """
        hung = ''
        try:
            self._frames.stop()
        except EngineError as error:
            hung = str(error)
        self._frames.disconnect()
        hung = self._end_worker(hung)
        # Before the outputs: a parameter change may be about to publish its threshold with them.
        self._live.disconnect()
        outputs, self._outputs = self._outputs, None
        if outputs is not None:
            outputs.close()
        self.provenance = {}
        trim_memory()
        return hung

    def _end_worker(self, hung: str) -> str:
        worker, self._worker = self._worker, None
        pipeline, self._pipeline = self._pipeline, None
        busy, self._busy = self._busy, False
        if worker is None:
            return hung
        close = _nothing if pipeline is None else pipeline.close
        if hung or busy:
            worker.abandon(close)
            return hung
        try:
            worker.call(close, _CLOSE_S)
        except FutureTimeoutError:
            worker.abandon(_nothing)
            return f'the model is not freed after {_CLOSE_S:.0f} s'
        worker.close()
        return ''

    def _call(self, function: Any, cancel: threading.Event, activity: Activity) -> Any:
        assert self._worker is not None
        try:
            return self._worker.call_until(function, cancel, _CANCEL_GRACE_S)
        except FutureTimeoutError:
            self._busy = True
            raise EngineError(
                f'it was cancelled while {activity.text}, which has not returned and continues in the background'
            ) from None


def _nothing() -> None:
    """Do nothing in the worker's thread."""


def _read_model(settings: Settings) -> ModelSpec:
    if not settings.model_file:
        raise ParameterError(
            "parameter 'model_file' is empty: expected an ONNX file or a catalogue name "
            '(trt_perception fetch lists them)')
    return load_model(resolve_model(settings.model_file, fetch=False), settings.model_options())
