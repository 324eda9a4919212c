# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The input tensor of one run of a network, for one image or for several."""

from __future__ import annotations

import numpy as np

from ..model.spec import ModelSpec
from .preprocess import Preprocessor


class InputBuffers:
    """A tensor for `count` images, and a Preprocessor for each that writes into its part.

    tensor: [count, C, H, W] or [count, H, W, C] of the input's type
    """

    def __init__(self, spec: ModelSpec, count: int = 1) -> None:
        self.tensor = np.empty((count, *spec.input_shape[1:]), spec.input_dtype)
        self.preprocessors = [Preprocessor(spec, self.tensor[index:index + 1]) for index in range(count)]
