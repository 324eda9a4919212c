# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Model files whose outputs cannot be right are refused when loaded or opened; the others give their results."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper
from support.recording_monitor import Told
from support.tiny_models import CELL, FLOAT, cells, color_classifier, color_detector, save

from trt_perception.backends.create import create_pipeline
from trt_perception.cli.main import main
from trt_perception.errors import ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.classification import classification_head
from trt_perception.model.heads.yolo import YoloHead
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.pipeline.plausible_outputs import require_plausible_outputs

PHOTO = Path(__file__).parents[1] / 'data' / 'photos' / 'astronaut.jpg'
TYPES = {'float32': 1, 'uint8': 2, 'int8': 3, 'int32': 6, 'int64': 7, 'float16': 10, 'float64': 11}
WIDE = (1, 3, 192, 320)


def outputs(path, metadata=None, input_shape=(1, 3, 64, 64), **arrays):
    """A model with these constant outputs, of the arrays' element types."""
    return save(
        path,
        [helper.make_node('Identity', [f'constant_{name}'], [name]) for name in arrays],
        {'images': (FLOAT, list(input_shape))},
        {name: (TYPES[str(array.dtype)], list(array.shape)) for name, array in arrays.items()},
        {f'constant_{name}': array for name, array in arrays.items()}, metadata)


def results(path, options=None):
    """The results for a photo on ONNX Runtime."""
    with create_pipeline(load_model(path, options), PipelineOptions('onnxruntime', num_threads=1)) as pipeline:
        return pipeline.run(Frame.from_bgr(cv2.imread(str(PHOTO)))).result


def dense(scores, size=(64, 64)):
    """(1, 4 + C, N) float32 of YOLOv8: a box for each cell, with these scores (C,)."""
    boxes = cells(*size)
    return np.concatenate([boxes, np.tile(np.array(scores)[:, np.newaxis], boxes.shape[1])])[np.newaxis].astype('f4')


def after_nms(count=300, classes=3):
    """(1, N, 6) float32 of an end-to-end model at 320x192: one sure box, and others as the network saw them."""
    rows = np.zeros((1, count, 6), np.float32)
    random = np.random.default_rng(0)
    rows[0, :, :2] = random.uniform(0, 120, (count, 2))
    rows[0, :, 2:4] = rows[0, :, :2] + random.uniform(20, 70, (count, 2))
    rows[0, :, 4] = np.linspace(0.02, 0.001, count)
    rows[0, :, 5] = random.integers(0, classes, count)
    rows[0, 0] = [100, 60, 180, 120, 0.9, 1]
    return rows


# Element types


@pytest.mark.parametrize('kind', ['uint8', 'int8', 'int32'])
@pytest.mark.parametrize('shape', [(1, 7, 84), (1, 1000), (1, 300, 6)])
def test_whole_numbers_as_outputs_are_refused_when_the_file_is_loaded(tmp_path, kind, shape):
    path = outputs(tmp_path / 'm.onnx', out=np.ones(shape, kind))
    with pytest.raises(ModelError, match=rf"output 'out' \[.*\] has the element type {kind}: expected float32 or "):
        load_model(path)
    with pytest.raises(ModelError, match=f'has the element type {kind}'):
        load_model(path, ModelOptions(head={1000: 'classification', 84: 'yolov8', 6: 'end_to_end'}[shape[-1]]))


@pytest.mark.parametrize('kind', ['float16', 'float64'])
def test_other_floating_point_outputs_are_read(tmp_path, kind):
    logits = np.log([[1.0, 4.0, 3.0, 2.0]]).astype(kind)
    found = results(outputs(tmp_path / 'c.onnx', p=logits))
    assert found.class_indices.tolist() == [1, 2, 3, 0]
    np.testing.assert_allclose(found.scores, [0.4, 0.3, 0.2, 0.1], rtol=1e-3)
    found = results(outputs(tmp_path / 'd.onnx', out=dense([0.1, 0.6]).astype(kind)))
    assert len(found) == 64 and set(found.class_indices.tolist()) == {1}


def test_scores_without_the_batch_dimension_are_read(tmp_path):
    path = outputs(tmp_path / 'm.onnx', p=np.log(np.float32([1, 4, 3, 2])))
    assert load_model(path).head.num_classes == 4
    np.testing.assert_allclose(results(path).scores, [0.4, 0.3, 0.2, 0.1], rtol=1e-5)


