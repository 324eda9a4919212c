# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Test images, and the check of a network's outputs for them, before the model is used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..errors import EngineError
from ..image.frame import Frame
from ..model.heads.detection import RawOutput
from ..model.heads.plausibility import ImplausibleOutputsError, require_plausible
from ..model.spec import ModelSpec
from .preprocess import grey_frame

_SHAPES = 12


def probe_frames(spec: ModelSpec) -> tuple[Frame, Frame]:
    """Return two images of the network's input size: a grey one, and one with edges, gradients and noise.

    Scores far below 0.25 are scores too, so a detector need not find anything in them.
    """
    return grey_frame(spec), Frame.from_bgr(_picture(spec.width, spec.height))


def checked_spec(spec: ModelSpec, outputs: Sequence[RawOutput]) -> ModelSpec:
    """Return the spec with what the outputs for `probe_frames` show of its head.

    outputs: the raw output of the head for each image
    Raises ModelError if they cannot be what the head reads from them.
    """
    return replace(spec, head=require_plausible(spec.head, outputs, (spec.width, spec.height), len(spec.names)))


@contextlib.contextmanager
def after_conversion(spec: ModelSpec, precision: str) -> Iterator[None]:
    """Blame the precision for implausible outputs: use this only if those of the original model were plausible.

    Raises EngineError in place of the error about the outputs.
    """
    try:
        yield
    except ImplausibleOutputsError as error:
        # The rest of the text is advice about the export of the model.
        finding = str(error).partition(';')[0]
        other = 'fp32, or other calibration images' if precision == 'int8' else 'fp32'
        raise EngineError(
            f'{spec.path.name} in {precision} gives wrong results, although the model itself does not: {finding}; use '
            f'{other}') from error


def _picture(width: int, height: int) -> np.ndarray:
    """Return (height, width, 3) uint8: a gradient with rectangles of random colours and a little noise."""
    random = np.random.default_rng(0)
    across = np.linspace(0, 1, width)[np.newaxis, :, np.newaxis]
    down = np.linspace(0, 1, height)[:, np.newaxis, np.newaxis]
    pixels = across * random.uniform(0, 200, 3) + down * random.uniform(0, 200, 3)
    for _ in range(_SHAPES):
        x, y = random.integers(0, width), random.integers(0, height)
        part = pixels[y:y + max(2, height // 4), x:x + max(2, width // 4)]
        part[...] = random.uniform(0, 255, 3)
    pixels = pixels + random.normal(0, 6, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)
