# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors of other families than YOLO give the boxes of an independent decode, on ONNX Runtime, and on OpenVINO if
it is installed.

The networks are 96x64 and the image is 640x480, so a stretched image (x 6.667, y 7.5) and a letterboxed one (85x64,
5 pixels of padding on the left) give other boxes.
"""

import numpy as np
import pytest
from support.also_openvino import assert_same_with_openvino
from support.family_models import family_model

from trt_perception.backends.create import create_pipeline
from trt_perception.errors import EngineError, LabelsError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.detection import DetectionSettings
from trt_perception.model.heads.evidence import HeadEvidence
from trt_perception.model.heads.identify import fitting_heads
from trt_perception.model.normalisation import Overrides
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.pipeline.preprocess import geometry_of

WIDTH, HEIGHT = 640, 480
NET = np.array([96, 64, 96, 64], np.float64)
COCO = 'coco'


def image():
    return Frame.from_bgr(np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))


def opened(path, options=None, threshold=0.25):
    """(the detections for the image, the model's ModelSpec as it runs)."""
    settings = PostprocessSettings(DetectionSettings(score_threshold=threshold))
    model = load_model(path, options)
    with create_pipeline(model, PipelineOptions('onnxruntime', num_threads=1), settings) as pipeline:
        result, spec = pipeline.run(image()).result, pipeline.spec
    assert_same_with_openvino(model, settings, image(), result)
    return result, spec


def stretched(fractions):
    """Boxes as fractions (x_min, y_min, x_max, y_max) -> pixels of the image, clipped."""
    return np.clip(np.asarray(fractions, np.float64), 0, 1) * [WIDTH, HEIGHT, WIDTH, HEIGHT]


def letterboxed(pixels):
    """Boxes in pixels of the 96x64 network -> pixels of the image: scale 64/480, 85 columns from column 5 on."""
    pixels = np.asarray(pixels, np.float64)
    mapped = (pixels - [5, 0, 5, 0]) / [85 / WIDTH, 64 / HEIGHT, 85 / WIDTH, 64 / HEIGHT]
    return np.clip(mapped, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])


def corners(rows):
    """(N, 4) cx, cy, w, h -> x_min, y_min, x_max, y_max."""
    return np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in np.asarray(rows, np.float64)])


def assert_detections(found, boxes, scores, classes):
    """Assert that the detections are these, best first."""
    order = np.argsort(-np.asarray(scores), kind='stable')
    assert found.class_indices.tolist() == np.asarray(classes)[order].tolist()
    np.testing.assert_allclose(found.scores, np.asarray(scores)[order], atol=0.005)
    np.testing.assert_allclose(found.boxes, np.asarray(boxes)[order], atol=0.5)


def queries(count=300, seed=0):
    """(count, 4) cx, cy, w, h as fractions, as a DETR gives them: small boxes everywhere."""
    random = np.random.default_rng(seed)
    return np.concatenate([random.uniform(0.1, 0.9, (count, 2)), random.uniform(0.05, 0.2, (count, 2))], 1)


def sure(scores, high):
    """Lower all scores (N, C) but those in `high`, {(row, class): score}."""
    scores = scores * 0.02
    for place, score in high.items():
        scores[place] = score
    return scores


# RT-DETR of Ultralytics


HIGH = {(3, 1): 0.9, (40, 7): 0.8, (299, 0): 0.6}


def test_rtdetr_of_ultralytics(tmp_path):
    boxes = queries()
    scores = sure(np.random.default_rng(1).uniform(0, 1, (300, 80)), HIGH)
    path = family_model(
        tmp_path / 'm.onnx', {'output0': np.concatenate([boxes, scores], 1)[np.newaxis].astype('f4')},
        metadata={'names': [f'c{i}' for i in range(80)], 'task': 'detect'})
    found, spec = opened(path)
    rows = [row for row, _ in HIGH]
    assert_detections(found, stretched(corners(boxes[rows])), list(HIGH.values()), [1, 7, 0])
    assert spec.head.kind == 'rtdetr' and spec.preprocessing.resize_mode == 'stretch'
    assert spec.name_of(7) == 'c7'


def test_rtdetr_counts_one_class_of_each_query_and_suppresses_nothing(tmp_path):
    boxes = np.tile([[0.5, 0.5, 0.2, 0.2]], (300, 1)) + np.arange(300)[:, np.newaxis] * 1e-5
    scores = sure(np.ones((300, 80)), {(0, 1): 0.9, (0, 2): 0.8, (1, 1): 0.7})
    path = family_model(
        tmp_path / 'm.onnx', {'output0': np.concatenate([boxes, scores], 1)[np.newaxis].astype('f4')},
        metadata={'names': [f'c{i}' for i in range(80)]})
    found, _ = opened(path)
    assert found.class_indices.tolist() == [1, 1]