# Several outputs


def test_a_label_beside_probabilities_is_not_the_result(tmp_path):
    path = outputs(tmp_path / 'm.onnx', label=np.array([1], np.int64), p=np.float32([[0.1, 0.7, 0.2]]))
    found = results(path)
    assert found.class_indices.tolist() == [1, 2, 0]
    np.testing.assert_allclose(found.scores, [0.7, 0.2, 0.1])


def test_of_two_classifications_the_user_chooses_one(tmp_path):
    path = outputs(
        tmp_path / 'm.onnx', color=np.float32([[0.75, 0.25]]), type=np.float32([[0.125, 0.375, 0.5]]))
    with pytest.raises(ModelError, match='do not show which one: set output_name to one of color, type, or write'):
        load_model(path)
    assert results(path, ModelOptions(output_name='color')).scores.tolist() == [0.75, 0.25]
    assert results(path, ModelOptions(output_name='type')).class_indices.tolist() == [2, 1, 0]
    with pytest.raises(ModelError, match="output_name is 'kind': expected an output of the model, one of color, type"):
        load_model(path, ModelOptions(output_name='kind'))


def test_logits_beside_features(tmp_path, capsys):
    path = outputs(
        tmp_path / 'm.onnx', features=np.arange(8, dtype=np.float32)[np.newaxis],
        logits=np.log(np.float32([[0.25, 0.75]])))
    np.testing.assert_allclose(results(path).scores, [0.75, 0.25], rtol=1e-6)
    assert main(['inspect', str(path), '--backend', 'onnxruntime']) == 0
    assert 'classification (classification); the scores are logits\n' in capsys.readouterr().out
    told = Told()
    create_pipeline(load_model(path), PipelineOptions('onnxruntime', 'fp32'), monitor=told.monitor)
    assert told.log == [
        ('info', "m.onnx: the scores are output 'logits'; output_name chooses another of features, logits")]


def test_the_output_is_chosen_on_the_command_line(tmp_path, capsys):
    path = outputs(
        tmp_path / 'm.onnx', color=np.float32([[0.75, 0.25]]), type=np.float32([[0.125, 0.375, 0.5]]))
    assert main(['predict', str(path), str(PHOTO)]) == 1
    assert 'set output_name to one of color, type' in capsys.readouterr().err
    for name, classes in (('color', ['0', '1']), ('type', ['2', '1', '0'])):
        assert main(['predict', str(path), str(PHOTO), '--output-name', name, '--json', '-']) == 0
        line = json.loads(capsys.readouterr().out)
        assert [entry['class_id'] for entry in line['classifications']] == classes
        assert main(['inspect', str(path), '--output-name', name]) == 0
        assert f'{len(classes)} from class indices' in capsys.readouterr().out


def test_families_with_further_inputs_are_named(tmp_path):
    for name, kind, family in (
            ('orig_target_sizes', 'float32', 'RT-DETR, D-FINE or DEIM with another size input than int64'),
            ('pixel_mask', 'int64', 'DETR as exported from Hugging Face')):
        path = save(
            tmp_path / 'm.onnx', [helper.make_node('Identity', ['images'], ['boxes'])],
            {'images': (FLOAT, [1, 3, 64, 64]), name: (TYPES[kind], [1, 2])}, {'boxes': (FLOAT, [1, 3, 64, 64])})
        with pytest.raises(ModelError, match=(
                rf'm\.onnx has 2 inputs \(.*{name}.*\): expected one image input; this looks like {family}.*export a '
                'YOLO detector')):
            load_model(path)


# Values


def refused(path, text, options=None):
    """Assert that the file is loaded, and refused by what it computes, before a build and when it is opened."""
    spec = load_model(path, options)
    with pytest.raises(ModelError, match=text):
        require_plausible_outputs(spec)
    with pytest.raises(ModelError, match=text):
        create_pipeline(spec, PipelineOptions('onnxruntime', num_threads=1)).open()


