# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections3DNode: the lifecycle node from detections and depth images to Detection3DArray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from ...errors import ParameterError
from ...parameters.checks import check_value
from ...parameters.depth_table import DEPTH_PARAMETERS, DepthSettings
from ..lifecycle.managed_node import ManagedNode
from ..lifecycle.rcl_gate import callback
from ..process.rclpy_internals import lifecycle_state
from .diagnostics import DepthDiagnostics
from .health import Condition
from .loop import DepthLoop


class Detections3DNode(ManagedNode):
    """Subscribes to detections, depth and camera_info; publishes detections_3d and diagnostics."""

    def __init__(self, on_fatal: Callable[[], None] = lambda: None, **kwargs: Any) -> None:
        """Declare the parameters; see ManagedNode."""
        super().__init__('detections_3d_node', on_fatal, DEPTH_PARAMETERS, **kwargs)
        self._settings: DepthSettings | None = None
        self._loop: DepthLoop | None = None
        self.add_on_set_parameters_callback(self._set_parameters)
        self._diagnostics = DepthDiagnostics(
            self, DEPTH_PARAMETERS['diagnostics_period'].default, self._condition,
            lambda: None if self._loop is None else self._loop.snapshot)
        self._starter = self._new_starter()

    @callback
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, make the publisher. If that fails: FAILURE and one log line."""
        try:
            self._error = ''
            settings = DepthSettings().changed({
                name: self.get_parameter_or(name).value for name in DEPTH_PARAMETERS})
            if settings.min_depth >= settings.max_depth:
                raise ParameterError(
                    f'min_depth is {settings.min_depth:g} and max_depth is {settings.max_depth:g}: expected a smaller '
                    'min_depth')
            self._require_bond(settings.bond)
            self._settings = settings
            self._loop = DepthLoop(self, settings)
            self._diagnostics.set_period(settings.diagnostics_period)
        except Exception as error:
            self._free()
            self._why_configure_failed(error)
            return TransitionCallbackReturn.FAILURE
        self._log.info('configured')
        return TransitionCallbackReturn.SUCCESS

    @callback
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publisher, then subscribe."""
        assert self._loop is not None and self._settings is not None
        try:
            result = super().on_activate(state)
            topics = self._loop.start()
            self._form_bond(self._settings.bond)
        except Exception as error:
            return self._transition_failed('activate', error)
        self._log.info(f'active: waiting for {topics}')
        return result

    @callback
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish what is in work."""
        try:
            self._break_bond()
            self._unsubscribe()
            return super().on_deactivate(state)
        except Exception as error:
            return self._transition_failed('deactivate', error)

    def _unsubscribe(self) -> None:
        if self._loop is not None:
            self._loop.stop()

    def _free(self) -> None:
        self._break_bond()
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()
        self._settings = None

    def _set_parameters(self, given: Sequence[Parameter]) -> SetParametersResult:
        try:
            for parameter in given:
                if parameter.name not in DEPTH_PARAMETERS:
                    continue
                check_value(parameter.name, parameter.value, DEPTH_PARAMETERS)
                if self._settings is not None:
                    raise ParameterError(
                        f'{parameter.name} is read on configure: run deactivate and cleanup, set it, and configure '
                        'again')
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _condition(self) -> Condition:
        loop = self._loop
        settings = self._settings or DepthSettings()
        if loop is None:
            return Condition(lifecycle_state(self), self._error, (), {}, None, settings.max_stamp_difference, '')
        return Condition(
            lifecycle_state(self), self._error, loop.report(), loop.snapshot.rates, loop.difference_s,
            settings.max_stamp_difference, loop.last_failure)
