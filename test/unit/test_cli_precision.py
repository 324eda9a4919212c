# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of predict and benchmark for calibration and the accuracy check; they match the node's parameters."""

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from support.precision_models import color_frames, conv_detector, two_topic_bag

from trt_perception.cli.main import main
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.precision.prepare import ConversionOptions, prepare_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(params=['predict', 'benchmark'])
def arguments(request, tmp_path):
    picture = tmp_path / 'picture.png'
    cv2.imwrite(str(picture), next(color_frames(1, seed=5)))
    model = str(conv_detector(tmp_path / 'model.onnx'))
    how = ['--backend', 'onnxruntime', '--threads', '1']
    if request.param == 'predict':
        return ['predict', model, str(picture), *how]
    return ['benchmark', model, '--image', str(picture), '--frames', '2', *how]


def test_int8_is_calibrated_as_told(arguments, tmp_path, capsys):
    pytest.importorskip('rosbags.rosbag2')
    int8 = [*arguments, '--precision', 'int8', '--calibration', str(two_topic_bag(tmp_path / 'bag', 48))]
    assert main(int8) == 1
    assert 'several image topics, choose one by its name' in capsys.readouterr().err
    int8 += ['--calibration-topic', '/right', '--calibration-samples', '32', '--calibration-method', 'mse']
    assert main(int8) == 0
    told = CalibrationOptions(int8[int8.index('--calibration') + 1], '/right', 32, method='mse')
    assert prepare_model(
        load_model(int8[1]), 'int8', told, conversion=ConversionOptions(form='cpu')).cached


def test_the_gate_is_asked_for_or_left_out(arguments, tmp_path, capsys):
    assert main([*arguments, '--min-agreement', '0.5']) == 1
    assert 'min_agreement is 0.5, but there are no frames to compare on' in capsys.readouterr().err
    dark = tmp_path / 'dark.png'
    cv2.imwrite(str(dark), np.zeros((64, 64, 3), np.uint8))
    asked = [*arguments, '--calibration', str(dark), '--min-agreement']
    assert main([*asked, '0.5']) == 1
    assert 'min_agreement is 0.5, but agreement not measured: nothing was detected' in capsys.readouterr().err
    assert main([*asked, '0']) == 0
    assert 'agreement' not in capsys.readouterr().err


def test_a_file_that_is_stored_in_int8_runs_so_without_being_asked(arguments, tmp_path, capsys):
    pytest.importorskip('rosbags.rosbag2')
    options = CalibrationOptions(str(two_topic_bag(tmp_path / 'bag', 48)), '/left', 32, method='mse')
    arguments[1] = str(tmp_path / 'int8.onnx')
    prepare_model(load_model(tmp_path / 'model.onnx'), 'int8', options, tmp_path / 'int8.onnx')
    assert main(arguments) == 0
    assert 'warning' not in capsys.readouterr().err
    assert main([*arguments, '--precision', 'fp32']) == 0
    assert 'warning: precision fp32 was requested, but ONNX Runtime runs int8.onnx in int8' in capsys.readouterr().err
