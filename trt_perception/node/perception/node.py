# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""PerceptionNode: the lifecycle node from an image topic to vision_msgs. It has only transitions and wiring."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from ...errors import EngineError, printable
from ...parameters.table import PARAMETERS
from ..lifecycle.managed_node import ManagedNode
from ..lifecycle.rcl_gate import callback
from ..monitoring.diagnostics_publisher import DiagnosticsPublisher, NodeStatus
from ..monitoring.liveness import Progress
from ..monitoring.watchdog import Watchdog
from ..process.memory import trim_memory
from ..process.rclpy_internals import lifecycle_state, missing_to_wait
from .frame_loop import FrameLoop
from .live_settings import LiveSettings
from .opening import Activity
from .parts import Parts

_HUNG = 'this process is stuck and ends'


class PerceptionNode(ManagedNode):
    """Subscribes to images, runs the pipeline in one worker thread, publishes results and diagnostics."""

    def __init__(self, on_fatal: Callable[[], None] = lambda: None, **kwargs: Any) -> None:
        """Declare the parameters.

        on_fatal: called if only a new process can continue: this one can no longer use its device, or a frame never
            ends

        Raises ParameterError for a given value of the wrong type or range, MissingDependencyError if this rclpy lacks
        a name that the node needs.
        """
        super().__init__('perception_node', on_fatal, PARAMETERS, **kwargs)
        self._activity = Activity()
        self._given_up = False
        self._watchdog: Watchdog | None = None
        self._live = LiveSettings()
        missing = missing_to_wait(self.context)
        if missing:
            self._log.warning(
                f'{missing}, which the thread that takes images needs: the executor takes them instead (image_taking), '
                'which needs more processor time')
        self.add_on_set_parameters_callback(self._live.set_parameters)
        failure_guard = self.create_guard_condition(
            self._give_up, callback_group=MutuallyExclusiveCallbackGroup())
        self._frames = FrameLoop(self, lambda: self._live.current, failure_guard.trigger, self._device_lost)
        self._parts = Parts(self, self._live, self._frames)
        self._diagnostics = DiagnosticsPublisher(
            self, PARAMETERS['diagnostics_period'].default, self._status, self._frames.reports)
        self._starter = self._new_starter()

    # Transitions

    @callback
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and model, open the pipeline, warm up. If that fails: FAILURE and one log line."""
        started = time.monotonic()
        try:
            self._error = ''
            self._activity = activity = Activity()
            settings = self._live.read(self)
            self._require_bond(settings.bond)
            spec = self._parts.open(settings, self._cancel, activity)
            self._diagnostics.set_period(settings.diagnostics_period)
            trim_memory()
        except Exception as error:
            return self._configure_failed(error)
        if spec.labels_warning:
            self._log.warning(printable(spec.labels_warning))
        provenance = self._parts.provenance
        self._log.info(printable(
            f'configured in {time.monotonic() - started:.1f} s: {spec.task} with {spec.path.name} '
            f'({spec.head.kind}, {spec.width}x{spec.height}, {len(spec.names)} classes from '
            f'{spec.names_source}) on {provenance.get("backend")} '
            f'{provenance.get("backend_version")} ({provenance.get("device")})'))
        return TransitionCallbackReturn.SUCCESS

    @callback
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers, then subscribe."""
        settings = self._live.current
        assert settings is not None
        try:
            result = super().on_activate(state)
            self._parts.begin(settings)
            topics = self._frames.start(settings)
            self._watchdog = Watchdog(lambda: self._frames.progress, self._frame_timeout, self._frame_hangs)
            self._form_bond(settings.bond)
        except Exception as error:
            return self._transition_failed('activate', error)
        self._log.info(f'active: waiting for images on {topics}')
        return result

    @callback
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the current frame. The model stays loaded."""
        try:
            self._break_bond()
            self._stop_watchdog()
            self._frames.stop()
            result = super().on_deactivate(state)
        except Exception as error:
            return self._transition_failed('deactivate', error)
        if self._given_up:
            self._given_up = False
            # rclpy has no transition from active to error processing, so deactivate returns ERROR.
            return TransitionCallbackReturn.ERROR
        return result

    # The end of the process

    def cancel(self) -> None:
        """End an engine build that configure waits for: the process is about to end."""
        self._frames.failures.expect()
        super().cancel()

    def _unsubscribe(self) -> None:
        # A thread still holds the subscription if the node is active, so without a shutdown transition.
        self._frames.unsubscribe()

    # Parts

    def _free(self) -> None:
        """Free all parts that exist. Safe in every state. If the worker does not end, the process does."""
        timeout = self._frame_timeout()
        self._break_bond()
        self._stop_watchdog()
        hung = self._parts.free()
        if hung and timeout > 0:
            self._end_process(_HUNG, hung)

    def _stop_watchdog(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.stop()

    def _frame_timeout(self) -> float:
        settings = self._live.current
        return 0.0 if settings is None else settings.frame_timeout

    def _status(self) -> NodeStatus:
        activity = self._activity
        return NodeStatus(
            lifecycle_state(self), activity.text, activity.unchanged_s, self._error, self._parts.provenance)

    # Failures

    def _configure_failed(self, error: Exception) -> TransitionCallbackReturn:
        self._free()
        self._why_configure_failed(error)
        if isinstance(error, EngineError) and error.fatal:
            self._device_lost(error)
        return TransitionCallbackReturn.FAILURE

    def _give_up(self) -> None:
        """Leave the active state through error processing. Runs in the executor."""
        with self._transitions.lock:
            if lifecycle_state(self) != 'active' or not self._frames.failures.failing:
                return
            self._error = self._frames.failures.why_failing
            self._given_up = True
            self.trigger('deactivate')

    def _device_lost(self, error: EngineError) -> None:
        self._end_process('this process can no longer use its device and ends', str(error))

    def _frame_hangs(self, progress: Progress) -> None:
        """End the process. Runs in the watchdog's thread."""
        self._end_process(_HUNG, progress.reason)
