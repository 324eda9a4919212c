# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The size input of RT-DETR and its relatives on OpenVINO. The families: test_family_heads.py and test_raw_heads.py."""

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
pytest.importorskip('openvino', reason='needs openvino: pip install openvino')
from support.family_models import family_model
from support.recording_monitor import Told

from trt_perception.backends.create import create_pipeline
from trt_perception.backends.openvino_pipeline import OpenVinoPipeline
from trt_perception.backends.tensorrt.cuda import gpu_info
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions


@pytest.fixture
def model(tmp_path, monkeypatch):
    """An official export of RT-DETR: corners as fractions, times width and height of the second input."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    boxes, scores = np.zeros((1, 300, 4), 'f4'), np.zeros((1, 300), 'f4')
    boxes[0, :2] = [0.25, 0.125, 0.75, 0.5], [0, 0.5, 0.125, 1]
    scores[0, :2] = 0.9, 0.5
    labels = np.zeros((1, 300), np.int64)
    labels[0, 1] = 7
    return family_model(tmp_path / 'm.onnx', {'labels': labels, 'boxes': boxes, 'scores': scores}, scaled='boxes')


def test_the_size_of_the_input_is_given(model):
    """Width and height in this order: the network is 96x64, the image 640x480."""
    frame = Frame.from_bgr(np.zeros((480, 640, 3), np.uint8))
    with create_pipeline(load_model(model), PipelineOptions('openvino', num_threads=1)) as pipeline:
        found = pipeline.run(frame).result
    np.testing.assert_allclose(found.boxes, [[160, 60, 480, 240], [0, 240, 80, 480]], atol=1e-3)
    assert found.class_indices.tolist() == [0, 7]
    np.testing.assert_allclose(found.scores, [0.9, 0.5], atol=1e-6)


def test_auto_takes_openvino_for_it(model, monkeypatch):
    monkeypatch.setattr(gpu_info, 'has_gpu', lambda: False)
    told = Told()
    pipeline = create_pipeline(load_model(model), PipelineOptions('auto', num_threads=1), monitor=told.monitor)
    assert isinstance(pipeline, OpenVinoPipeline)
    assert told.log == [
        ('info', 'backend auto: openvino, because TensorRT does not run here, and openvino is installed')]
