# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The quality of boxes in int8: the box decoder stays in float, and the search has a target for the IoU."""

import hashlib
import json
import platform
from dataclasses import asdict, replace

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from support.precision_models import color_folder, color_frames, conv_classifier, conv_detector, dfl_detector
from support.recording_monitor import Told

from trt_perception.backends.create import create_pipeline
from trt_perception.errors import CalibrationError, EngineError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.precision import quantizer
from trt_perception.precision.calibration import calibration_of
from trt_perception.precision.fp16 import halve_rest, to_fp16
from trt_perception.precision.graph import load_model as load_graph
from trt_perception.precision.int8 import quantize
from trt_perception.precision.parity import Agreement, compare
from trt_perception.precision.prepare import ConversionOptions, prepare_model
from trt_perception.precision.ranges import threshold
from trt_perception.precision.search import Evaluation
from trt_perception.precision.target import Target
from trt_perception.results.results import Detections

FRAMES = [Frame.from_bgr(pixels) for pixels in color_frames(8)]
OTHERS = [Frame.from_bgr(pixels) for pixels in color_frames(8, seed=1)]
DECODING = {
    'sides_flat', 'bins_first', 'softmax', 'dfl', 'boxes_flat', 'split', 'low', 'high', 'sum', 'c', 'extent',
    'grid_boxes', 'pixels', 'flat', 'columns'}
UNEVEN = np.diag([1000.0, 1.0, 1.0]).astype(np.float32)[:, :, None, None]


def calibrated(path):
    return calibration_of(load_model(path), FRAMES, 'minmax')


def types_of(path):
    return {tensor.name: tensor.data_type for tensor in onnx.load(str(path)).graph.initializer}


def test_the_expectation_over_bins_stays_in_float(tmp_path):
    source = dfl_detector(tmp_path / 'model.onnx')
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS)
    assert (report.int8, report.kept_float) == (('mix', 'back'), ('shrink', 'sides', 'dfl'))
    assert report.agreement.matched >= 20 and report.agreement.mean_iou > 0.995
    # In int8, that layer alone would cost ten times as much of the boxes as all others together.
    model = quantizer.prepared(load_graph(source), 'model.onnx')
    inputs = quantizer.input_tensors(model)
    seen = calibrated(source).histograms(model, sorted(set(inputs.values())))
    thresholds = {name: threshold(histogram, 'minmax') for name, histogram in seen.items()}
    quantised = Evaluation(load_model(source), model, OTHERS).of(
        quantizer.insert_qdq(model, thresholds, ['mix', 'back', 'dfl']))
    assert 1 - quantised.mean_iou > 10 * (1 - report.agreement.mean_iou)


def test_it_stays_in_float_whatever_the_user_names(tmp_path):
    source = dfl_detector(tmp_path / 'model.onnx')
    everything = quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS, keep_float=())
    assert (everything.int8, everything.kept_float) == (('mix', 'back', 'shrink', 'sides'), ('dfl',))
    # Its name, which users gave until now, is still a name of a layer.
    assert quantize(
        source, tmp_path / 'int8.onnx', calibrated(source), OTHERS, keep_float=('dfl', 'sides')).int8 == (
            'mix', 'back', 'shrink')
    with pytest.raises(ModelError, match=r"found 'low', which is not .*: choose from mix, back, shrink, sides$"):
        quantize(source, tmp_path / 'int8.onnx', calibrated(source), keep_float=('low',))


def test_fp16_and_the_float_layers_of_int8_follow_the_same_rule(tmp_path):
    source = dfl_detector(tmp_path / 'model.onnx')
    report = to_fp16(source, tmp_path / 'half.onnx')
    assert set(report.kept_float) == DECODING
    quantize(source, tmp_path / 'int8.onnx', calibrated(source), keep_float=())
    halve_rest(tmp_path / 'int8.onnx', tmp_path / 'mixed.onnx')
    for path in (tmp_path / 'half.onnx', tmp_path / 'mixed.onnx'):
        types = types_of(path)
        assert (types['dfl.weight'], types['centres'], types['sides.weight']) == (
            TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT16)
        if path.name == 'mixed.onnx' and platform.machine() == 'aarch64':
            # ONNX Runtime for ARM joins the pairs of Q and DQ with half scales to an operator that it rejects then.
            # This file is for TensorRT alone.
            continue
        first, second = (HostPipeline(load_model(each), OnnxRuntimeBackend(each)) for each in (source, path))
        with first, second:
            assert compare(first, second, OTHERS).min_iou > 0.98