def test_a_depth_map_of_other_proportions_is_refused(tmp_path):
    depth = np.linspace(0, 300, 48 * 60, dtype=np.float32).reshape(1, 48, 60)
    refused(outputs(tmp_path / 'm.onnx', depth=depth), r"output 'depth' has scores from \d+ to 300: expected 0\.\.1")


def test_key_points_without_metadata_are_refused(tmp_path):
    refused(
        outputs(tmp_path / 'm.onnx', out=dense([0.4, *[31.0] * 51])),
        'only the first 1 of 52 columns .* set head to segment, pose or obb')


def test_raw_class_logits_are_refused(tmp_path):
    path = outputs(tmp_path / 'm.onnx', out=dense([-4.0, 2.2]))
    refused(path, 'scores from -4 to 2.2: .*export the model with its sigmoid')


def test_corners_are_refused(tmp_path):
    raw = dense([0.1, 0.6, 0.1])
    raw[0, 2:4] = 16
    raw[0, :2] -= 8
    raw[0, 2:4] += raw[0, :2]
    refused(outputs(tmp_path / 'm.onnx', out=raw), r'these are corners \(x_min, y_min, x_max, y_max\), expected centre')


def test_fractions_are_refused(tmp_path):
    raw = dense([0.1, 0.6, 0.1])
    raw[0, :4] /= 64
    refused(outputs(tmp_path / 'm.onnx', out=raw), 'boxes in pixels of the 64x64 input; these look like fractions')
    rows = after_nms()
    rows[0, :, :4] /= 320
    path = outputs(tmp_path / 'e.onnx', out=rows, input_shape=(1, 3, 640, 640))
    refused(path, r'coordinates from .*: expected x_min, y_min, x_max, y_max in pixels of the 640x640 input; these ')


def test_classes_that_the_names_do_not_have_are_refused(tmp_path):
    path = outputs(
        tmp_path / 'm.onnx', {'names': ['a', 'b'], 'end2end': 'True'}, WIDE, out=after_nms(classes=3))
    refused(path, 'has the class 2, but there are only 2 class names, for 0 to 1: correct the class names')


def test_a_model_that_finds_nothing_in_the_test_images_is_accepted(tmp_path):
    path = outputs(tmp_path / 'm.onnx', {'names': ['a', 'b'], 'end2end': 'True'}, WIDE, out=np.zeros((1, 300, 6), 'f4'))
    assert len(results(path)) == 0


def test_an_infinite_score_is_reported_as_before(tmp_path):
    raw = dense([0.1, 0.6, 0.1])
    raw[0, 4:, 5] = np.nan
    path = outputs(tmp_path / 'm.onnx', out=raw)
    require_plausible_outputs(load_model(path))
    with pytest.raises(Exception, match='holds values that are not finite'):
        results(path)


def test_the_second_test_image_has_colours_and_edges(tmp_path):
    """A network that gives logits only where it sees something."""
    nodes = [
        helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('Sub', ['means', 'grey'], ['differences']),
        helper.make_node('Abs', ['differences'], ['contrast']),
        helper.make_node('Mul', ['contrast', 'gain'], ['strong']),
        helper.make_node('Reshape', ['strong', 'shape'], ['scores']),
        helper.make_node('Concat', ['boxes', 'scores'], ['output0'], axis=1)]
    path = save(
        tmp_path / 'm.onnx', nodes, {'images': (FLOAT, [1, 3, 64, 64])}, {'output0': (FLOAT, [1, 7, 64])},
        {'grey': np.array(114 / 255, np.float32), 'gain': np.array(30, np.float32),
         'shape': np.array([1, 3, -1], np.int64), 'boxes': cells(64, 64)[np.newaxis]})
    refused(path, r'scores from .* to 1\d\.?\d*: expected 0\.\.1')


# Two heads that fit


@pytest.mark.parametrize('names', [None, ['a'], ['a', 'b']])
def test_values_decide_for_end_to_end(tmp_path, names):
    # 300 is also the number of cells of the strides 16 and 32 at 320x192.
    path = outputs(
        tmp_path / 'm.onnx', names and {'names': names}, WIDE, output0=after_nms(classes=len(names or 'abc')))
    if names == ['a']:
        # The box of after_nms has class 1.
        with pytest.raises(ModelError, match='fits the heads yolov5 and end_to_end, and neither has these values'):
            load_model(path)
        return
    assert load_model(path).head == YoloHead('end_to_end', 'output0', len(names or ''))
    found = results(path)
    assert found.class_indices.tolist() == [1]
    # 320x192 shows 192x192 of the square photo's 512x512, 64 columns from the left.
    np.testing.assert_allclose(found.boxes, [[96, 160, 512 * (180 - 64) / 192, 320]], rtol=1e-4)


