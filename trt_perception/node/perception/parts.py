# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a configured node: the worker, the pipeline in it, and the outputs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import Any

from ...backends.create import create_pipeline
from ...catalogue.resolve import resolve_model
from ...errors import EngineError, ParameterError, printable
from ...model.spec import ModelSpec, load_model
from ...parameters.camera_names import cameras_of
from ...parameters.settings import Settings
from ...pipeline.interface import Pipeline
from ...pipeline.options import PipelineOptions
from ..outputs.outputs import Outputs
from ..process.memory import trim_memory
from ..process.worker import FairWorker
from .camera_regions import regions_of
from .frame_loop import FrameLoop, FrameParts, Queued
from .live_settings import LiveSettings
from .opening import Activity, opening_monitor

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
        self._worker: FairWorker[Queued] | None = None
        self._pipeline: Pipeline | None = None
        self._outputs: list[Outputs] = []
        # A function of the worker did not return after it was cancelled.
        self._busy = False
        self.provenance: Mapping[str, str] = {}

    def announce(self, settings: Settings) -> None:
        """Publish the class names of each camera."""
        for outputs in self._outputs:
            outputs.announce(settings)

    def begin(self, settings: Settings) -> None:
        """Publish the class names of each camera, and begin with new tracks."""
        for outputs in self._outputs:
            outputs.forget()
        self.announce(settings)

    def open(self, settings: Settings, cancel: threading.Event, activity: Activity) -> ModelSpec:
        """Read the model, open the pipeline in the worker's thread and make the outputs. Returns the model.

        cancel: ends this soon after it is set; activity: gets the present step
        """
        cameras = cameras_of(self._node, settings.image_topics, settings.image_transport)
        regions = regions_of(settings, cameras)
        self._worker = worker = FairWorker('perception', self._frames.process)
        activity.tell(f'reading {printable(settings.model_file)}')
        spec: ModelSpec = self._call(lambda: _read_model(settings), cancel, activity)
        monitor = opening_monitor(self._node.get_logger(), cancel, activity.tell)
        self._pipeline = pipeline = self._live.connect_pipeline(
            spec, lambda present: create_pipeline(
                spec, _options(present, len(cameras)), present.postprocess(spec), monitor))
        activity.tell(f'loading {printable(spec.path.name)}')
        self._call(pipeline.open, cancel, activity)
        self.provenance = {
            'task': spec.task, 'model': str(spec.path), 'model_sha256': spec.sha256,
            'input_shape': 'x'.join(map(str, spec.input_shape)), 'head': spec.head.kind,
            'classes': str(len(spec.names)), 'precision': settings.precision, **pipeline.describe()}
        worker.use(
            pipeline.concurrent_runs, pipeline.max_batch, settings.batch_wait_ms / 1e3, pipeline.frames_of_camera)
        # One by one: if one cannot be made, free() closes the others.
        for camera in cameras:
            self._outputs.append(Outputs(self._node, spec, settings, camera))
        self._live.connect_outputs(self.announce)
        # The last step of opening runs the network once.
        self._frames.connect(FrameParts(
            worker, pipeline, list(zip(cameras, self._outputs, regions)), activity.unchanged_s))
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
        several, self._outputs = self._outputs, []
        for outputs in several:
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
            return f'the model was not freed within {_CLOSE_S:.0f} s'
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


def _options(settings: Settings, cameras: int) -> PipelineOptions:
    """Return the options of the pipeline: a CPU processes at most one image of each camera, a GPU two."""
    options = settings.pipeline_options()
    return replace(
        options, concurrent_runs=min(options.concurrent_runs, cameras), max_batch=min(options.max_batch, cameras),
        run=replace(options.run, concurrent_runs=min(options.concurrent_runs, 2 * cameras)))


def _nothing() -> None:
    """Do nothing in the worker's thread."""


def _read_model(settings: Settings) -> ModelSpec:
    if not settings.model_file:
        raise ParameterError(
            "parameter 'model_file' is empty: expected an ONNX file or a catalogue name "
            '(trt_perception fetch lists them)')
    return load_model(resolve_model(settings.model_file, fetch=False), settings.model_options())