def test_branches_that_read_values_of_the_decoder_run_in_float32(tmp_path):
    """NMS in torchvision's export is an If: its branches read float32 boxes and half scores from outside."""
    def branch(name, read):
        return helper.make_graph(
            [helper.make_node('Mul', [read, 'one'], [name])], name, [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    source = conv_detector(tmp_path / 'model.onnx')
    proto = onnx.load(str(source))
    (columns,) = [node for node in proto.graph.node if node.name == 'columns']
    columns.input[1] = 'chosen'
    position = list(proto.graph.node).index(columns)
    for offset, node in enumerate((
            helper.make_node('ReduceMax', ['scores'], ['peak'], 'peak', keepdims=0),
            helper.make_node('Greater', ['peak', 'zero'], ['any'], 'any'),
            helper.make_node('Reshape', ['maps', 'scores_shape'], ['again'], 'again'),
            helper.make_node('If', ['any'], ['chosen'], 'if', then_branch=branch('a', 'scores'),
                             else_branch=branch('b', 'again')))):
        proto.graph.node.insert(position + offset, node)
    for name, value in (('zero', 0.0), ('one', 1.0)):
        proto.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    onnx.save(proto, str(source))
    for keep_float in (None, ('if',)):
        to_fp16(source, tmp_path / 'half.onnx', keep_float=keep_float)
        first, second = (
            HostPipeline(load_model(path), OnnxRuntimeBackend(path)) for path in (source, tmp_path / 'half.onnx'))
        with first, second:
            agreement = compare(first, second, OTHERS)
        assert agreement.value == 1.0 and agreement.matched > 10 and agreement.max_score_difference < 0.002


# -- the target of the search

def agreement(ious=(1.0,), differences=(0.0,), missing=0):
    """An agreement of boxes with these IoUs and score differences."""
    result = Agreement('detection')
    for iou, difference in zip(ious, np.broadcast_to(differences, len(ious))):
        boxes = np.array([[0, 0, 10, 10]], np.float32), np.array([[0, 0, 10, 10 * iou]], np.float32)
        result.add_frame(*(
            Detections(box, np.array([score], np.float32), np.array([0])) for box, score in zip(
                boxes, (0.9, 0.9 - difference))), 0.25)
    result.missing += missing
    return result


@pytest.mark.parametrize('given, missed', [
    (agreement(), ''), (agreement([0.97, 0.94], [0.01]), ''), (agreement([1.0] * 9 + [0.61]), ''),
    (agreement([0.94] * 5), 'mean IoU 0.9400 (expected at least 0.95)'),
    (agreement([1.0] * 38 + [0.55] * 2), 'lowest IoU 0.5500 (expected at least 0.6)'),
    (agreement([1.0] * 38 + [0.55]), ''),
    (agreement(differences=[0.03]), 'mean score difference 0.0300 (expected at most 0.02)'),
    (agreement([0.9] * 4, [0.1], 2),
     'agreement 0.8000 (expected at least 0.95), mean score difference 0.1000 (expected at most 0.02), '
     'mean IoU 0.9000 (expected at least 0.95)')])
def test_a_target_has_box_quality_beside_agreement_and_score(given, missed):
    assert (Target().missed(given), Target().reached(given)) == (missed, not missed)
    assert Target(0.0, 1.0, 0.0, 0.0).reached(given)
    assert 'IoU' not in Target().without_boxes.missed(given)


@pytest.mark.parametrize('good, bad, expected', [
    (8, 1, 0.51), (9, 1, 1.0), (8, 2, 0.51), (98, 1, 1.0), (97, 2, 0.51), (98, 2, 1.0), (97, 3, 0.51), (0, 1, 0.51)])
def test_a_few_outliers_do_not_count(good, bad, expected):
    """Two overlapping boxes of almost equal score: any rounding lets NMS keep the other one."""
    found = agreement([1.0] * good + [0.51] * bad)
    assert (found.low_iou, found.min_iou) == (pytest.approx(expected), pytest.approx(0.51))
    assert Agreement('detection').low_iou == 1.0


def test_the_search_keeps_layers_in_float_until_the_boxes_are_good(tmp_path):
    source = uneven_boxes(tmp_path / 'model.onnx')
    loose = quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS, targets=[Target().without_boxes])
    assert (loose.int8, loose.missed) == (('mix', 'back', 'wide', 'narrow'), '')
    # Each box is found with its score, but up to half of its area is wrong.
    assert loose.agreement.value == 1.0 and loose.agreement.mean_score_difference < 0.01
    assert loose.agreement.mean_iou < 0.9 and loose.agreement.min_iou < 0.6
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS)
    assert (report.int8, report.kept_float) == (('mix', 'back', 'wide'), ('shrink', 'narrow', 'sides', 'dfl'))
    assert report.agreement.mean_iou >= 0.95 and report.agreement.low_iou >= 0.6
    # A demand on a single box counts too.
    lowest = Target(mean_iou=0.0)
    assert quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS, targets=[lowest]).int8 == report.int8


