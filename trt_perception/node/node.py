# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""PerceptionNode: a lifecycle node from an image topic to vision_msgs. Transitions and wiring only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..backends.create import create_pipeline
from ..catalogue.resolve import resolve_model
from ..errors import EngineError, FrameError, ParameterError, PerceptionError, one_line
from ..image.message import frame_from_compressed_image, frame_from_image
from ..model.spec import ModelSpec, load_model
from ..monitor import Monitor
from ..pipeline.interface import Pipeline
from . import parameters
from .camera import Arrival, Camera
from .diagnostics import diagnostics_message
from .health import Condition, assess
from .memory import trim_memory
from .outputs import Outputs
from .parameters import Settings
from .statistics import Statistics
from .transition_guard import TransitionGuard
from .worker import LatestWorker

# So many failed inferences in a row are no accident: the node goes through the error path.
_FAILURES_TO_GIVE_UP = 10
_THROTTLE_S = 5.0
# Of what is said of a frame: its message may hold any text, and diagnostics repeat it each second.
_LONGEST_REASON = 1000
# How long a transition waits for a frame that is being processed.
_FRAME_TIMEOUT_S = 10.0


class PerceptionNode(LifecycleNodeMixin, Node):
    """Subscribes images, runs the pipeline in one worker thread, publishes results and diagnostics."""

    def __init__(self, on_fatal: Callable[[], None] = lambda: None, **kwargs: Any) -> None:
        """Declare the parameters; ParameterError for a given value of the wrong type or range.

        on_fatal: called when this process can use its device no more, so that only a new one helps
        """
        Node.__init__(self, 'perception_node', **kwargs)
        # Reentrant, so that the state can be asked for while configure runs.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._on_fatal = on_fatal
        self._cancel = threading.Event()
        self._ending = False
        self._activity = ''
        self._transitions = self._guard_transitions()
        # Held while settings change: parameters are set in another thread than transitions run in.
        self._settings_lock = threading.Lock()
        self._settings: Settings | None = None
        self._spec: ModelSpec | None = None
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        self._camera: Camera | None = None
        self._worker: LatestWorker[Arrival] | None = None
        self._provenance: dict[str, str] = {}
        self._statistics = Statistics()
        self._error = ''
        self._last_failure = ''
        self._failures_in_a_row = 0
        self._given_up = False
        parameters.declare(self)
        for warning in parameters.unknown_overrides(self):
            self.get_logger().warning(warning)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._failure_guard = self.create_guard_condition(
            self._recover, callback_group=MutuallyExclusiveCallbackGroup())
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._diagnostics_group = MutuallyExclusiveCallbackGroup()
        self._diagnostics_timer = self._start_diagnostics(
            parameters.PARAMETERS['diagnostics_period'].default)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and model, open the pipeline, warm up. FAILURE with one log line if that fails."""
        started = time.monotonic()
        try:
            self._error = ''
            self._activity = ''
            with self._settings_lock:
                self._settings = settings = parameters.read(self)
            if not settings.model_file:
                raise ParameterError(
                    "parameter 'model_file' is empty: expected an ONNX file or a catalogue name "
                    '(trt_perception fetch lists them)')
            path = resolve_model(settings.model_file, fetch=False)
            self._spec = spec = load_model(path, settings.model_options())
            with self._settings_lock:
                # Anew: live parameters may have changed while the file was read.
                settings = self._settings
                self._pipeline = pipeline = create_pipeline(
                    spec, settings.pipeline_options(), settings.postprocess(spec),
                    Monitor(
                        self._on_progress, self._on_backend_log, self._cancel,
                        self.get_logger().is_enabled_for(LoggingSeverity.DEBUG)))
            self._worker = LatestWorker('perception', self._process, self._unexpected)
            self._worker.call(pipeline.open)
            self._provenance = {
                'task': spec.task, 'model': str(spec.path), 'model_sha256': spec.sha256,
                'input_shape': 'x'.join(map(str, spec.input_shape)), 'head': spec.head.kind,
                'classes': str(len(spec.names)), 'precision': settings.precision,
                **pipeline.describe()}
            self._outputs = Outputs(self, spec, settings)
            self._restart_diagnostics(settings.diagnostics_period)
            trim_memory()
        except Exception as error:
            return self._configure_failed(error)
        if spec.labels_warning:
            self.get_logger().warning(spec.labels_warning)
        self.get_logger().info(
            f'configured in {time.monotonic() - started:.1f} s: {spec.task} with {spec.path.name} '
            f'({spec.head.kind}, {spec.width}x{spec.height}, {len(spec.names)} classes from '
            f'{spec.names_source}) on {self._provenance.get("backend")} '
            f'{self._provenance.get("backend_version")} ({self._provenance.get("device")})')
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to publish, then subscribe."""
        assert self._settings is not None and self._outputs is not None
        settings = self._settings
        self._statistics.reset()
        self._failures_in_a_row = 0
        try:
            result = super().on_activate(state)
            self._outputs.announce(settings)
            self._camera = Camera(
                self, settings.image_transport, settings.image_reliability, settings.image_depth,
                self._on_image)
        except Exception as error:
            return self._transition_failed('activate', error)
        self.get_logger().info(f'active: waiting for images on {self._camera.topic}')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the frame in hand; the model stays warm."""
        try:
            self._stop(_FRAME_TIMEOUT_S)
            result = super().on_deactivate(state)
        except FutureTimeoutError:
            return self._transition_failed('deactivate', EngineError(
                f'the frame in hand was not done after {_FRAME_TIMEOUT_S:.0f} s'))
        except Exception as error:
            return self._transition_failed('deactivate', error)
        if self._given_up:
            self._given_up = False
            # The way from active to error processing: rclpy has none that starts by itself.
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
        self.get_logger().error(
            f'back to unconfigured after an error: {self._error or "see above"}; it can be configured again')
        return TransitionCallbackReturn.SUCCESS

    def cancel(self) -> None:
        """End an engine build that configure waits for; the process is about to end."""
        self._ending = True
        self._cancel.set()

    def end(self) -> None:
        """Go through the shutdown transition, whatever the state; called when nothing spins any more."""
        with self._transitions.lock:
            if self._state_machine.current_state[1] in ('unconfigured', 'inactive', 'active'):
                self.trigger_shutdown()

    def destroy_node(self) -> None:
        """Destroy the node and all that it holds of ROS."""
        camera, self._camera = self._camera, None
        if camera is not None:
            # Its thread holds the subscription; whoever destroys an active node has not gone through shutdown.
            camera.close()
        super().destroy_node()
        # It holds the node too, and rclpy leaves it to the garbage collector, for which a process that ends does not
        # wait: the DDS participant would not be destroyed, and its shared memory stay behind for ever.
        self._state_machine.destroy_when_not_in_use()

    # One frame

    def _on_image(self, arrival: Arrival) -> None:
        worker = self._worker
        if worker is None:
            return
        self._statistics.count('received')
        self._statistics.record({'receive_age': self._age_ms(arrival)})
        if worker.offer(arrival):
            self._statistics.count('replaced')

    def _process(self, arrival: Arrival) -> None:
        """Frame to published result; runs in the worker thread."""
        settings, pipeline, outputs, camera = self._settings, self._pipeline, self._outputs, self._camera
        assert settings is not None and pipeline is not None and outputs is not None
        if camera is None:
            # The node is being deactivated: as if a newer frame had come.
            self._statistics.count('replaced')
            return
        if settings.max_age_ms and self._age_ms(arrival) > settings.max_age_ms:
            self._statistics.count('stale')
            return
        started = time.perf_counter()
        try:
            message = camera.message_of(arrival)
            if settings.image_transport == 'compressed':
                frame = frame_from_compressed_image(message)
            else:
                frame = frame_from_image(message)
            converted = time.perf_counter()
            output = pipeline.run(frame)
        except FrameError as error:
            self._statistics.count('bad')
            self._last_failure = one_line(error, _LONGEST_REASON)
            self.get_logger().warning(
                f'bad image dropped: {self._last_failure}', throttle_duration_sec=_THROTTLE_S)
            return
        except EngineError as error:
            self._inference_failed(error)
            return
        self._failures_in_a_row = 0
        publishing = time.perf_counter()
        outputs.publish(output.result, message.header)
        published = time.perf_counter()
        self._statistics.record({
            'convert': (converted - started) * 1e3, **output.timings_ms,
            'publish': (published - publishing) * 1e3,
            'total': (time.monotonic() - arrival.received) * 1e3,
            'stamp_to_publish': self._age_ms(arrival)})
        self._statistics.count('processed')
        if settings.publish_debug_image:
            outputs.draw(frame, output.result, message.header)

    def _inference_failed(self, error: EngineError) -> None:
        if self._ending:
            # The process ends; what the result was to be published with may be gone.
            return
        self._statistics.count('failed')
        self._last_failure = one_line(error, _LONGEST_REASON)
        self._failures_in_a_row += 1
        self.get_logger().error(f'inference failed: {self._last_failure}', throttle_duration_sec=_THROTTLE_S)
        if error.fatal:
            self._end_process(error)
        elif self._failures_in_a_row == _FAILURES_TO_GIVE_UP:
            self._failure_guard.trigger()

    def _end_process(self, error: EngineError) -> None:
        self.get_logger().fatal(f'this process cannot use its device any more and ends, to be started again: {error}')
        self._on_fatal()

    def _unexpected(self, error: Exception) -> None:
        """An error that no part of the pipeline foresaw: counted, logged, and as fatal as a failed inference."""
        self._inference_failed(EngineError(f'{type(error).__name__}: {error}'))

    def _age_ms(self, arrival: Arrival) -> float:
        return (self.get_clock().now().nanoseconds - arrival.stamp_ns) / 1e6

    # What configure is told while it waits for an engine

    def _on_progress(self, text: str, done: float, total: float | None) -> None:
        self._activity = f'{text}, {done / total:.0%}' if total else text
        self.get_logger().info(self._activity, throttle_duration_sec=_THROTTLE_S)

    def _on_backend_log(self, severity: str, text: str) -> None:
        # One line for each: rclpy ties a severity to the place that logs.
        logger = self.get_logger()
        if severity == 'error':
            logger.error(text)
        elif severity == 'warning':
            logger.warning(text)
        elif severity == 'info':
            logger.info(text)
        else:
            logger.debug(text)

    # Parts

    def _configure_failed(self, error: Exception) -> TransitionCallbackReturn:
        if isinstance(error, PerceptionError):
            self._error = one_line(f'configure failed: {error}')
        else:
            self._error = one_line(f'configure failed unexpectedly: {type(error).__name__}: {error}')
        message = self._error
        self._free()
        self._error = message
        self.get_logger().error(message)
        if isinstance(error, EngineError) and error.fatal:
            self._end_process(error)
        return TransitionCallbackReturn.FAILURE

    def _transition_failed(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        # rclpy swallows what a transition raises; on_error, which comes next, logs this.
        kind = '' if isinstance(error, PerceptionError) else f'{type(error).__name__}: '
        self._error = one_line(f'{transition} failed: {kind}{error}')
        return TransitionCallbackReturn.ERROR

    def _stop(self, timeout: float | None) -> None:
        """End the subscription and wait for the frame in hand; None: as long as it takes."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
        if self._worker is not None and self._worker.clear(timeout):
            self._statistics.count('replaced')

    def _free(self) -> None:
        """Free whatever there is; safe in every state."""
        self._stop(None)
        worker, self._worker = self._worker, None
        pipeline, self._pipeline = self._pipeline, None
        if worker is not None:
            if pipeline is not None:
                worker.call(pipeline.close)
            worker.close()
        with self._settings_lock:
            # Under the lock: a parameter change may be about to announce its threshold.
            outputs, self._outputs = self._outputs, None
            if outputs is not None:
                outputs.close()
            self._spec = None
            self._settings = None
        self._provenance = {}
        trim_memory()

    def _recover(self) -> None:
        """Leave the active state through error processing; called in the executor."""
        with self._transitions.lock:
            if (self._state_machine.current_state[1] != 'active'
                    or self._failures_in_a_row < _FAILURES_TO_GIVE_UP):
                return
            self._error = f'{_FAILURES_TO_GIVE_UP} inferences in a row failed: {self._last_failure}'
            self._given_up = True
            self.trigger_deactivate()

    def _guard_transitions(self) -> TransitionGuard:
        service = self._service_change_state
        guard = TransitionGuard(
            service.callback, lambda: self._state_machine.current_state[1],
            # Not the method itself: rclpy ties a severity to the place that logs.
            lambda text: self.get_logger().warning(text), self._cancel_configure, self._allow_configure)
        service.callback = guard
        return guard

    def _cancel_configure(self) -> None:
        self.get_logger().info('shutdown was asked for: what configure is doing is cancelled')
        self._cancel.set()

    def _allow_configure(self) -> None:
        if not self._ending:
            self._cancel.clear()

    # Parameters

    def _on_set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            with self._settings_lock:
                self._change_settings(changes)
        except PerceptionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _change_settings(self, changes: Sequence[Parameter]) -> None:
        before, spec, pipeline = self._settings, self._spec, self._pipeline
        for change in changes:
            parameters.check(change)
            known = parameters.PARAMETERS.get(change.name)
            if known is not None and not known.live and before is not None:
                raise ParameterError(
                    f'{change.name} is read on configure: bring the node to unconfigured '
                    '(deactivate, cleanup), set it, and configure again')
        if before is None:
            return
        settings = parameters.changed(before, changes)
        if spec is not None and pipeline is not None:
            pipeline.settings = settings.postprocess(spec)
        threshold_changed = settings.score_threshold != before.score_threshold
        self._settings = settings
        if threshold_changed and self._outputs is not None:
            # label_info holds the threshold, also for late joiners.
            self._outputs.announce(settings)

    # Diagnostics

    def _start_diagnostics(self, period: float) -> Any:
        # On the steady clock: a paused bag must not stop the diagnostics.
        return self.create_timer(
            period, self._publish_diagnostics, callback_group=self._diagnostics_group,
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _restart_diagnostics(self, period: float) -> None:
        if period * 1e9 != self._diagnostics_timer.timer_period_ns:
            self.destroy_timer(self._diagnostics_timer)
            self._diagnostics_timer = self._start_diagnostics(period)

    def _publish_diagnostics(self) -> None:
        camera = self._camera
        report = camera.report() if camera is not None else None
        snapshot = self._statistics.snapshot()
        state = self._state_machine.current_state[1]
        age = snapshot.stages.get('receive_age')
        level, reason = assess(Condition(
            state=state, activity=self._activity, error=self._error, camera=report, recent=snapshot.rates,
            last_failure=self._last_failure,
            precision_wanted=self._provenance.get('precision', ''),
            precision_effective=self._provenance.get('precision_effective', ''),
            age_p50_ms=age[0] if age else None))
        self._diagnostics.publish(diagnostics_message(
            self.get_fully_qualified_name(), self.get_clock().now().to_msg(), level, reason, state,
            snapshot, report, self._provenance))
