# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""PerceptionNode: the lifecycle node from an image topic to vision_msgs. It has only transitions and wiring."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..backends.create import create_pipeline
from ..catalogue.resolve import resolve_model
from ..errors import EngineError, ParameterError, PerceptionError, one_line, printable
from ..model.spec import ModelSpec, load_model
from ..parameters.settings import Settings
from ..parameters.table import PARAMETERS
from ..pipeline.interface import Pipeline
from . import parameters
from .camera import Arrival
from .diagnostics_publisher import DiagnosticsPublisher, NodeStatus
from .frame_loop import FrameLoop, FrameParts
from .given_values import changes
from .live_settings import LiveSettings
from .memory import trim_memory
from .opening import opening_monitor
from .outputs import Outputs
from .rclpy_internals import (
    destroy_state_machine,
    guard_change_state,
    lifecycle_state,
    parameter_overrides,
    require_internals,
)
from .transition_guard import TransitionGuard
from .worker import LatestWorker

# deactivate waits at most this long for the frame that is being processed.
_FRAME_TIMEOUT_S = 10.0


class PerceptionNode(LifecycleNodeMixin, Node):
    """Subscribes to images, runs the pipeline in one worker thread, publishes results and diagnostics."""

    def __init__(self, on_fatal: Callable[[], None] = lambda: None, **kwargs: Any) -> None:
        """Declare the parameters.

        on_fatal: called if this process can no longer use its device; only a new process can

        Raises ParameterError for a given value of the wrong type or range, MissingDependencyError if this rclpy lacks
        a name that the node needs.
        """
        Node.__init__(self, 'perception_node', **kwargs)
        # Reentrant: get_state must answer while configure runs.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        require_internals(self)
        # Any: its methods have no types before Kilted.
        self._log: Any = self.get_logger()
        self._on_fatal = on_fatal
        self._cancel = threading.Event()
        self._ending = False
        self._activity = ''
        self._error = ''
        self._given_up = False
        self._provenance: dict[str, str] = {}
        self._pipeline: Pipeline | None = None
        self._worker: LatestWorker[Arrival] | None = None
        self._outputs: Outputs | None = None
        self._transitions = guard_change_state(self, self._transition_guard)
        self._live = LiveSettings()
        parameters.declare(self)
        for warning in parameters.unknown_overrides(self, parameter_overrides(self)):
            self._log.warning(warning)
        self.add_on_set_parameters_callback(self._live.set_parameters)
        failure_guard = self.create_guard_condition(
            self._give_up, callback_group=MutuallyExclusiveCallbackGroup())
        self._frames = FrameLoop(self, lambda: self._live.current, failure_guard.trigger, self._end_process)
        self._diagnostics = DiagnosticsPublisher(
            self, PARAMETERS['diagnostics_period'].default, self._status, self._frames.report)

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> SetParametersResult:
        """Set parameters for a client of the parameter services. Setting one to the value it has always succeeds."""
        changed = changes(self, parameter_list)
        return super().set_parameters_atomically(changed) if changed else SetParametersResult(successful=True)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and model, open the pipeline, warm up. If that fails: FAILURE and one log line."""
        started = time.monotonic()
        try:
            self._error = ''
            self._activity = ''
            settings = self._live.read(self)
            spec = _read_model(settings)
            self._open(spec, settings)
            self._diagnostics.set_period(settings.diagnostics_period)
            trim_memory()
        except Exception as error:
            return self._configure_failed(error)
        if spec.labels_warning:
            self._log.warning(printable(spec.labels_warning))
        self._log.info(printable(
            f'configured in {time.monotonic() - started:.1f} s: {spec.task} with {spec.path.name} '
            f'({spec.head.kind}, {spec.width}x{spec.height}, {len(spec.names)} classes from '
            f'{spec.names_source}) on {self._provenance.get("backend")} '
            f'{self._provenance.get("backend_version")} ({self._provenance.get("device")})'))
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers, then subscribe."""
        settings = self._live.current
        assert settings is not None and self._outputs is not None
        try:
            result = super().on_activate(state)
            self._outputs.announce(settings)
            topic = self._frames.start(settings)
        except Exception as error:
            return self._transition_failed('activate', error)
        self._log.info(f'active: waiting for images on {topic}')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the current frame. The model stays loaded."""
        try:
            self._frames.stop(_FRAME_TIMEOUT_S)
            result = super().on_deactivate(state)
        except FutureTimeoutError:
            return self._transition_failed('deactivate', EngineError(
                f'the frame being processed was not finished after {_FRAME_TIMEOUT_S:.0f} s'))
        except Exception as error:
            return self._transition_failed('deactivate', error)
        if self._given_up:
            self._given_up = False
            # rclpy has no transition from active to error processing, so deactivate returns ERROR.
            return TransitionCallbackReturn.ERROR
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything, from any state."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything and go back to unconfigured."""
        self._free()
        self._log.error(
            f'back to unconfigured after an error: {self._error or "see above"}; the node can be configured again')
        return TransitionCallbackReturn.SUCCESS

    # The end of the process

    def cancel(self) -> None:
        """End an engine build that configure waits for: the process is about to end."""
        self._ending = True
        self._frames.expect_failures()
        self._cancel.set()

    def end(self) -> None:
        """Go through the shutdown transition from any state. Call it when no executor spins."""
        with self._transitions.lock:
            if lifecycle_state(self) in ('unconfigured', 'inactive', 'active'):
                self.trigger_shutdown()

    def destroy_node(self) -> None:
        """Destroy the node with all its ROS entities."""
        # A thread still holds the subscription if the node is active, so without a shutdown transition.
        self._frames.unsubscribe()
        super().destroy_node()
        destroy_state_machine(self)

    # Parts

    def _open(self, spec: ModelSpec, settings: Settings) -> None:
        """Open the pipeline in the worker's thread and make the outputs."""
        monitor = opening_monitor(self._log, self._cancel, self._tell_activity)
        self._pipeline = pipeline = self._live.connect_pipeline(
            spec, lambda present: create_pipeline(
                spec, present.pipeline_options(), present.postprocess(spec), monitor))
        self._worker = worker = LatestWorker(
            'perception', self._frames.process, self._frames.failed_unexpectedly)
        worker.call(pipeline.open)
        self._provenance = {
            'task': spec.task, 'model': str(spec.path), 'model_sha256': spec.sha256,
            'input_shape': 'x'.join(map(str, spec.input_shape)), 'head': spec.head.kind,
            'classes': str(len(spec.names)), 'precision': settings.precision, **pipeline.describe()}
        self._outputs = Outputs(self, spec, settings)
        self._live.connect_outputs(self._outputs)
        self._frames.connect(FrameParts(worker, pipeline, self._outputs))

    def _free(self) -> None:
        """Free all parts that exist. Safe in every state."""
        self._frames.stop(None)
        self._frames.disconnect()
        worker, self._worker = self._worker, None
        pipeline, self._pipeline = self._pipeline, None
        if worker is not None:
            if pipeline is not None:
                worker.call(pipeline.close)
            worker.close()
        # Before the outputs: a parameter change may be about to publish its threshold with them.
        self._live.disconnect()
        outputs, self._outputs = self._outputs, None
        if outputs is not None:
            outputs.close()
        self._provenance = {}
        trim_memory()

    def _status(self) -> NodeStatus:
        return NodeStatus(lifecycle_state(self), self._activity, self._error, self._provenance)

    def _tell_activity(self, activity: str) -> None:
        self._activity = activity

    # Failures

    def _configure_failed(self, error: Exception) -> TransitionCallbackReturn:
        if isinstance(error, PerceptionError):
            message = one_line(f'configure failed: {error}')
        else:
            message = one_line(f'configure failed unexpectedly: {type(error).__name__}: {error}')
        self._free()
        self._error = message
        self._log.error(message)
        if isinstance(error, EngineError) and error.fatal:
            self._end_process(error)
        return TransitionCallbackReturn.FAILURE

    def _transition_failed(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        # rclpy hides an exception of a transition; on_error runs next and logs this text.
        kind = '' if isinstance(error, PerceptionError) else f'{type(error).__name__}: '
        self._error = one_line(f'{transition} failed: {kind}{error}')
        return TransitionCallbackReturn.ERROR

    def _give_up(self) -> None:
        """Leave the active state through error processing. Runs in the executor."""
        with self._transitions.lock:
            if lifecycle_state(self) != 'active' or not self._frames.failing:
                return
            self._error = self._frames.why_failing
            self._given_up = True
            self.trigger_deactivate()

    def _end_process(self, error: EngineError) -> None:
        self._log.fatal(
            f'this process can no longer use its device and ends; start the node again (respawn:=true does): {error}')
        self._on_fatal()

    # One transition at a time

    def _transition_guard(self, change_state: Callable[[Any, Any], Any]) -> TransitionGuard:
        return TransitionGuard(
            change_state, lambda: lifecycle_state(self),
            # A lambda, not the method itself: rclpy allows only one severity for each line that logs.
            lambda text: self._log.warning(text), self._cancel_configure, self._allow_configure)

    def _cancel_configure(self) -> None:
        self._log.info('shutdown requested: cancelling configure')
        self._cancel.set()

    def _allow_configure(self) -> None:
        if not self._ending:
            self._cancel.clear()


def _read_model(settings: Settings) -> ModelSpec:
    if not settings.model_file:
        raise ParameterError(
            "parameter 'model_file' is empty: expected an ONNX file or a catalogue name "
            '(trt_perception fetch lists them)')
    return load_model(resolve_model(settings.model_file, fetch=False), settings.model_options())