@pytest.mark.parametrize('metadata', [{'head': 'RTDETRDecoder', 'end2end': 'False'}, {}])
def test_rtdetr_rows(tmp_path, metadata):
    # With metadata as Ultralytics 8.4.190 writes it; without, the values decide.
    boxes = queries()
    scores = np.linspace(0.02, 0.001, 300)
    scores[:3] = 0.9, 0.8, 0.7
    classes = np.arange(300) % 80
    rows = np.concatenate([boxes, scores[:, np.newaxis], classes[:, np.newaxis]], 1)
    if metadata:
        metadata['names'] = [f'c{i}' for i in range(80)]
    path = family_model(tmp_path / 'm.onnx', {'output0': rows[np.newaxis].astype('f4')}, metadata=metadata)
    found, spec = opened(path)
    assert_detections(found, stretched(corners(boxes[:3])), [0.9, 0.8, 0.7], [0, 1, 2])
    assert spec.head.kind == 'rtdetr_rows'


ULTRALYTICS = {'names': ['a', 'b'], 'description': 'Ultralytics rtdetr-l model trained on site.yaml'}


@pytest.mark.parametrize('metadata', [
    ULTRALYTICS, {**ULTRALYTICS, 'end2end': 'False'}, {'names': ['a', 'b']}, {},
    {'names': ['a', 'b'], 'head': 'RTDETRDecoder', 'end2end': 'False'}])
@pytest.mark.parametrize('rows_with_class', [False, True])
def test_rtdetr_with_two_classes_has_rows_of_six_numbers_of_either_kind(tmp_path, metadata, rows_with_class):
    boxes = queries()
    scores = sure(np.random.default_rng(1).uniform(0.1, 1, (300, 2)), {(3, 1): 0.9, (40, 0): 0.8, (299, 1): 0.6})
    # Near zero, as where a trained network sees nothing: not a class index for that.
    scores[:, 1] = np.where(scores[:, 1] < 0.5, scores[:, 1] / 100, scores[:, 1])
    last = np.stack([scores.max(axis=1), scores.argmax(axis=1)], 1) if rows_with_class else scores
    path = family_model(
        tmp_path / 'm.onnx', {'output0': np.concatenate([boxes, last], 1)[np.newaxis].astype('f4')}, metadata=metadata)
    found, spec = opened(path)
    assert spec.head.kind == ('rtdetr_rows' if rows_with_class else 'rtdetr')
    assert_detections(found, stretched(corners(boxes[[3, 40, 299]])), [0.9, 0.8, 0.6], [1, 0, 1])


@pytest.mark.parametrize('classes', [1, 2, 3])
def test_the_user_says_that_it_is_rtdetr(tmp_path, classes):
    # As many queries as a grid of this input has cells, so the shape alone shows nothing.
    boxes = queries(126)
    scores = sure(np.random.default_rng(1).uniform(0.1, 1, (126, classes)), {(3, classes - 1): 0.9})
    path = family_model(
        tmp_path / 'm.onnx', {'output0': np.concatenate([boxes, scores], 1)[np.newaxis].astype('f4')})
    found, _ = opened(path, ModelOptions(head='rtdetr'))
    assert_detections(found, stretched(corners(boxes[[3]])), [0.9], [classes - 1])


def test_rows_in_pixels_are_those_after_nms(tmp_path):
    rows = np.zeros((1, 100, 6), np.float32)
    rows[0, :, :2] = np.random.default_rng(0).uniform(0, 40, (100, 2))
    rows[0, :, 2:4] = rows[0, :, :2] + 20
    rows[0, :, 4] = np.linspace(0.3, 0.01, 100)
    _, spec = opened(family_model(tmp_path / 'm.onnx', {'output0': rows}))
    assert spec.head.kind == 'end_to_end'


# Boxes and logits


def logit(scores):
    return np.log(scores / (1 - scores))


