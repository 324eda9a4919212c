# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A network that TensorRT runs on several streams is captured completely, as one graph."""

import numpy as np
import pytest
from support.engines import build_plan, convolutional_detector
from support.random_frames import random_frame
from test_device_parity import unmatched

from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.tensorrt_options import RunOptions

AUXILIARY_STREAMS = 3
SETTINGS = PostprocessSettings(DetectionSettings(score_threshold=0.3))


@pytest.fixture(scope='module')
def branching(tmp_path_factory):
    path = convolutional_detector(tmp_path_factory.mktemp('branching') / 'branching.onnx', kernels=(1, 3, 5, 7))
    return load_model(path)


def test_auxiliary_streams_are_part_of_the_graph(tensorrt, branching):
    plan = build_plan(tensorrt, branching.path, auxiliary_streams=AUXILIARY_STREAMS)
    used = tensorrt.deserialize(plan).num_aux_streams
    print(f'{used} auxiliary streams')
    assert 1 <= used <= AUXILIARY_STREAMS
    frames = [random_frame('bgr8', width, height, seed=seed) for seed, (width, height) in enumerate(
        [(640, 480), (640, 480), (1280, 720), (100, 80), (640, 480)])]
    with HostPipeline(branching, OnnxRuntimeBackend(branching.path), SETTINGS) as host, \
            DevicePipeline(branching, lambda: plan, tensorrt, RunOptions(cuda_graph=False), SETTINGS) as plain, \
            DevicePipeline(branching, lambda: plan, tensorrt, settings=SETTINGS) as device:
        for frame in frames:
            expected = plain.run(frame).result
            reference = host.run(frame).result
            # Among very many boxes, a few are on the other side of a threshold.
            assert unmatched(expected, reference) <= 0.05 * len(reference) > 0
            for _ in range(20):
                found = device.run(frame).result
                # The same kernels with the same numbers, whatever runs in parallel.
                np.testing.assert_array_equal(found.boxes, expected.boxes)
                np.testing.assert_array_equal(found.scores, expected.scores)
            assert device.describe()['cuda_graph'] == 'on'
        assert plain.describe()['cuda_graph'] == 'off: cuda_graph is off'
