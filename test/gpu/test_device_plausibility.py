# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The outputs of a loaded engine are checked on test images, as those of ONNX Runtime are."""

import numpy as np
import pytest

from trt_perception.backends.tensorrt.run.backend import TensorRtBackend
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.errors import ModelError
from trt_perception.image.frame import Frame
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline


def pipelines(model, tensorrt):
    return (
        DevicePipeline(model.spec, model.load, tensorrt),
        HostPipeline(model.spec, TensorRtBackend(model.spec, model.load, tensorrt)))


def test_an_engine_whose_boxes_are_corners_does_not_open(engines, tensorrt):
    for pipeline in pipelines(engines('corners'), tensorrt):
        with pytest.raises(ModelError, match=r"output 'output0' has 64 boxes .* these are corners"):
            pipeline.open()


def test_multi_label_scores_are_those_of_onnx_runtime(engines, tensorrt):
    model = engines('multi_label')
    frame = Frame.from_bgr(np.full((150, 200, 3), (50, 100, 200), np.uint8))
    with HostPipeline(model.spec, OnnxRuntimeBackend(model.spec.path)) as reference:
        expected = reference.run(frame).result
    assert expected.scores.sum() > 1.1
    for pipeline in pipelines(model, tensorrt):
        with pipeline:
            found = pipeline.run(frame).result
            assert pipeline.spec.head.activation == 'sigmoid'
        np.testing.assert_array_equal(found.class_indices, expected.class_indices)
        np.testing.assert_allclose(found.scores, expected.scores, atol=2e-3)


@pytest.mark.parametrize('name', ['yolov5', 'yolov8', 'transposed', 'end_to_end', 'uint8', 'float16', 'convolutions8'])
def test_the_test_images_leave_a_captured_graph(engines, tensorrt, name):
    model = engines(name)
    with DevicePipeline(model.spec, model.load, tensorrt) as pipeline:
        assert pipeline.describe()['cuda_graph'] == 'on'