@pytest.mark.parametrize('names, imagenet', [(('dets', 'labels'), True), (('pred_boxes', 'pred_logits'), False)])
def test_detr_logits_count_each_pair_of_query_and_class(tmp_path, names, imagenet):
    boxes = queries()
    high = {(3, 1): 0.9, (3, 18): 0.85, (40, 90): 0.8, (299, 0): 0.3}
    logits = logit(sure(np.random.default_rng(1).uniform(0.01, 1, (300, 91)), high))
    path = family_model(tmp_path / 'm.onnx', {
        names[0]: boxes[np.newaxis].astype('f4'), names[1]: logits[np.newaxis].astype('f4')})
    found, spec = opened(path)
    rows = [row for row, _ in high]
    assert_detections(found, stretched(corners(boxes[rows])), list(high.values()), [1, 18, 90, 0])
    # COCO's ids, not shifted: 1 person, 18 dog, 90 toothbrush; 12 is not used.
    assert [spec.name_of(index) for index in (1, 18, 90, 12)] == ['person', 'dog', 'toothbrush', '12']
    assert spec.names_source == "COCO's names by id"
    preprocessing = spec.preprocessing
    assert (preprocessing.resize_mode, preprocessing.interpolation) == ('stretch', 'linear')
    assert preprocessing.mean == ((0.485, 0.456, 0.406) if imagenet else (0.0, 0.0, 0.0))


@pytest.mark.parametrize('family, size, names, classes, interpolation, imagenet', [
    ('dfine', 'n', 'pred_boxes pred_logits', 80, 'bilinear_antialias', False),
    ('deimv2', 'atto', 'pred_boxes pred_logits', 80, 'bilinear_antialias', False),
    ('deimv2', 's', 'pred_boxes pred_logits', 80, 'bilinear_antialias', True),
    ('rtdetr', 'r18', 'pred_boxes pred_logits', 80, 'linear', False),
    ('ec', 's', 'pred_boxes pred_logits', 80, 'bilinear_antialias', True),
    ('rfdetr', 'n', 'pred_boxes pred_logits', 91, 'linear', True),
    ('', '', 'dets labels', 91, 'linear', True),
    ('', '', 'pred_boxes logits', 80, 'bilinear_antialias', False),
    ('', '', 'pred_boxes logits', 91, 'bilinear_antialias', True),
    ('', '', 'pred_boxes logits', 92, 'bilinear_antialias', True),
])
def test_the_preprocessing_of_detr_is_that_of_its_exporter(family, size, names, classes, interpolation, imagenet):
    boxes, scores = names.split()
    queries = 100 if classes == 92 else 300
    evidence = HeadEvidence(
        ((boxes, (1, queries, 4)), (scores, (1, queries, classes))), (640, 640),
        metadata={'model_family': family, 'size': size} if family else {})
    head, = fitting_heads(evidence)
    preprocessing = head.usual_preprocessing
    assert (preprocessing.resize_mode, preprocessing.interpolation) == ('stretch', interpolation)
    assert (preprocessing.mean == (0.485, 0.456, 0.406)) == imagenet
    assert (preprocessing.std == (1.0, 1.0, 1.0)) == (not imagenet)
    assert preprocessing.color_order == 'rgb'


def test_detr_gives_at_most_as_many_boxes_as_queries(tmp_path):
    logits = np.full((1, 10, 91), 3.0, np.float32)
    logits[0, 4, 2] = 5
    path = family_model(tmp_path / 'm.onnx', {'dets': queries(10)[np.newaxis].astype('f4'), 'labels': logits})
    found, _ = opened(path)
    assert len(found) == 10 and found.class_indices[0] == 2
    np.testing.assert_allclose(found.scores[:2], [1 / (1 + np.exp(-5)), 1 / (1 + np.exp(-3))], atol=1e-5)


def test_libreyolo_takes_300_pairs_of_fewer_queries(tmp_path):
    arrays = {
        'pred_boxes': queries(10)[np.newaxis].astype('f4'), 'pred_logits': np.full((1, 10, 91), 3.0, np.float32)}
    arrays['pred_logits'] -= np.linspace(0, 1, 910).reshape(1, 10, 91)
    found, _ = opened(family_model(tmp_path / 'm.onnx', arrays, metadata={'libreyolo_version': '1.6.0'}))
    assert len(found) == 300
    np.testing.assert_allclose(found.scores[-1], 1 / (1 + np.exp(-3 + 299 / 909)), atol=1e-5)


def test_detr_scores_in_0_to_1_are_no_logits(tmp_path):
    scores = sure(np.ones((300, 91)), {(7, 3): 0.75})
    path = family_model(tmp_path / 'm.onnx', {
        'dets': queries()[np.newaxis].astype('f4'), 'labels': scores[np.newaxis].astype('f4')})
    found, spec = opened(path)
    assert found.scores.tolist() == [0.75] and spec.head.activation == 'none'


