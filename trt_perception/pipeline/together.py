# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that images which run together get what each gets alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import EngineError
from ..model.heads.detection import RawOutput
from ..model.spec import ModelSpec


def require_rows(name: str, shape: Sequence[int], count: int) -> None:
    """Raise EngineError if an output of a run with `count` images does not have a row for each."""
    if tuple(shape[:1]) != (count,):
        raise EngineError(
            f"{count} images together give an output '{name}' of shape {list(shape)}: expected one row for each image; "
            'set max_batch to 1')


def require_independent(spec: ModelSpec, together: Sequence[RawOutput], alone: Sequence[RawOutput]) -> None:
    """Raise EngineError if the outputs of images that ran together are not those of each image alone.

    Some exporters declare a dynamic batch, but the graph mixes its images.
    """
    for first, second in zip(map(_arrays, together), map(_arrays, alone)):
        for name, values in second.items():
            if first[name].shape != values.shape or not np.allclose(first[name], values, 1e-2, 1e-2):
                raise EngineError(
                    f'{spec.path.name} declares a dynamic batch, but two images together give another '
                    f"output '{name}' than each alone: set max_batch to 1")


def _arrays(output: RawOutput) -> dict[str, np.ndarray]:
    return output if isinstance(output, dict) else {'output': output}
