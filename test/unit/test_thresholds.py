# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model's own score threshold and NMS overlap are used if the user sets none, in the node, command line and API."""

import argparse
import json

import cv2
import numpy as np
import pytest
from support.family_models import family_model

import trt_perception
from trt_perception.cli.main import main
from trt_perception.cli.model_arguments import add_model_arguments, add_run_arguments, settings
from trt_perception.errors import ModelError, ParameterError
from trt_perception.model.spec import load_model
from trt_perception.model.thresholds import Thresholds, thresholds_of
from trt_perception.parameters.settings import Settings

KEY = 'trt_perception.postprocessing'
SCORES = (0.9, 0.4, 0.3, 0.2)


def model(path, text=None):
    rows = np.zeros((1, 40, 6), np.float32)
    for i, score in enumerate(SCORES):
        rows[0, i] = 10 * i, 10, 10 * i + 8, 30, score, 1
    return family_model(path, {'output0': rows}, metadata={'end2end': 'True', **({KEY: text} if text else {})})


@pytest.mark.parametrize('text, score, overlap', [
    (None, 0.25, 0.45), ('{"score_threshold": 0.35, "iou_threshold": 0.6}', 0.35, 0.6),
    ('{"score_threshold": 0}', 0.0, 0.45), ('{"iou_threshold": 1}', 0.25, 1.0)])
def test_the_metadata_and_the_usual_values(text, score, overlap):
    assert thresholds_of({KEY: text} if text else {}) == Thresholds(score, overlap)


@pytest.mark.parametrize('text, found', [
    ('[1', r'is \[1'), ('{"score_threshold": 1.5}', r'has score_threshold 1\.5'),
    ('{"score_threshold": "0.3"}', "has score_threshold '0.3'"),
    ('{"score_threshold": true}', 'has score_threshold True'),
    ('{"conf": 0.3}', r'has conf 0\.3'), ('{"iou_threshold": NaN}', 'has iou_threshold nan')])
def test_wrong_values_are_refused_when_the_file_is_loaded(tmp_path, text, found):
    with pytest.raises(ModelError, match=rf'metadata {KEY} {found}.*: expected a JSON object with numbers in 0\.\.1'):
        load_model(model(tmp_path / 'm.onnx', text))


def test_the_user_wins_over_the_model(tmp_path):
    spec = load_model(model(tmp_path / 'm.onnx', '{"score_threshold": 0.35, "iou_threshold": 0.6}'))
    usual = Settings().postprocess(spec).detection
    assert (usual.score_threshold, usual.iou_threshold) == (0.35, 0.6)
    chosen = Settings().changed({'score_threshold': 0.25, 'iou_threshold': 0.0}).postprocess(spec).detection
    assert (chosen.score_threshold, chosen.iou_threshold) == (0.25, 0.0)
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    add_run_arguments(parser)
    usual = settings(parser.parse_args(['m']), spec).detection
    assert (usual.score_threshold, usual.iou_threshold) == (0.35, 0.6)
    chosen = settings(parser.parse_args(['m', '--score', '0.1']), spec).detection
    assert (chosen.score_threshold, chosen.iou_threshold) == (0.1, 0.6)


@pytest.mark.parametrize('text, given, count', [
    (None, None, 3), ('{"score_threshold": 0.35}', None, 2), ('{"score_threshold": 0.35}', 0.1, 4),
    ('{"score_threshold": 0.0}', None, 4)])
def test_the_python_api_and_predict(tmp_path, text, given, count, capsys):
    path = model(tmp_path / 'm.onnx', text)
    image = np.full((64, 96, 3), 90, np.uint8)
    with trt_perception.open(path, backend='onnxruntime', score_threshold=given) as opened:
        assert len(opened(image)) == count
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    score = [] if given is None else ['--score', str(given)]
    assert main([
        'predict', str(path), str(tmp_path / 'image.png'), '--backend', 'onnxruntime', '--json', '-', *score]) == 0
    assert len(json.loads(capsys.readouterr().out)['detections']) == count


def test_the_python_api_checks_a_threshold(tmp_path):
    with pytest.raises(ParameterError, match='score_threshold'):
        trt_perception.open(model(tmp_path / 'm.onnx'), score_threshold=-1.0)


def test_inspect_shows_them(tmp_path, capsys):
    path = model(tmp_path / 'm.onnx', '{"score_threshold": 0.35}')
    assert main(['inspect', str(path), '--backend', 'onnxruntime']) == 0
    assert 'score 0.35, NMS overlap 0.45 (defaults)' in capsys.readouterr().out
    assert main(['inspect', str(path), '--backend', 'onnxruntime', '--json']) == 0
    assert json.loads(capsys.readouterr().out)['thresholds'] == {'score_threshold': 0.35, 'iou_threshold': 0.45}