def test_the_first_detr_has_a_class_for_no_object(tmp_path):
    logits = np.zeros((1, 100, 92), np.float32)
    logits[0, :, 91] = 10
    logits[0, 2, 91], logits[0, 2, 17] = 0, 6
    boxes = queries(100)
    path = family_model(tmp_path / 'm.onnx', {'logits': logits, 'pred_boxes': boxes[np.newaxis].astype('f4')})
    found, spec = opened(path)
    score = np.exp(6) / (np.exp(6) + 91)
    assert_detections(found, stretched(corners(boxes[2:3])), [score], [17])
    assert spec.preprocessing.mean == (0.485, 0.456, 0.406) and len(spec.names) == 91


def test_names_of_a_detr_trained_on_own_classes(tmp_path):
    arrays = {
        'dets': queries()[np.newaxis].astype('f4'), 'labels': np.full((1, 300, 3), -5, np.float32)}
    path = family_model(tmp_path / 'm.onnx', arrays, metadata={'names': ['cat', 'dog']})
    # RF-DETR's last class means "no object".
    assert load_model(path).names == ('cat', 'dog', 'background')
    path = family_model(tmp_path / 'n.onnx', arrays, metadata={'names': ['cat']})
    with pytest.raises(LabelsError, match=r'found 1 class names, but n\.onnx has 3 classes'):
        load_model(path)


def test_80_names_of_coco_are_placed_by_id(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {
        'pred_boxes': queries()[np.newaxis].astype('f4'), 'pred_logits': np.full((1, 300, 91), -5, np.float32)})
    spec = load_model(path, ModelOptions(labels=COCO))
    assert (spec.name_of(1), spec.name_of(13), spec.name_of(90)) == ('person', 'stop sign', 'toothbrush')


def test_detr_boxes_that_are_corners_are_refused(tmp_path):
    boxes = queries()
    boxes[:, 2:] += boxes[:, :2]
    path = family_model(tmp_path / 'm.onnx', {
        'pred_boxes': boxes[np.newaxis].astype('f4'), 'pred_logits': np.full((1, 300, 91), -5, np.float32)})
    with pytest.raises(ModelError, match=(
            r"output 'pred_boxes' has 600 boxes whose third and fourth numbers .*expected cx, cy, w, h as fractions.*"
            'this looks like DETR or one of its relatives')):
        opened(path)


def test_detr_boxes_in_pixels_are_refused(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {
        'dets': (queries()[np.newaxis] * NET).astype('f4'), 'labels': np.full((1, 300, 91), -5, np.float32)})
    with pytest.raises(ModelError, match=r'has box coordinates up to \d+.*: expected cx, cy, w, h as fractions'):
        opened(path)


# Boxes, scores and labels


def labelled(boxes, scores, labels, names=('labels', 'boxes', 'scores'), kind='i8'):
    return {
        names[0]: np.asarray(labels)[np.newaxis].astype(kind), names[1]: np.asarray(boxes)[np.newaxis].astype('f4'),
        names[2]: np.asarray(scores)[np.newaxis].astype('f4')}


def sorted_scores(count=300):
    scores = np.linspace(0.02, 0.001, count)
    scores[:2] = 0.9, 0.5
    return scores


@pytest.mark.parametrize('batch', [1, 'N'])
def test_official_rtdetr_gets_the_size_of_its_input(tmp_path, batch):
    # The authors' exporters write a dynamic batch 'N' for both inputs.
    boxes = corners(queries())
    path = family_model(
        tmp_path / 'm.onnx', labelled(boxes, sorted_scores(), np.arange(300) % 80), (batch, 3, 64, 96), scaled='boxes')
    found, spec = opened(path, ModelOptions(labels=COCO))
    assert_detections(found, stretched(boxes[:2]), [0.9, 0.5], [0, 1])
    assert spec.name_of(1) == 'bicycle' and spec.head.unit == 'pixels'
    assert (spec.preprocessing.resize_mode, spec.preprocessing.interpolation) == ('stretch', 'bilinear_antialias')
    assert spec.input_name == 'images'


@pytest.mark.parametrize('maker', ['detr', 'nms', 'torchvision'])
def test_boxes_of_one_class_that_overlap_stay(tmp_path, maker):
    """As with the exporter's own prediction: the best queries of a DETR, or what NMS in the file has left."""
    boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.52, 0.5], [0.1, 0.12, 0.5, 0.52]])
    scores = [0.9, 0.8, 0.7]
    path = tmp_path / 'm.onnx'
    if maker == 'detr':
        family_model(path, labelled(boxes, scores, [1, 1, 1]), scaled='boxes')
    elif maker == 'nms':
        family_model(path, efficient_nms(3, boxes * NET, scores, [1, 1, 1]))
    else:
        family_model(path, {
            'boxes': np.float32(boxes * NET), 'labels': np.array([1, 1, 1], np.int64), 'scores': np.float32(scores),
        }, open_rows=True)
    found, _ = opened(path)
    assert_detections(found, stretched(boxes) if maker == 'detr' else letterboxed(boxes * NET), scores, [1, 1, 1])


