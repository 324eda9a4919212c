# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests the catalogue's models in fp16 and int8: calibrated on a real video, compared with fp32 on its other frames."""

import json

import pytest
from support.catalogue_files import fetched_model, fetched_video

from trt_perception.model.spec import load_model
from trt_perception.model.thresholds import Thresholds
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.precision.expected import expected_agreement
from trt_perception.precision.parity import compare
from trt_perception.precision.prepare import ConversionOptions, prepare_model

pytest.importorskip('cv2')
onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('yaml')

# The sensitive layers that the search finds (docs/precision.md). The search itself would take minutes.
SENSITIVE = ('layer0', 'layer2', 'layer6', 'layer15', 'layer22')
NANODET_SENSITIVE = tuple(f'conv{number}' for number in (0, 1, 2, 3, 5, 6, 11, 12, 13, 30, 32, 33))


@pytest.fixture(scope='module')
def video():
    return str(fetched_video('bikes'))


@pytest.mark.parametrize('name', ['yolov3-tiny', 'efficientnet-lite0', 'nanodet-g'])
def test_fp16_changes_next_to_nothing(name, video, tmp_path):
    spec = load_model(fetched_model(name))
    options = CalibrationOptions(video, samples=8, checking=8)
    prepared = prepare_model(spec, 'fp16', options, tmp_path / 'half.onnx')
    assert prepared.record['overflowing'] == {} and prepared.record['clipped'] == {}
    agreement = expected_agreement(spec, prepared, prepared.checking)
    assert agreement.value == 1.0
    assert 0 < agreement.max_score_difference < 0.01
    assert agreement.min_iou > 0.99
    assert load_model(prepared.path).stored_precision == 'fp16'


def test_int8_of_the_detector(video, tmp_path):
    spec = load_model(fetched_model('yolov3-tiny'))
    options = CalibrationOptions(video, samples=32, checking=8, method='percentile')
    prepared = prepare_model(
        spec, 'int8', options, tmp_path / 'int8.onnx', conversion=ConversionOptions(keep_float=SENSITIVE))
    assert prepared.record['int8_share'] == pytest.approx(0.81, abs=0.01)
    agreement = expected_agreement(spec, prepared, prepared.checking)
    assert agreement.matched >= 8 and agreement.value >= 0.9
    assert agreement.mean_score_difference < 0.04
    # The same file on the backend that users run.
    first, second = (
        HostPipeline(load_model(path), OnnxRuntimeBackend(path)) for path in (spec.path, prepared.path))
    with first, second:
        assert compare(first, second, prepared.checking).value >= 0.9
    metadata = {entry.key: entry.value for entry in onnx.load(str(prepared.path)).metadata_props}
    record = json.loads(metadata['trt_perception.precision'])
    assert record['kept_float'] == list(SENSITIVE)
    assert record['samples'] == 32 and len(record['calibration_sha256']) == 64
    assert json.loads(metadata['names'])['3'] == 'motorcycle'


def test_int8_of_nanodet(video, tmp_path):
    spec = load_model(fetched_model('nanodet-g'))
    options = CalibrationOptions(video, samples=32, checking=8, method='mse')
    prepared = prepare_model(
        spec, 'int8', options, tmp_path / 'int8.onnx', conversion=ConversionOptions(keep_float=NANODET_SENSITIVE))
    assert prepared.record['int8_share'] == pytest.approx(0.71, abs=0.01)
    agreement = expected_agreement(spec, prepared, prepared.checking)
    assert agreement.matched >= 8 and agreement.value >= 0.9
    assert agreement.mean_score_difference < 0.04
    # The thresholds of the model stay in the file.
    assert load_model(prepared.path).thresholds == Thresholds(score=0.4, iou=0.6)
