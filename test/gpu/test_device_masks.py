# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Instance masks of an engine: computed by the host, from prototypes that are copied only for frames that want them."""

import numpy as np
from support.engines import BuiltModel, build_plan
from support.tiny_models import color_segmenter

from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline


def pictures(count=6):
    """Images of 96x64 with cells of random colours, letterboxed into 64x64."""
    random = np.random.default_rng(0)
    for _ in range(count):
        picture = np.zeros((64, 96, 3), np.uint8)
        for row, column in random.integers(0, (5, 8), (6, 2)):
            cell = picture[row * 12:row * 12 + 12, column * 12:column * 12 + 12]
            cell[..., random.integers(3)] = random.integers(150, 255)
        yield Frame.from_bgr(picture)


def test_the_masks_of_an_engine_are_those_of_onnx_runtime(tensorrt, tmp_path):
    spec = load_model(color_segmenter(tmp_path / 'm.onnx'))
    model = BuiltModel(spec, build_plan(tensorrt, spec.path))
    objects = 0
    with HostPipeline(spec, OnnxRuntimeBackend(spec.path)) as host, \
            DevicePipeline(spec, model.load, tensorrt) as device:
        for frame in pictures():
            expected = host.run(frame, masks=True).result
            # Without masks in between: the CUDA graph is the same, and nothing of an earlier frame is left.
            assert device.run(frame).result.masks is None
            for _ in range(3):
                found = device.run(frame, masks=True).result
                np.testing.assert_array_equal(found.class_indices, expected.class_indices)
                for index in range(len(expected)):
                    different = found.masks[index] != expected.masks[index]
                    # A value near zero may round to the other side.
                    assert different.sum() <= 2, (index, int(different.sum()))
            objects += len(expected)
        assert device.describe()['cuda_graph'] == 'on' and device.describe()['decode'] == 'host'
    assert objects > 10