def test_the_size_may_be_letterboxed_by_the_user(tmp_path):
    boxes = corners(queries())
    path = family_model(tmp_path / 'm.onnx', labelled(boxes, sorted_scores(), np.arange(300) % 80), scaled='boxes')
    found, _ = opened(path, ModelOptions(preprocessing=Overrides(resize_mode='letterbox')))
    assert_detections(found, letterboxed(boxes[:2] * NET), [0.9, 0.5], [0, 1])


@pytest.mark.parametrize('unit', ['pixels', 'fractions'])
def test_without_the_size_the_values_show_the_unit(tmp_path, unit):
    boxes = corners(queries())
    arrays = labelled(boxes * (NET if unit == 'pixels' else 1), sorted_scores(), np.arange(300) % 80)
    found, spec = opened(family_model(tmp_path / 'm.onnx', arrays))
    assert_detections(found, stretched(boxes[:2]), [0.9, 0.5], [0, 1])
    assert spec.head.unit == unit


def efficient_nms(count, boxes, scores, classes, kind='i4'):
    padded = np.full((1, 100, 4), 777, np.float32)
    padded[0, :len(boxes)] = np.reshape(boxes, (-1, 4))
    all_scores, labels = np.full((1, 100), 0.99, np.float32), np.zeros((1, 100), kind)
    all_scores[0, :len(boxes)], labels[0, :len(boxes)] = scores, classes
    return {
        'num_dets': np.array([[count]], kind), 'det_boxes': padded, 'det_scores': all_scores, 'det_classes': labels}


def test_efficient_nms_counts_its_rows(tmp_path):
    boxes = [[10, 8, 40, 30], [50, 20, 90, 60], [0, 0, 20, 20]]
    path = family_model(tmp_path / 'm.onnx', efficient_nms(3, boxes, [0.9, 0.6, 0.2], [2, 0, 1]))
    found, spec = opened(path)
    assert_detections(found, letterboxed(boxes[:2]), [0.9, 0.6], [2, 0])
    assert spec.head.kind == 'labelled' and spec.preprocessing.resize_mode == 'letterbox'


def test_efficient_nms_without_a_row_for_the_test_images(tmp_path):
    path = family_model(tmp_path / 'm.onnx', efficient_nms(0, [], [], []))
    found, spec = opened(path)
    assert len(found) == 0 and spec.head.unit == ''
    # The first frame with a box shows the unit.
    for factor in (1, 1 / NET):
        outputs = efficient_nms(1, np.array([[10, 8, 40, 30]]) * factor, [0.9], [2])
        geometry = geometry_of(spec, WIDTH, HEIGHT)
        assert_detections(
            spec.head.decode(outputs, geometry, DetectionSettings()), letterboxed([[10, 8, 40, 30]]), [0.9], [2])


def test_torchvision_has_as_many_rows_as_objects(tmp_path):
    arrays = {
        'boxes': np.float32([[10, 8, 40, 30], [50, 20, 90, 60]]), 'labels': np.array([1, 18], np.int64),
        'scores': np.float32([0.9, 0.6])}
    path = family_model(tmp_path / 'm.onnx', arrays, open_rows=True)
    found, spec = opened(path, ModelOptions(labels=COCO))
    assert_detections(found, letterboxed(arrays['boxes']), [0.9, 0.6], [1, 18])
    assert [spec.name_of(index) for index in (1, 18)] == ['person', 'dog']


def test_torchvision_without_an_object(tmp_path):
    arrays = {'boxes': np.zeros((0, 4), 'f4'), 'labels': np.zeros(0, 'i8'), 'scores': np.zeros(0, 'f4')}
    found, spec = opened(family_model(tmp_path / 'm.onnx', arrays, open_rows=True))
    assert len(found) == 0 and spec.head.kind == 'labelled'


def test_class_0_of_torchvision_is_the_background(tmp_path):
    arrays = {
        'boxes': np.float32([[10, 8, 40, 30]]), 'labels': np.array([2], np.int64), 'scores': np.float32([0.9])}
    path = family_model(tmp_path / 'm.onnx', arrays, open_rows=True, metadata={'names': ['cat', 'dog']})
    assert load_model(path).names == ('background', 'cat', 'dog')


