# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector's own thresholds: from the metadata of the file, until the user sets others."""

import argparse
import json

import numpy as np
import pytest
from support.tiny_models import COLORS, color_classifier, color_detector

import trt_perception
from trt_perception.backends.create import create_pipeline
from trt_perception.cli import predict
from trt_perception.cli.main import main
from trt_perception.cli.model_arguments import settings
from trt_perception.errors import ModelError
from trt_perception.model.spec import load_model
from trt_perception.model.thresholds import Thresholds
from trt_perception.parameters.settings import Settings
from trt_perception.pipeline.interface import PostprocessSettings


def detector(folder, **metadata):
    return color_detector(
        folder / 'm.onnx', metadata={'names': dict(enumerate(COLORS)), 'task': 'detect', **metadata})


@pytest.mark.parametrize('metadata, expected', [
    ({}, (0.25, 0.45)),
    ({'score_threshold': '0.4'}, (0.4, 0.45)),
    ({'iou_threshold': 0.6, 'score_threshold': 0.35}, (0.35, 0.6)),
    ({'iou_threshold': 1, 'score_threshold': 0}, (0.0, 1.0)),
])
def test_the_metadata_or_the_usual_values(tmp_path, metadata, expected):
    assert load_model(detector(tmp_path, **metadata)).thresholds == Thresholds(*expected)


@pytest.mark.parametrize('key, value', [
    ('score_threshold', '40'), ('score_threshold', 'nan'), ('iou_threshold', '-1.0'), ('iou_threshold', 'high'),
    ('iou_threshold', '')])
def test_wrong_values_in_the_metadata_are_named(tmp_path, key, value):
    with pytest.raises(ModelError, match=f"metadata has {key} '{value}': expected a number from 0 to 1"):
        load_model(detector(tmp_path, **{key: value}))


def test_a_classifier_has_none(tmp_path):
    """Another tool may use the key for something else."""
    path = color_classifier(tmp_path / 'c.onnx', metadata={'score_threshold': 'high'})
    assert load_model(path).thresholds == Thresholds()


def detection(settings):
    return settings.detection.score_threshold, settings.detection.iou_threshold


def test_the_user_wins_on_each_way(tmp_path):
    path = detector(tmp_path, score_threshold=0.4, iou_threshold=0.6)
    spec = load_model(path)
    assert detection(PostprocessSettings.of_model(spec)) == (0.4, 0.6)
    assert detection(Settings().postprocess(spec)) == (0.4, 0.6)
    assert detection(Settings(score_threshold=0.0).postprocess(spec)) == (0.0, 0.6)
    assert detection(Settings(iou_threshold=0.3).postprocess(spec)) == (0.4, 0.3)
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    assert detection(settings(parser.parse_args(['m.onnx', 'a.png']), spec)) == (0.4, 0.6)
    assert detection(settings(parser.parse_args(['m.onnx', 'a.png', '--score', '0', '--iou', '0.3']), spec)) == (
        0.0, 0.3)


def test_pipelines_without_settings_and_the_python_interface_use_them(tmp_path):
    pytest.importorskip('onnxruntime')
    path = detector(tmp_path, score_threshold=0.5)
    picture = np.zeros((64, 64, 3), np.uint8)
    # BGR: red with a score of 0.9, blue with 0.3.
    picture[8:16, 8:16, 2] = 230
    picture[40:48, 40:48, 0] = 77
    with create_pipeline(load_model(path)) as pipeline:
        assert detection(pipeline.settings) == (0.5, 0.45)
    for given, names in (({}, ['red']), ({'score_threshold': 0.25}, ['red', 'blue'])):
        with trt_perception.open(path, backend='onnxruntime', **given) as model:
            assert [model.name_of(index) for index in model(picture).class_indices] == names


def test_inspect_prints_them(tmp_path, capsys):
    path = str(detector(tmp_path, score_threshold=0.4, iou_threshold=0.6))
    assert main(['inspect', path]) == 0
    assert 'thresholds:     score 0.4, IoU 0.6\n' in capsys.readouterr().out
    assert main(['inspect', path, '--json']) == 0
    assert json.loads(capsys.readouterr().out)['thresholds'] == {'score': 0.4, 'iou': 0.6}
    assert main(['inspect', str(color_classifier(tmp_path / 'c.onnx'))]) == 0
    assert 'thresholds' not in capsys.readouterr().out