def test_values_decide_for_a_detector_of_one_class(tmp_path):
    rows = np.concatenate(
        [cells(64, 64).T, np.full((64, 1), 0.5), np.full((64, 1), 0.8)], axis=1)[np.newaxis].astype(np.float32)
    rows = np.concatenate([rows, rows[:, :20]], axis=1)  # 84 is the number of cells of the strides 8, 16 and 32.
    path = outputs(tmp_path / 'm.onnx', output0=rows)
    assert load_model(path).head == YoloHead('yolov5', 'output0', 1)
    assert len(results(path)) == 64
    # Boxes larger than the input, and only zeros as the last number
    rows[..., 2:4], rows[..., 5] = 70, 0
    path = outputs(tmp_path / 'both.onnx', output0=rows)
    with pytest.raises(ModelError, match=(
            r"output 'output0' \[1, 84, 6\] fits the heads yolov5 and end_to_end, and the values of two test images do "
            'not show which it is: set head to the right one')):
        load_model(path)
    assert load_model(path, ModelOptions(head='end_to_end')).head.kind == 'end_to_end'


def test_rows_that_are_not_in_use_are_those_of_end_to_end(tmp_path):
    path = outputs(tmp_path / 'm.onnx', output0=np.zeros((1, 84, 6), np.float32))
    assert load_model(path).head == YoloHead('end_to_end', 'output0', 0)
    assert len(results(path)) == 0


def test_a_file_that_onnx_runtime_cannot_load_has_the_head_of_its_shape(tmp_path):
    model = onnx.load(outputs(tmp_path / 'plain.onnx', input_shape=WIDE, output0=after_nms()))
    model.opset_import.append(helper.make_opsetid('TRT', 1))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = 'EfficientNMS_TRT', 'TRT'
    onnx.save(model, tmp_path / 'm.onnx')
    # TensorRT runs such a file, and `require_plausible` checks the values of its engine.
    assert load_model(tmp_path / 'm.onnx', ModelOptions(head='yolov5')).head == YoloHead('yolov5', 'output0', 1)


def test_metadata_decides_before_values(tmp_path):
    path = outputs(tmp_path / 'm.onnx', {'end2end': 'True'}, WIDE, output0=np.zeros((1, 300, 6), np.float32))
    assert load_model(path).head.kind == 'end_to_end'
    path = outputs(tmp_path / 'r.onnx', {'head': 'RTDETRDecoder', 'end2end': 'False', 'names': list('abc')}, WIDE,
                   output0=after_nms())
    assert load_model(path).head.kind == 'rtdetr_rows'
    refused(path, 'this looks like RT-DETR as exported by Ultralytics: export it again')


# Classifiers


def classifier(path, last):
    """Means of the colours, then the last operator."""
    return save(
        path,
        [helper.make_node('GlobalAveragePool', ['images'], ['means']), helper.make_node('Flatten', ['means'], ['flat']),
         *last],
        {'images': (FLOAT, [1, 3, 16, 16])}, {'out': (FLOAT, [1, 3])},
        {'weights': np.eye(3, dtype=np.float32), 'bias': np.zeros(3, np.float32)})


@pytest.mark.parametrize('last, activation', [
    ([helper.make_node('Sigmoid', ['flat'], ['out'])], 'sigmoid'),
    ([helper.make_node('Sigmoid', ['flat'], ['a']), helper.make_node('Reshape', ['a', 'out_shape'], ['out'])],
     'sigmoid'),
    ([helper.make_node('Softmax', ['flat'], ['out'])], 'softmax'),
    ([helper.make_node('Gemm', ['flat', 'weights', 'bias'], ['out'])], 'softmax'),
    ([helper.make_node('MatMul', ['flat', 'weights'], ['out'])], 'softmax'),
    ([helper.make_node('MatMul', ['flat', 'weights'], ['a']), helper.make_node('Add', ['a', 'bias'], ['out'])],
     'softmax'),
    ([helper.make_node('Add', ['bias', 'flat'], ['out'])], ''),
    ([helper.make_node('Relu', ['flat'], ['out'])], 'softmax'),
    ([helper.make_node('Clip', ['flat'], ['out'])], ''),
])
def test_the_graph_shows_the_activation(tmp_path, last, activation):
    path = tmp_path / 'm.onnx'
    if any('out_shape' in node.input for node in last):
        last = [helper.make_node('Constant', [], ['out_shape'], value_ints=[1, 3]), *last]
    assert load_model(classifier(path, last)).head == classification_head('out', 3, activation)