def uneven_boxes(path):
    """dfl_detector, whose sides are read through two layers `wide` and `narrow`; the second one is bad in int8."""
    dfl_detector(path)
    proto = onnx.load(str(path))
    (sides,) = [node for node in proto.graph.node if node.name == 'sides']
    sides.input[0] = 'n'
    position = list(proto.graph.node).index(sides)
    proto.graph.node.insert(position, helper.make_node('Conv', ['images', 'wide.weight'], ['w'], 'wide'))
    proto.graph.node.insert(position + 1, helper.make_node('Conv', ['w', 'narrow.weight'], ['n'], 'narrow'))
    for name, value in (('wide.weight', UNEVEN), ('narrow.weight', np.linalg.inv(UNEVEN[:, :, 0, 0]))):
        value = value.reshape(3, 3, 1, 1).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.save(proto, str(path))
    return path


def test_weaker_targets_are_accepted_in_their_order_and_told(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx', weights_of_first=UNEVEN)
    out, impossible = tmp_path / 'int8.onnx', Target(1.0, 0.0)
    with pytest.raises(CalibrationError, match=(
            r'with any of 2 layers; with one of them in int8: .*score difference 0\.00\d\d \(expected at most 0\);')):
        quantize(source, out, calibrated(source), OTHERS, targets=[impossible, impossible])
    usual = quantize(source, out, calibrated(source), OTHERS, targets=[Target()])
    assert usual.missed == '' and 'missed' not in usual.as_dict()
    anything_goes = Target(0.0, 1.0, 0.0, 0.0)
    weaker = quantize(source, out, calibrated(source), OTHERS, targets=[impossible, Target(), anything_goes])
    assert weaker.int8 == usual.int8 == ('mix',)
    assert weaker.missed.startswith('mean score difference 0.00') and weaker.as_dict()['missed'] == weaker.missed
    anything = quantize(source, out, calibrated(source), OTHERS, targets=[impossible, anything_goes])
    assert anything.int8 == ('mix', 'back') and anything.agreement.value < 0.9


@pytest.mark.parametrize('min_agreement, first, weaker', [
    (None, Target(), [Target(mean_iou=0.0, min_iou=0.0)]),
    (0.6, Target(), [Target(mean_iou=0.0, min_iou=0.0), Target(0.6, 1.0, 0.0, 0.0)]),
    (0.0, Target(), [Target(mean_iou=0.0, min_iou=0.0), Target(0.0, 1.0, 0.0, 0.0)]),
    (0.98, Target(agreement=0.98), [Target(0.98, mean_iou=0.0, min_iou=0.0), Target(mean_iou=0.0, min_iou=0.0)])])
def test_the_target_follows_the_gate_of_the_node(min_agreement, first, weaker):
    options = ConversionOptions.for_gate(min_agreement)
    assert (options.target, list(options.accepted)) == (first, weaker)
    assert (min_agreement is None) == (options == ConversionOptions())


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return CalibrationOptions(str(color_folder(tmp_path / 'images', 48)), samples=32, checking=16, method='minmax')


def without_times(log):
    """The log without the times of int8 and fp32 on this machine, and without the share of the arithmetic in int8."""
    return [
        (severity, text) for severity, text in log
        if 'on ONNX Runtime on this machine' not in text and 'computes mostly in fp32' not in text]


def test_a_model_that_is_bad_in_int8_runs_if_the_gate_is_lower(tmp_path, images):
    """A single layer, whose result in int8 has no meaning: no choice of layers reaches the usual target."""
    source = conv_detector(tmp_path / 'model.onnx', weights_of_first=UNEVEN)
    proto = onnx.load(str(source))
    nodes = [node for node in proto.graph.node if node.name not in ('mix', 'relu')]
    # The pixels are multiplied without weights of a layer.
    nodes.insert(0, helper.make_node('Mul', ['images', 'gains'], ['positive'], 'gains'))
    proto.graph.initializer.append(numpy_helper.from_array(
        np.array([1000, 1, 1], np.float32).reshape(1, 3, 1, 1), 'gains'))
    nodes = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, str(source))
    options = PipelineOptions('onnxruntime', 'int8', num_threads=1, calibration=images)
    with pytest.raises(CalibrationError, match='int8 does not reach the target with any of 1 layers'):
        create_pipeline(load_model(source), options).open()
    with pytest.raises(CalibrationError, match='int8 does not reach the target with any of 1 layers'):
        create_pipeline(load_model(source), replace(options, min_agreement=0.9)).open()
    told = Told()
    with create_pipeline(load_model(source), replace(options, min_agreement=0.0), monitor=told.monitor) as pipeline:
        # Such a small model may be faster in fp32, which then runs.
        assert pipeline.describe()['precision_effective'] in ('int8', 'fp32')
    ((severity, text),) = without_times(told.log)
    assert severity == 'warning'
    assert text.startswith('int8 misses its usual accuracy, whichever layers stay in float: agreement 0.')
    # From the cache the warning is the same.
    again = Told()
    create_pipeline(load_model(source), replace(options, min_agreement=0.0), monitor=again.monitor).open()
    assert without_times(again.log) == [(severity, text)]


