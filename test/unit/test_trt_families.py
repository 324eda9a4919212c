# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT for RTX, which needs no GPU, builds the signatures of detectors of other families."""

import numpy as np
import pytest
from support.family_models import family_model

from trt_perception.backends.tensorrt.build.process import build_in_process
from trt_perception.backends.tensorrt.build.request import build_request
from trt_perception.model.spec import load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.tensorrt_options import BuildOptions

pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')

TARGET = BuildOptions(compute_capabilities=('8.6',), optimization_level=0)


def boxes(*shape):
    return np.random.default_rng(0).uniform(0.1, 0.4, (*shape, 4)).astype('f4')


SIGNATURES = {
    'rtdetr': {'output0': np.concatenate([boxes(1, 300), np.zeros((1, 300, 5), 'f4')], 2)},
    'detr': {'dets': boxes(1, 300), 'labels': np.zeros((1, 300, 91), 'f4')},
    'official': {
        'labels': np.zeros((1, 300), 'i8'), 'boxes': boxes(1, 300), 'scores': np.zeros((1, 300), 'f4')},
    'efficient_nms': {
        'num_dets': np.ones((1, 1), 'i4'), 'det_boxes': boxes(1, 100), 'det_scores': np.zeros((1, 100), 'f4'),
        'det_classes': np.zeros((1, 100), 'i4')},
    'ssd_rows': {'detection_out': np.zeros((1, 1, 200, 7), 'f4')},
    'separate': {'boxes': boxes(1, 96) + np.float32([20, 20, 60, 50]), 'scores': np.zeros((1, 96, 3), 'f4')},
}


@pytest.mark.parametrize('name', SIGNATURES)
def test_a_signature_becomes_a_plan(tmp_path, name):
    metadata = {'names': list('abcde'), 'head': 'RTDETRDecoder'} if name == 'rtdetr' else None
    path = family_model(
        tmp_path / 'm.onnx', SIGNATURES[name], metadata=metadata, scaled='boxes' if name == 'official' else None)
    built = build_in_process(build_request(load_model(path), TARGET), Monitor())
    assert len(built.plan) > 1000
