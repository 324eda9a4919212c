# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.tiny_models import (
    COLORS,
    FLOAT,
    FLOAT16,
    UINT8,
    color_classifier,
    color_detector,
    dynamic_detector,
    fixed_outputs,
    save,
)

from trt_perception.errors import LabelsError, ModelError
from trt_perception.model.heads.classification import ClassificationHead, SoftmaxHead
from trt_perception.model.heads.yolo import YoloHead
from trt_perception.model.normalisation import IMAGENET, YOLO, Overrides, Preprocessing
from trt_perception.model.spec import ModelOptions, load_model

COCO = 80


def test_a_detector(tmp_path):
    path = color_detector(tmp_path / 'm.onnx', 64, 32)
    spec = load_model(path)
    assert spec.path == path
    assert spec.task == 'detection'
    assert spec.head == YoloHead('yolov8', 'output0', 3)
    assert spec.names == COLORS
    assert spec.names_source == 'ONNX metadata'
    assert spec.input_shape == (1, 3, 32, 64)
    assert (spec.dynamic_size, spec.dynamic_batch, spec.stored_precision) == (False, False, 'fp32')
    assert spec.outputs == (('output0', (1, 7, 32)),)
    assert spec.preprocessing == YOLO
    assert len(spec.sha256) == 64
    assert (spec.name_of(2), spec.name_of(3), spec.name_of(-1)) == ('blue', '3', '-1')


def test_a_path_may_be_text(tmp_path):
    assert load_model(str(color_detector(tmp_path / 'm.onnx'))).path == tmp_path / 'm.onnx'


@pytest.mark.parametrize('layout, shape', [('nchw', (1, 3, 32, 64)), ('nhwc', (1, 32, 64, 3))])
@pytest.mark.parametrize('dtype, numpy_type', [(FLOAT, np.float32), (FLOAT16, np.float16), (UINT8, np.uint8)])
def test_layouts_and_types(tmp_path, layout, shape, dtype, numpy_type):
    spec = load_model(color_detector(tmp_path / 'm.onnx', 64, 32, layout, dtype))
    assert (spec.layout, spec.input_shape, spec.input_dtype) == (layout, shape, numpy_type)
    assert spec.preprocessing.scale == (1.0 if dtype == UINT8 else 1 / 255)


@pytest.mark.parametrize('head, expected', [
    ('yolov5', YoloHead('yolov5', 'output0', 3)),
    ('yolov8', YoloHead('yolov8', 'output0', 3)),
    ('transposed', YoloHead('yolov8', 'output0', 3, True))])
def test_heads_by_the_names_in_the_file(tmp_path, head, expected):
    # 96x96 has 189 dense candidates, unlike the other files here; transposed needs that number.
    if head == 'transposed':
        path = fixed_outputs(
            tmp_path / 'm.onnx', np.zeros((1, 189, 7)), input_shape=(1, 3, 96, 96),
            metadata={'names': dict(enumerate(COLORS))})
    else:
        path = color_detector(tmp_path / 'm.onnx', head=head)
    assert load_model(path).head == expected


def test_a_classifier(tmp_path):
    spec = load_model(color_classifier(tmp_path / 'm.onnx'))
    assert spec.task == 'classification'
    assert spec.head == ClassificationHead('logits', 3)
    assert spec.preprocessing == IMAGENET
    assert spec.input_shape == (1, 3, 16, 16)


# Dynamic inputs