@pytest.mark.parametrize('first', ['background', '__background__', 'BG', 'N/A', '???', 'unlabeled'])
def test_class_names_with_one_for_the_background_are_not_moved(tmp_path, first):
    # ???: labelmap.txt of TensorFlow.
    arrays = {
        'boxes': np.float32([[10, 8, 40, 30]]), 'labels': np.array([2], np.int64), 'scores': np.float32([0.9])}
    (tmp_path / 'names.txt').write_text(f'{first}\ncat\ndog\n')
    spec = load_model(
        family_model(tmp_path / 'm.onnx', arrays, open_rows=True), ModelOptions(labels=str(tmp_path / 'names.txt')))
    assert spec.name_of(2) == 'dog'


@pytest.mark.parametrize('said, names', [
    (None, ('background', 'cat', 'dog')), ('1', ('background', 'cat', 'dog')), ('0', ('cat', 'dog'))])
def test_the_file_may_say_the_label_of_the_first_class(tmp_path, said, names):
    arrays = {
        'boxes': np.float32([[10, 8, 40, 30]]), 'labels': np.array([1], np.int64), 'scores': np.float32([0.9])}
    metadata = {'names': ['cat', 'dog'], **({} if said is None else {'trt_perception.first_label': said})}
    spec = load_model(family_model(tmp_path / 'm.onnx', arrays, open_rows=True, metadata=metadata))
    assert spec.names == names
    doubt = "is taken to count its classes from 1, as torchvision does: 1 is 'cat'; if 'cat' is 0 there, write 0 into"
    assert (doubt in spec.labels_warning) == (said is None)


def test_names_that_leave_no_doubt_about_the_first_label_are_taken_without_a_warning(tmp_path):
    arrays = {
        'boxes': np.float32([[10, 8, 40, 30]]), 'labels': np.array([1], np.int64), 'scores': np.float32([0.9])}
    (tmp_path / 'names.txt').write_text('background\ncat\n')
    path = family_model(tmp_path / 'm.onnx', arrays, open_rows=True)
    assert load_model(path, ModelOptions(labels=str(tmp_path / 'names.txt'))).labels_warning == ''
    assert load_model(path).labels_warning == ''


def test_another_first_label_is_refused(tmp_path):
    arrays = {
        'boxes': np.float32([[10, 8, 40, 30]]), 'labels': np.array([1], np.int64), 'scores': np.float32([0.9])}
    path = family_model(
        tmp_path / 'm.onnx', arrays, open_rows=True, metadata={'trt_perception.first_label': 'one'})
    with pytest.raises(ModelError, match="first_label is 'one': expected 0 or 1, the number of the first class"):
        load_model(path)


def test_tensorflow_ssd(tmp_path):
    boxes = np.array([[0.1, 0.2, 0.5, 0.6], [0.3, 0.1, 0.9, 0.4]])  # y_min, x_min, y_max, x_max
    arrays = {
        'detection_boxes': boxes[np.newaxis].astype('f4'), 'detection_classes': np.float32([[17, 1]]),
        'detection_scores': np.float32([[0.9, 0.6]]), 'num_detections': np.float32([2]),
        'raw_detection_scores': np.zeros((1, 50, 91), 'f4'), 'raw_detection_boxes': np.zeros((1, 50, 4), 'f4')}
    found, spec = opened(family_model(tmp_path / 'm.onnx', arrays), ModelOptions(labels=COCO))
    assert_detections(found, stretched(boxes[:, [1, 0, 3, 2]]), [0.9, 0.6], [17, 1])
    assert [spec.name_of(index) for index in (17, 1)] == ['cat', 'person']


def test_nms_inside_yolo_nas(tmp_path):
    arrays = {
        'graph2_num_predictions': np.array([[1]], 'i8'),
        'graph2_pred_boxes': np.float32([[[10, 8, 40, 30], [0, 0, 0, 0]]]),
        'graph2_pred_scores': np.float32([[0.9, 0]]), 'graph2_pred_classes': np.array([[3, 0]], 'i8')}
    found, _ = opened(family_model(tmp_path / 'm.onnx', arrays))
    assert_detections(found, letterboxed([[10, 8, 40, 30]]), [0.9], [3])


def test_a_class_beyond_the_names_is_refused(tmp_path):
    path = family_model(
        tmp_path / 'm.onnx', efficient_nms(1, [[10, 8, 40, 30]], [0.9], [2]), metadata={'names': ['a', 'b']})
    with pytest.raises(ModelError, match=r"has the class 2 \(in 'det_classes'\), but there are only 2 class names"):
        opened(path)


