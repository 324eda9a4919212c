# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares OpenVINO with ONNX Runtime if it is installed, as in `make openvino-test`; otherwise nothing is compared."""

import importlib.util
import os
import tempfile
from unittest import mock

import numpy as np

from trt_perception.backends.create import create_pipeline
from trt_perception.pipeline.options import PipelineOptions


def assert_same_with_openvino(spec, settings, frame, expected):
    """Assert that OpenVINO in fp32 gives the detections `expected` for the frame. Without openvino, do nothing."""
    if importlib.util.find_spec('openvino') is None:
        return
    with (
        tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, XDG_CACHE_HOME=cache),
        create_pipeline(spec, PipelineOptions('openvino', num_threads=1), settings) as pipeline,
    ):
        found = pipeline.run(frame).result
    np.testing.assert_array_equal(found.class_indices, expected.class_indices)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