@pytest.mark.parametrize('metadata, options, expected', [
    ({}, {}, (640, 640)),
    ({}, {'input_size': (320, 256)}, (320, 256)),
    ({'imgsz': '[256, 320]'}, {}, (320, 256)),  # height first
    ({'imgsz': '[256, 320]'}, {'input_size': (96, 64)}, (96, 64)),
    ({'task': 'detect'}, {}, (640, 640)),
])
def test_size_of_a_dynamic_detector(tmp_path, metadata, options, expected):
    spec = load_model(
        dynamic_detector(tmp_path / 'm.onnx', metadata={'names': list(COLORS), **metadata}), ModelOptions(**options))
    assert (spec.width, spec.height) == expected
    assert (spec.dynamic_size, spec.dynamic_batch) == (True, True)
    width, height = expected
    assert spec.outputs == (('output0', (1, 7, (width // 8) * (height // 8))),)
    assert spec.input_shape == (1, 3, height, width)


@pytest.mark.parametrize('metadata, options, expected', [
    ({}, {}, (224, 224)),
    ({}, {'task': 'classification'}, (224, 224)),
    ({'task': 'classify'}, {}, (224, 224)),
    ({'task': 'classify', 'imgsz': '[128, 160]'}, {}, (160, 128)),
    ({}, {'input_size': (320, 256)}, (320, 256)),
])
def test_size_of_a_dynamic_classifier(tmp_path, metadata, options, expected):
    path = color_classifier(tmp_path / 'm.onnx', ('h', 'w'), 'n', metadata)
    spec = load_model(path, ModelOptions(**options))
    assert (spec.width, spec.height) == expected
    assert spec.outputs == (('logits', (1, 3)),)


def test_only_one_side_dynamic(tmp_path):
    path = color_classifier(tmp_path / 'm.onnx', (64, 'w'))
    spec = load_model(path)
    assert (spec.width, spec.height, spec.dynamic_size) == (224, 64, True)


@pytest.mark.parametrize('size, message', [
    ((32, 64), r'input_size is \[32, 64\], but m.onnx has the fixed input size \[64, 32\]: leave input_size at'),
    ((-1, 32), r'input_size is \[-1, 32\]: expected \[width, height\] in pixels, or \[0, 0\]'),
    ((0, 32), r'input_size is \[0, 32\]: expected \[width, height\] in pixels, or \[0, 0\]'),
])
def test_sizes_that_cannot_be(tmp_path, size, message):
    with pytest.raises(ModelError, match=message):
        load_model(color_detector(tmp_path / 'm.onnx', 64, 32), ModelOptions(input_size=size))


def test_the_fixed_size_may_be_asked_for(tmp_path):
    assert load_model(color_detector(tmp_path / 'm.onnx', 64, 32), ModelOptions(input_size=(64, 32))).width == 64


# Names


def test_names_of_a_labels_file_where_the_file_has_none(tmp_path):
    labels = tmp_path / 'names.txt'
    labels.write_text('rouge\nvert\nbleu\n')
    spec = load_model(color_detector(tmp_path / 'm.onnx', metadata={}), ModelOptions(labels=str(labels)))
    assert spec.names == ('rouge', 'vert', 'bleu')
    assert spec.names_source == str(labels)
    assert spec.labels_warning == ''


def test_names_of_the_metadata_come_first(tmp_path):
    labels = tmp_path / 'names.txt'
    labels.write_text('red\nvert\nbleu\n')
    spec = load_model(color_detector(tmp_path / 'm.onnx'), ModelOptions(labels=str(labels)))
    assert spec.names == ('red', 'green', 'blue')
    assert spec.names_source == 'ONNX metadata'
    assert f'labels_file {labels} is not used: m.onnx has its own class names, such as ' \
        "'green' instead of 'vert'" in spec.labels_warning
    labels.write_text('red\ngreen\nblue\n')
    assert load_model(tmp_path / 'm.onnx', ModelOptions(labels=str(labels))).labels_warning == ''


def test_renaming_by_metadata_as_the_readme_says(tmp_path):
    model = onnx.load(color_detector(tmp_path / 'm.onnx'))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata['names'] = json.dumps({'0': 'rot', '1': 'grün', '2': 'blau'})
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, tmp_path / 'german.onnx')
    assert load_model(tmp_path / 'german.onnx').names == ('rot', 'grün', 'blau')


def test_names_are_indices_where_there_are_none(tmp_path):
    spec = load_model(color_detector(tmp_path / 'm.onnx', metadata={}))
    assert (spec.names, spec.names_source) == (('0', '1', '2'), 'class indices (the file has no names)')


@pytest.mark.parametrize('builder', [color_detector, color_classifier])
@pytest.mark.parametrize('count', [2, 4])
def test_a_wrong_number_of_names_fails(tmp_path, builder, count):
    labels = tmp_path / 'names.txt'
    labels.write_text('\n'.join('abcd'[:count]))
    with pytest.raises(LabelsError) as error:
        load_model(builder(tmp_path / 'm.onnx'), ModelOptions(labels=str(labels)))
    assert f'names.txt: found {count} class names, but m.onnx has 3 classes (output ' in str(error.value)
    assert 'set labels_file to the class names of this model' in str(error.value)


def test_a_wrong_number_of_names_in_the_file_itself_fails(tmp_path):
    path = color_classifier(tmp_path / 'm.onnx', metadata={'names': ['a', 'b']})
    with pytest.raises(LabelsError, match=r"ONNX metadata: found 2 class names, but m\.onnx has 3 .*correct 'names'"):
        load_model(path)
    (tmp_path / 'names.txt').write_text('a\nb\nc\n')
    with pytest.raises(LabelsError, match='ONNX metadata: found 2 class names'):
        load_model(path, ModelOptions(labels=str(tmp_path / 'names.txt')))


def test_shipped_names_where_asked_for(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 84, 84)))
    spec = load_model(path, ModelOptions(labels='coco'))
    assert (spec.names[0], spec.names[16], len(spec.names)) == ('person', 'dog', 80)
    assert spec.names_source == 'shipped list coco'
    with pytest.raises(LabelsError, match='shipped list imagenet: found 1000 class names'):
        load_model(path, ModelOptions(labels='imagenet'))


def test_missing_labels_file(tmp_path):
    with pytest.raises(LabelsError, match=r'none\.txt'):
        load_model(color_detector(tmp_path / 'm.onnx'), ModelOptions(labels=str(tmp_path / 'none.txt')))


def test_pose_columns_are_hinted_at(tmp_path):
    # 4 + 1 class + 17 * 3 for key points, without a task in the metadata
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 56, 84)), metadata={'names': {0: 'person'}})
    with pytest.raises(LabelsError, match=r'more output columns than classes: .*set head to segment, pose or obb'):
        load_model(path)