def test_sigmoid_scores_are_reported_as_they_are(tmp_path):
    found = results(classifier(tmp_path / 'm.onnx', [helper.make_node('Sigmoid', ['flat'], ['out'])]))
    photo = cv2.imread(str(PHOTO))
    side = int(512 * 0.875)
    edge = (512 - side) // 2
    pixels = cv2.resize(photo[edge:edge + side, edge:edge + side], (16, 16), interpolation=cv2.INTER_AREA)[..., ::-1]
    means = ((pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).mean(axis=(0, 1))
    np.testing.assert_allclose(found.scores, np.sort(1 / (1 + np.exp(-means)))[::-1], atol=0.01)
    assert found.scores.sum() > 1.02 or found.scores.sum() < 0.98


def test_multi_label_scores_are_recognised_by_their_values(tmp_path):
    found = results(outputs(tmp_path / 'm.onnx', p=np.float32([[0.9, 0.8, 0.1, 0.7, 0.2]])))
    assert found.class_indices.tolist() == [0, 1, 3, 4, 2]
    np.testing.assert_array_equal(found.scores, np.float32([0.9, 0.8, 0.7, 0.2, 0.1]))


def test_logits_of_a_linear_layer_go_through_softmax_whatever_their_values(tmp_path):
    path = color_classifier(tmp_path / 'm.onnx', metadata={})
    assert results(path).scores.sum() == pytest.approx(1, abs=1e-6)
    found = results(classifier(tmp_path / 'g.onnx', [helper.make_node('Gemm', ['flat', 'weights', 'bias'], ['out'])]))
    assert found.scores.sum() == pytest.approx(1, abs=1e-6)


# Class names in the metadata


def test_names_that_cannot_be_read_are_quoted(tmp_path):
    spec = load_model(color_detector(tmp_path / 'm.onnx', metadata={'names': "{0: 'a', 1: 'b'"}))
    assert spec.names == ('0', '1', '2')
    assert spec.names_source == 'class indices (the names in the file cannot be read)'
    assert spec.labels_warning == (
        "m.onnx: the file's class names cannot be read (neither JSON nor a Python literal): found '{0: 'a', 1: 'b''; "
        'expected a list, or a mapping from the indices 0, 1, 2, ... to names')


def test_a_labels_file_replaces_names_that_cannot_be_read(tmp_path):
    (tmp_path / 'names.txt').write_text('x\ny\nz\n')
    spec = load_model(
        color_detector(tmp_path / 'm.onnx', metadata={'names': 'a,b,c'}),
        ModelOptions(labels=str(tmp_path / 'names.txt')))
    assert (spec.names, spec.names_source) == (('x', 'y', 'z'), str(tmp_path / 'names.txt'))
    assert "found 'a,b,c'" in spec.labels_warning


def test_odd_names_are_used_with_a_warning(tmp_path):
    spec = load_model(color_detector(tmp_path / 'm.onnx', metadata={'names': {0: 'a', 1: 'a', 2: ''}}))
    assert (spec.names, spec.names_source) == (('a', 'a', '2'), 'ONNX metadata')
    assert spec.labels_warning == (
        "m.onnx: the file's class names have no name for class 2, whose index is used and the same name 'a' for "
        "classes 0, 1; correct 'names' in its metadata")


def test_a_number_of_names_that_does_not_fit_is_an_error_as_before(tmp_path):
    with pytest.raises(ModelError, match=r'found 2 class names, but m\.onnx has 3 classes'):
        load_model(color_detector(tmp_path / 'm.onnx', metadata={'names': {0: 'a', 1: 'b'}}))