def test_scores_above_1_are_refused(tmp_path):
    path = family_model(tmp_path / 'm.onnx', efficient_nms(1, [[10, 8, 40, 30]], [3.0], [2]))
    with pytest.raises(ModelError, match=r"has scores from 3 to 3 \(in 'det_scores'\): expected 0\.\.1"):
        opened(path)


def test_values_that_are_not_finite_are_reported(tmp_path):
    spec = load_model(family_model(tmp_path / 'm.onnx', efficient_nms(1, [[10, 8, 40, 30]], [0.9], [2])))
    outputs = efficient_nms(1, [[np.nan, 8, 40, 30]], [0.9], [2])
    with pytest.raises(EngineError, match="output 'det_boxes' holds values that are not finite"):
        spec.head.decode(outputs, geometry_of(spec, WIDTH, HEIGHT), DetectionSettings())


# Rows of 7


def test_rows_of_yolov7(tmp_path):
    rows = np.float32([[0, 10, 8, 40, 30, 2, 0.9], [0, 50, 20, 90, 60, 0, 0.6], [0, 1, 1, 9, 9, 1, 0.1]])
    path = family_model(tmp_path / 'm.onnx', {'output': rows}, open_rows=True)
    found, spec = opened(path)
    assert_detections(found, letterboxed(rows[:2, 1:5]), [0.9, 0.6], [2, 0])
    assert spec.head.kind == 'yolov7_rows'


@pytest.mark.parametrize('count', [0, 1])
def test_rows_of_yolov7_for_few_objects(tmp_path, count):
    # One row is no classification of seven classes.
    rows = np.float32([[0, 10, 8, 40, 30, 2, 0.9]])[:count]
    found, _ = opened(family_model(tmp_path / 'm.onnx', {'output': rows}, open_rows=True))
    assert len(found) == count


def test_rows_of_another_image_are_refused(tmp_path):
    rows = np.float32([[3, 10, 8, 40, 30, 2, 0.9]])
    with pytest.raises(ModelError, match='has 3 in its first column: expected 0, the index of the only image'):
        opened(family_model(tmp_path / 'm.onnx', {'output': rows}, open_rows=True))


def test_rows_of_ssd(tmp_path):
    rows = np.zeros((1, 1, 200, 7), np.float32)
    rows[0, 0, 0] = 0, 1, 0.9, 0.1, 0.2, 0.5, 0.6
    rows[0, 0, 1] = 0, 2, 0.6, 0.3, 0.1, 0.9, 0.4
    rows[0, 0, 2] = -1, 0, 0, 0, 0, 0, 0
    path = family_model(tmp_path / 'm.onnx', {'detection_out': rows}, metadata={'names': ['cat', 'dog']})
    found, spec = opened(path)
    assert_detections(found, stretched(rows[0, 0, :2, 3:]), [0.9, 0.6], [1, 2])
    assert spec.name_of(1) == 'cat'


# Boxes and scores apart


def grid(stride=8):
    """(N, 4) cx, cy, w, h in pixels of 96x64, a box for each cell."""
    y, x = np.mgrid[0:64 // stride, 0:96 // stride].reshape(2, -1)
    return np.stack([(x + 0.5) * stride, (y + 0.5) * stride, np.full(len(x), 14.0), np.full(len(x), 10.0)], 1)


@pytest.mark.parametrize('form', ['yolo_nas', 'damo', 'ppyoloe', 'yolov4', 'centres'])
def test_boxes_and_scores_apart(tmp_path, form):
    cells = grid()
    high = {(20, 1): 0.9, (21, 1): 0.5, (60, 2): 0.7}
    scores = sure(np.random.default_rng(1).uniform(0, 1, (len(cells), 3)), high)
    boxes = cells if form == 'centres' else corners(cells)
    expected = letterboxed(corners(cells)[[20, 60]])
    if form == 'yolov4':
        boxes = (boxes / NET)[:, np.newaxis]
        expected = stretched(corners(cells)[[20, 60]] / NET)
    outputs = {
        'a': boxes[np.newaxis].astype('f4'),
        'b': (scores.T if form == 'ppyoloe' else scores)[np.newaxis].astype('f4')}
    if form == 'damo':
        outputs = dict(reversed(outputs.items()))
    found, spec = opened(family_model(tmp_path / 'm.onnx', outputs))
    # Boxes 20 and 21 overlap by 6 of 14 columns: IoU 0.27, no suppression; with 0.2 there is.
    assert found.class_indices.tolist() == [1, 2, 1]
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.5], atol=0.005)
    np.testing.assert_allclose(found.boxes[:2], expected, atol=0.5)
    assert spec.head.kind == 'separate' and spec.head.unit == ('fractions' if form == 'yolov4' else 'pixels')


