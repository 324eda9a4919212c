# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of a configured node. Live ones may change at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...errors import ParameterError, PerceptionError
from ...model.spec import ModelSpec
from ...parameters.settings import Settings
from ...parameters.table import PARAMETERS
from ...pipeline.interface import Pipeline, PostprocessSettings
from ..lifecycle import parameters


class LiveSettings:
    """Holds one immutable Settings object. A change replaces it; each frame reads it once.

    Parameters and transitions have different threads: a parameter may be set while configure reads the model.
    """

    def __init__(self) -> None:
        # Held while settings change.
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._spec: ModelSpec | None = None
        self._pipeline: Pipeline | None = None
        self._announce: Callable[[Settings], None] | None = None

    @property
    def current(self) -> Settings | None:
        """The current values, None if the node is unconfigured."""
        return self._settings

    def read(self, node: Node) -> Settings:
        """Read the node's parameters. After this only live ones may change. Raises ParameterError for a wrong value."""
        with self._lock:
            self._settings = parameters.read(node)
            return self._settings

    def connect_pipeline(self, spec: ModelSpec, create: Callable[[Settings], Pipeline]) -> Pipeline:
        """Create a pipeline with the current values. From now on, live parameters change its settings."""
        with self._lock:
            # Reading the model takes time: the values may have changed since they were read.
            assert self._settings is not None
            self._spec, self._pipeline = spec, create(self._settings)
            return self._pipeline

    def connect_outputs(self, announce: Callable[[Settings], None]) -> None:
        """Publish a changed score threshold with this function. The pipeline is open: its accuracy was checked."""
        with self._lock:
            assert self._settings is not None and self._spec is not None and self._pipeline is not None
            self._announce = announce
            self._pipeline.settings = _running(self._settings, self._spec)

    def disconnect(self) -> None:
        """Forget everything. After this returns, no change uses the pipeline or the outputs."""
        with self._lock:
            self._settings = self._spec = self._pipeline = self._announce = None

    def set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Accept or refuse parameter changes: rclpy's on_set_parameters callback."""
        try:
            with self._lock:
                self._change(changes)
        except PerceptionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _change(self, changes: Sequence[Parameter]) -> None:
        before = self._settings
        for change in changes:
            parameters.check(change)
            known = PARAMETERS.get(change.name)
            if known is not None and not known.live and before is not None:
                raise ParameterError(
                    f'{change.name} is read on configure: run deactivate and cleanup, set it, '
                    'and configure again')
        if before is None:
            return
        settings = parameters.changed(before, changes)
        if self._spec is not None and self._pipeline is not None:
            opened = self._announce is not None
            self._pipeline.settings = (
                _running(settings, self._spec) if opened else settings.postprocess(self._spec))
        self._settings = settings
        if settings.score_threshold != before.score_threshold and self._announce is not None:
            # label_info contains the threshold and is transient local.
            self._announce(settings)


def _running(settings: Settings, spec: ModelSpec) -> PostprocessSettings:
    """Return the settings for the images of a camera: with tracking also the detections that are not published."""
    given = settings.postprocess(spec)
    return given.down_to(settings.tracking_low_score) if settings.tracking else given