def test_end_to_end_takes_the_number_of_classes_from_the_names(tmp_path):
    rows = np.zeros((1, 300, 6))
    named = fixed_outputs(tmp_path / 'a.onnx', rows, metadata={'names': list('abcde')})
    spec = load_model(named)
    assert (spec.head.kind, spec.head.num_classes, spec.names) == ('end_to_end', 5, tuple('abcde'))
    spec = load_model(fixed_outputs(tmp_path / 'b.onnx', rows))
    assert (spec.head.kind, spec.names, spec.name_of(7)) == ('end_to_end', (), '7')
    labels = tmp_path / 'names.txt'
    labels.write_text('a\nb\n')
    spec = load_model(tmp_path / 'b.onnx', ModelOptions(labels=str(labels)))
    assert (spec.head.num_classes, spec.names) == (2, ('a', 'b'))


def test_end_to_end_refuses_names_that_are_fewer_than_its_own(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 300, 6)), metadata={'names': list('abcde')})
    (tmp_path / 'three.txt').write_text('x\ny\nz\n')
    with pytest.raises(LabelsError, match=r'three.txt: found 3 class names, but m.onnx has 5 .*\(in its metadata\)'):
        load_model(path, ModelOptions(labels=str(tmp_path / 'three.txt')))
    (tmp_path / 'five.txt').write_text('v\nw\nx\ny\nz\n')
    assert load_model(path, ModelOptions(labels=str(tmp_path / 'five.txt'))).names == tuple('abcde')


def test_yolo11_with_nms(tmp_path):
    # Ultralytics' metadata of such a file: the network is not end-to-end, but the export is.
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 300, 6)), metadata={
        'task': 'detect', 'imgsz': '[64, 64]', 'names': "{0: 'person'}", 'end2end': 'False', 'stride': '32',
        'args': "{'batch': 1, 'half': False, 'dynamic': False, 'simplify': True, 'opset': None, 'nms': True}"})
    assert load_model(path).head == YoloHead('end_to_end', 'output0', 1)


def test_yolov10_without_the_end2end_entry(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 300, 6)), metadata={
        'task': 'detect', 'names': dict(enumerate('ab')), 'args': "{'batch': 1, 'nms': False}"})
    assert load_model(path).head == YoloHead('end_to_end', 'output0', 2)


# Tasks


def test_the_wrong_task_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError) as error:
        load_model(color_detector(tmp_path / 'm.onnx'), ModelOptions(task='classification'))
    assert str(error.value) == (
        "m.onnx is a detection model (output output0 [1, 7, 64]), but task is 'classification': set task to auto or "
        'detection')
    with pytest.raises(ModelError, match=r"m.onnx is a classification model .*, but task is 'detection'"):
        load_model(color_classifier(tmp_path / 'm.onnx'), ModelOptions(task='detection'))
    with pytest.raises(ModelError, match="task is 'detect': expected one of auto, detection, classification"):
        load_model(color_classifier(tmp_path / 'm.onnx'), ModelOptions(task='detect'))


@pytest.mark.parametrize('builder, task', [(color_detector, 'detection'), (color_classifier, 'classification')])
def test_the_right_task_is_accepted(tmp_path, builder, task):
    assert load_model(builder(tmp_path / 'm.onnx'), ModelOptions(task=task)).task == task


