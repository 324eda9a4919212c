# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An int8 model for strongly typed backends, which run each layer in its type in the file (TensorRT 10 and newer)."""

from __future__ import annotations

from ..errors import ModelError
from ..monitor import Monitor
from .prepare import PreparedModel, with_half_rest


def for_strong_types(prepared: PreparedModel, monitor: Monitor) -> PreparedModel:
    """Return the model with the float layers of an int8 file in float16; strongly typed float32 layers are slower.

    A file that the user stored with float32 layers is returned unchanged. A file that cannot be converted is returned
    unchanged, with a warning. Raises EngineError if `monitor.cancel` is set.
    """
    if not prepared.rest_is_float32:
        return prepared
    name = prepared.original.path.name
    if prepared.path == prepared.original.path:
        # The user chose to store it like this.
        monitor.log('info', (
            f'{name} stores its float layers in float32, and they run in float32 here: '
            'trt_perception quantize --half-rest stores them in float16, which is faster'))
        return prepared
    try:
        return with_half_rest(prepared, progress=monitor.following(f'{prepared.precision} of {name}'))
    except ModelError as error:
        monitor.log('warning', f"the int8 model's float layers run in float32, which is slower: {error}")
        return prepared
