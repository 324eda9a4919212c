# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models with a quantised input or quantised outputs, from the file to the boxes of an engine."""

import json

import numpy as np
import pytest
from support.precision_models import color_frames, conv_detector
from support.quantised_models import quantise_edges, quantised_inside, without_first_node
from support.tiny_models import color_detector

from trt_perception.backends.create import create_pipeline
from trt_perception.image.frame import Frame
from trt_perception.model.onnx_quantisation import METADATA_KEY
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions

RULES = {
    'uint8 pixels': {'images': ('uint8', 1 / 255, 0)},
    'int8 pixels less 128': {'images': ('int8', 1 / 255, -128)},
    'int8 with zero point 0': {'images': ('int8', 1 / 127, 0)},
    'uint8 outputs': {'output0': ('uint8', 0.25, 0)},
    'both': {'images': ('uint8', 1 / 255, 0), 'output0': ('int8', 0.5, -128)}}


def squares():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[8:16, 24:32, 2] = 255
    pixels[48:56, 40:48, 0] = 230
    return Frame.from_bgr(pixels)


def opened(path, precision='fp32', backend='tensorrt'):
    return create_pipeline(load_model(path), PipelineOptions(backend, precision))


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
@pytest.mark.parametrize('rules', RULES.values(), ids=RULES)
def test_the_boxes_of_an_engine(new_cache, tmp_path, rules, precision):
    path = quantise_edges(color_detector(tmp_path / 'm.onnx'), rules)
    with opened(path, precision) as pipeline:
        assert pipeline.describe()['decode'] == 'device'
        for _ in range(3):
            found = pipeline.run(squares()).result
            assert found.class_indices.tolist() == [0, 2]
            # The engine's input and outputs are not rounded.
            np.testing.assert_allclose(found.boxes, [[24, 8, 32, 16], [40, 48, 48, 56]], atol=0.1)
            np.testing.assert_allclose(found.scores, [1, 230 / 255], atol=0.005)
        assert pipeline.describe()['cuda_graph'] == 'on'


def test_rules_in_the_metadata(new_cache, tmp_path):
    said = {'images': {'scale': 1 / 127}, 'output0': {'scale': 0.25, 'zero_point': 3}}
    path = quantise_edges(
        color_detector(tmp_path / 'm.onnx'), {'images': ('int8', 1 / 127, 0), 'output0': ('uint8', 0.25, 3)},
        {METADATA_KEY: json.dumps(said)}, in_graph=False)
    with opened(path) as pipeline:
        found = pipeline.run(squares()).result
    assert found.class_indices.tolist() == [0, 2]
    np.testing.assert_allclose(found.boxes, [[24, 8, 32, 16], [40, 48, 48, 56]], atol=0.26)


def test_an_int8_network_with_an_int8_input(new_cache, tmp_path):
    """As ONNX Runtime's quantiser makes it, and as accelerators want it: without the first QuantizeLinear."""
    frames = [Frame.from_bgr(picture) for picture in color_frames(6, seed=1)]
    whole = quantised_inside(conv_detector(tmp_path / 'm.onnx'), tmp_path / 'q.onnx', frames, 'QInt8', True)
    stripped = without_first_node(whole, tmp_path / 's.onnx')
    objects = 0
    with opened(stripped, 'int8') as device, opened(whole, 'int8', 'onnxruntime') as reference:
        assert device.describe()['precision_effective'].startswith('int8')
        for frame in frames:
            found, expected = device.run(frame).result, reference.run(frame).result
            assert found.class_indices.tolist() == expected.class_indices.tolist()
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.5)
            np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
            objects += len(expected)
    assert objects > 4