@pytest.mark.parametrize('task, word', [('segment', 'a segmentation'), ('pose', 'a pose'), ('obb', 'an oriented-box')])
def test_other_tasks_of_ultralytics_need_their_columns(tmp_path, task, word):
    path = color_detector(tmp_path / 'm.onnx', metadata={'task': task, 'names': list(COLORS)})
    with pytest.raises(ModelError, match=(
            rf'this looks like {word} model of Ultralytics \(task: {task} in its metadata\) with other outputs')):
        load_model(path)


def test_the_head_can_be_set(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 189, 7)), input_shape=(1, 3, 96, 96))
    assert load_model(path).head == YoloHead('yolov5', 'output0', 2)
    assert load_model(path, ModelOptions(head='yolov8')).head == YoloHead('yolov8', 'output0', 3, True)


def test_unsupported_outputs_fail_with_their_shapes(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 21, 8, 8)))
    with pytest.raises(ModelError, match=r'found output0 \[1, 21, 8, 8\]; known layouts: classification \[1, C\]'):
        load_model(path)


def test_raw_yolov5_outputs_fail_with_the_command(tmp_path):
    path = fixed_outputs(
        tmp_path / 'm.onnx', *(np.zeros((1, 3, n, n, 85)) for n in (8, 4, 2)))
    with pytest.raises(ModelError, match=r'output2 \[1, 3, 2, 2, 85\].*python export.py --weights yolov5s.pt'):
        load_model(path)


def test_old_yolov5_export_with_four_outputs(tmp_path):
    raw = (np.zeros((1, 3, n, n, 85)) for n in (8, 4, 2))
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 252, 85)), *raw)
    assert load_model(path).head == YoloHead('yolov5', 'output0', COCO)


# Preprocessing


def test_metadata_then_options_change_the_preprocessing(tmp_path):
    said = {'color_order': 'bgr', 'scale': 1.0, 'mean': [127, 127, 127], 'std': [128], 'resize_mode': 'stretch'}
    path = color_classifier(tmp_path / 'm.onnx', metadata={'trt_perception.preprocessing': json.dumps(said)})
    assert load_model(path).preprocessing == Preprocessing(
        'bgr', 1.0, (127.0,) * 3, (128.0,) * 3, 'stretch', 0.875, 'bilinear_antialias')
    changed = load_model(path, ModelOptions(preprocessing=Overrides(color_order='rgb', std=(64.0,)))).preprocessing
    assert (changed.color_order, changed.std, changed.mean) == ('rgb', (64.0,) * 3, (127.0,) * 3)


def test_one_channel_models(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 10)), input_shape=(1, 1, 28, 28))
    assert load_model(path).input_shape == (1, 1, 28, 28)


def test_external_data(tmp_path):
    # Weights outside the file are required above 2 GB and allowed below.
    path = save(
        tmp_path / 'm.onnx',
        [onnx.helper.make_node('GlobalAveragePool', ['images'], ['means']),
         onnx.helper.make_node('Flatten', ['means'], ['flat']),
         onnx.helper.make_node('MatMul', ['flat', 'weights'], ['out'])],
        {'images': (FLOAT, ['n', 3, 'h', 'w'])}, {'out': (FLOAT, ['n', 'classes'])},
        {'weights': np.zeros((3, 500), np.float32)})
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location='m.data', size_threshold=0)
    assert load_model(path).head == SoftmaxHead('out', 500)
    Path(tmp_path / 'm.data').unlink()
    with pytest.raises(ModelError, match=r'has weights in the file m\.data, which is missing in'):
        load_model(path)


def test_names_of_a_labels_file_that_are_equal_are_named(tmp_path):
    """A COCO file of such a model has two categories of one name, which evaluate refuses."""
    path = color_detector(tmp_path / 'm.onnx', metadata={})
    (tmp_path / 'names.txt').write_text('red\nred\nblue\n')
    spec = load_model(path, ModelOptions(labels=str(tmp_path / 'names.txt')))
    assert spec.names == ('red', 'red', 'blue')
    assert spec.labels_warning == (
        f"m.onnx: the class names of {tmp_path / 'names.txt'} have the same name 'red' for classes 0, 1: COCO files "
        'and evaluate match classes by name; correct the file')
    (tmp_path / 'names.txt').write_text('red\ngreen\nblue\n')
    assert load_model(path, ModelOptions(labels=str(tmp_path / 'names.txt'))).labels_warning == ''
