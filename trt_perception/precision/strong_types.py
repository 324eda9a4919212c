# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An int8 model for a backend that takes the types of a file literally, as TensorRT does from 10 on."""

from __future__ import annotations

from ..errors import ModelError
from ..monitor import Monitor
from .prepare import PreparedModel, with_half_rest


def for_strong_types(prepared: PreparedModel, monitor: Monitor) -> PreparedModel:
    """Return the model with the float layers of an int8 file in float16, or as it is if that cannot be had.

    Such a backend would run them in float32 otherwise, which is slower. A file that the user stored so stays as it is;
    so does one that cannot be brought to that form, with a warning. Raises EngineError if `monitor.cancel` is set.
    """
    if not prepared.rest_is_float32:
        return prepared
    name = prepared.original.path.name
    if prepared.path == prepared.original.path:
        # Somebody chose to store it so.
        monitor.log('info', (
            f'{name} has its float layers in float32, in which they run here: '
            'trt_perception quantize --half-rest stores them in float16, which is faster'))
        return prepared
    try:
        return with_half_rest(prepared, progress=monitor.following(f'{prepared.precision} of {name}'))
    except ModelError as error:
        monitor.log('warning', f"the int8 model's float layers run in float32, which is slower: {error}")
        return prepared