def test_overlapping_boxes_of_the_same_class_are_suppressed(tmp_path):
    cells = grid()
    cells[:, 2:] = 40, 40
    outputs = {
        'boxes': corners(cells)[np.newaxis].astype('f4'),
        'scores': sure(np.ones((len(cells), 3)), {(20, 1): 0.9, (21, 1): 0.5, (22, 2): 0.8})[np.newaxis].astype('f4')}
    found, _ = opened(family_model(tmp_path / 'm.onnx', outputs))
    assert found.class_indices.tolist() == [1, 2]


def test_softmax_scores_have_the_background_first(tmp_path):
    cells = grid()
    scores = np.tile([0.98, 0.01, 0.01], (len(cells), 1))
    scores[20] = 0.1, 0.2, 0.7
    outputs = {
        'scores': scores[np.newaxis].astype('f4'), 'boxes': (corners(cells) / NET)[np.newaxis].astype('f4')}
    path = family_model(tmp_path / 'm.onnx', outputs, metadata={'names': ['cat', 'dog']})
    found, spec = opened(path)
    assert_detections(found, letterboxed(corners(cells)[20:21]), [0.7], [2])
    assert spec.names == ('background', 'cat', 'dog')


def test_offsets_of_anchors_are_refused(tmp_path):
    boxes = np.random.default_rng(0).normal(0, 1, (1, 96, 4)).astype('f4')
    path = family_model(tmp_path / 'm.onnx', {'boxes': boxes, 'scores': np.full((1, 96, 3), 0.01, 'f4')})
    with pytest.raises(ModelError, match='neither corners nor centres with sizes: expected decoded boxes'):
        opened(path)


def test_logits_apart_are_refused(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {
        'boxes': corners(grid())[np.newaxis].astype('f4'), 'scores': np.full((1, 96, 3), -4, 'f4')})
    with pytest.raises(ModelError, match=r"has scores from -4 to -4 \(in 'scores'\): expected 0\.\.1"):
        opened(path)


# Recognition by names and shapes


@pytest.mark.parametrize('outputs, names, kinds', [
    ('pred_logits [1, 100, 92], pred_boxes [1, 100, 4]', None, ['detr']),
    ('dets [1, 300, 4], labels [1, 300, 91]', None, ['detr']),
    ('a [1, 900, 256], b [1, 900, 4]', None, ['detr', 'separate']),
    ('labels int64 [1, 300], boxes [1, 300, 4], scores [1, 300]', None, ['labelled']),
    ('output0 [1, 300, 84]', 80, ['rtdetr']),
    ('output0 [1, 300, 5]', 1, ['rtdetr']),
    ('output0 [1, 300, 84]', None, ['yolov5', 'rtdetr']),
    ('boxes [200, 4], scores [200], labels int64 [200]', None, ['labelled']),
    ('num_dets int32 [1, 1], det_boxes [1, 100, 4], det_scores [1, 100], det_classes int32 [1, 100]', None,
     ['labelled']),
    ('detection_boxes:0 [1, 100, 4], detection_classes:0 [1, 100], detection_scores:0 [1, 100], num_detections:0 [1]',
     None, ['labelled']),
    ('bboxes [1, 200, 4], labels int64 [1, 200], scores [1, 200]', None, ['labelled']),
    ('scores [1, 4420, 2], boxes [1, 4420, 4]', None, ['separate']),
    ('boxes [1, 8400, 4], scores [1, 8400, 80]', None, ['separate']),
    ('boxes [1, 8400, 4], scores [1, 8400, 4]', None, ['separate']),
    ('detection_out [1, 1, 200, 7]', None, ['ssd_rows']),
    ('output [7, 7]', None, ['yolov7_rows']),
])
def test_families_are_recognised_by_names_and_shapes(outputs, names, kinds):
    found = [part.replace(']', '').split(' [') for part in outputs.split('], ')]
    described = [name.split() for name, _ in found]
    evidence = HeadEvidence(
        tuple((name[0], tuple(int(size) for size in shape.split(',')))
              for name, (_, shape) in zip(described, found)),
        (640, 640), names, None, {name[0]: [*name, 'float32'][1] for name in described})
    assert [head.kind for head in fitting_heads(evidence)] == kinds


def test_the_user_may_choose_a_family():
    evidence = HeadEvidence((('a', (1, 900, 256)), ('b', (1, 900, 4))), (640, 640))
    assert [head.kind for head in fitting_heads(evidence, 'separate')] == ['separate']
    with pytest.raises(ModelError, match="head is set to 'labelled'; known layouts"):
        fitting_heads(evidence, 'labelled')
