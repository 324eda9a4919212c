# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from trt_perception.errors import ModelError
from trt_perception.model.normalisation import IMAGENET, METADATA_KEY, YOLO, Overrides, Preprocessing, preprocessing_of

FLOAT32 = np.dtype(np.float32)
UINT8 = np.dtype(np.uint8)


def resolve(task='detection', said=None, dtype=FLOAT32, metadata=None, **overrides):
    metadata = dict(metadata or {})
    if said is not None:
        metadata[METADATA_KEY] = said if isinstance(said, str) else json.dumps(said)
    return preprocessing_of(task, metadata, dtype, Overrides(**overrides))


def test_usual_values_of_the_tasks():
    assert resolve('detection') == Preprocessing(
        'rgb', 1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 'letterbox', 0.875)
    assert resolve('classification') == Preprocessing(
        'rgb', 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 'center_crop', 0.875, 'bilinear_antialias')


def test_a_classifier_of_ultralytics_takes_plain_pixels_of_the_whole_centre():
    metadata = {'task': 'classify', 'imgsz': '[224, 224]'}
    assert resolve('classification', metadata=metadata) == Preprocessing(
        'rgb', 1 / 255, (0.0,) * 3, (1.0,) * 3, 'center_crop', 1.0, 'bilinear_antialias')
    # The catalogue's files use the same task names, and also give all other values.
    assert resolve('classification', metadata={'task': 'classify'}) == IMAGENET


def test_a_classifier_of_yolov5_takes_the_whole_centre_with_imagenets_statistics():
    result = resolve('classification', metadata={'stride': '32', 'names': "{0: 'tench'}"})
    assert result == Preprocessing(
        'rgb', 1 / 255, IMAGENET.mean, IMAGENET.std, 'center_crop', 1.0, 'linear')
    assert resolve('detection', metadata={'stride': '32', 'names': "{0: 'person'}"}) == YOLO


def test_the_file_wins_over_the_task_and_the_user_over_the_file():
    said = {'color_order': 'bgr', 'scale': 0.5, 'mean': [1, 2, 3], 'crop_fraction': 0.5}
    result = resolve('classification', said)
    assert result == Preprocessing('bgr', 0.5, (1.0, 2.0, 3.0), IMAGENET.std, 'center_crop', 0.5, 'bilinear_antialias')
    result = resolve(
        'classification', said, color_order='rgb', scale=2.0, mean=(4.0,), std=(5.0, 6.0, 7.0),
        resize_mode='stretch', crop_fraction=1.0, interpolation='linear')
    assert result == Preprocessing('rgb', 2.0, (4.0, 4.0, 4.0), (5.0, 6.0, 7.0), 'stretch', 1.0)


def test_auto_and_none_leave_the_files_values():
    said = {'color_order': 'bgr', 'resize_mode': 'stretch'}
    assert resolve('detection', said, color_order='auto', resize_mode='auto', mean=None).color_order == 'bgr'


def test_a_mean_of_zeros_is_a_wish_not_a_default():
    assert resolve('classification', mean=(0.0, 0.0, 0.0)).mean == (0.0, 0.0, 0.0)


def test_uint8_models_normalise_themselves():
    for task in ('detection', 'classification'):
        result = resolve(task, dtype=UINT8)
        assert (result.scale, result.mean, result.std) == (1.0, (0.0,) * 3, (1.0,) * 3)
    assert resolve('classification', dtype=UINT8).resize_mode == 'center_crop'
    assert resolve(dtype=UINT8, color_order='bgr', resize_mode='stretch').color_order == 'bgr'
    for wish in ({'scale': 0.5}, {'mean': (1.0,)}, {'std': (2.0,)}):
        with pytest.raises(ModelError, match='takes uint8 pixels and normalises them itself: leave scale, mean'):
            resolve(dtype=UINT8, **wish)
    assert resolve(dtype=UINT8, scale=1.0, mean=(0.0,)).scale == 1.0


@pytest.mark.parametrize('overrides, message', [
    ({'color_order': 'gbr'}, "color_order in the settings is 'gbr': expected rgb or bgr"),
    ({'interpolation': 'bilinear'}, "interpolation in the settings is 'bilinear': expected one of linear, bilinear_an"),
    ({'resize_mode': 'crop'}, "resize_mode in the settings is 'crop': expected one of letterbox, center_crop, stret"),
    ({'scale': -1.0}, 'scale in the settings is -1.0: expected a number above 0'),
    ({'scale': 0.0}, 'scale in the settings is 0.0: expected a number above 0'),
    ({'scale': float('nan')}, 'scale in the settings is nan'),
    ({'scale': float('inf')}, 'scale in the settings is inf'),
    ({'std': (1.0, 0.0, 1.0)}, r'std in the settings is \[1.0, 0.0, 1.0\]: expected numbers above 0'),
    ({'std': (-1.0,)}, 'std in the settings is .*: expected numbers above 0'),
    ({'mean': (1.0, 2.0)}, r'mean is \(1.0, 2.0\): expected one or three finite numbers'),
    ({'mean': ()}, r'mean is \(\): expected one or three finite numbers'),
    ({'std': (1.0, float('nan'), 1.0)}, 'std is .*: expected one or three finite numbers'),
    ({'crop_fraction': 1.5}, 'crop_fraction in the settings is 1.5: expected more than 0 and at most 1'),
    ({'crop_fraction': 0.0}, 'crop_fraction in the settings is 0.0'),
])
def test_wishes_that_cannot_be(overrides, message):
    with pytest.raises(ModelError, match=message):
        resolve('classification', **overrides)


@pytest.mark.parametrize('said, message', [
    ('not json', 'is not a JSON object'),
    ('5', 'is not a JSON object'),
    ('[1, 2]', 'is not a JSON object'),
    ({'size': 5}, r"has unknown keys \['size'\]: expected only .*'color_order'"),
    ({'mean': 'high'}, "mean is 'high': expected one or three finite numbers"),
    ({'mean': 5}, 'mean is 5: expected one or three finite numbers'),
    ({'scale': 'small'}, "has scale 'small': expected a number"),
    ({'scale': None}, 'has scale None: expected a number'),
    ({'crop_fraction': [1]}, r'has crop_fraction \[1\]: expected a number'),
    ({'scale': 0}, "scale in the model's metadata is 0.0: expected a number above 0"),
    ({'color_order': 'yuv'}, "color_order in the model's metadata is 'yuv'"),
    ({'interpolation': True}, "interpolation in the model's metadata is 'True': expected one of linear"),
    ({'resize_mode': 5}, "resize_mode in the model's metadata is '5'"),
])
def test_metadata_that_cannot_be(said, message):
    with pytest.raises(ModelError, match=message):
        resolve('classification', said)


def test_the_shared_defaults_are_left_alone():
    resolve('detection', {'color_order': 'bgr'}, scale=0.5)
    assert Preprocessing() == YOLO


def test_cache_keys_of_detectors_are_those_of_earlier_versions():
    """Otherwise int8 files would be made again, and accuracy measured again."""
    assert list(YOLO.identity()) == ['color_order', 'scale', 'mean', 'std', 'resize_mode', 'crop_fraction']
    assert IMAGENET.identity()['interpolation'] == 'bilinear_antialias'