def test_keys_of_the_cache_change_for_detectors_in_int8_only(tmp_path, images):
    """Another key converts again, and another file is another engine, which takes minutes to build on each robot."""
    detector = load_model(conv_detector(tmp_path / 'detector.onnx'))
    classifier = load_model(conv_classifier(tmp_path / 'classifier.onnx'))

    def name(spec, precision, recipe, version):
        recipe = {'format': version, 'model': spec.sha256, 'precision': precision, **recipe}
        identity = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        return f'{spec.path.stem}-{precision}-{identity[:16]}.onnx'

    assert prepare_model(detector, 'fp16').path.name == name(detector, 'fp16', {}, 2)
    for spec, target, version in (
            (classifier, {'agreement': 0.95, 'score_difference': 0.02}, 2),
            (detector, {'agreement': 0.95, 'score_difference': 0.02, 'mean_iou': 0.95, 'min_iou': 0.6}, 3)):
        found = prepare_model(spec, 'int8', images)
        checks = calibration_of(spec, found.checking, 'minmax').sha256
        assert found.path.name == name(spec, 'int8', {
            'calibration': found.calibration_sha256, 'checking': checks, 'head': asdict(spec.head), 'keep_float': None,
            'target': target, 'onnxruntime': onnxruntime.__version__}, version)
        assert prepare_model(
            spec, 'int8', images, conversion=ConversionOptions.for_gate(0.0)).path.name != found.path.name


def test_a_cancelled_search_ends_it(tmp_path, images):
    told = Told(lambda text, done, total: told.cancel.set() if 'measuring' in text else None)
    with pytest.raises(EngineError, match='was cancelled while measuring what int8 costs'):
        prepare_model(load_model(uneven_boxes(tmp_path / 'model.onnx')), 'int8', images, monitor=told.monitor)
