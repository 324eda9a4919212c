# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy gate on real networks with a known agreement."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
import onnx
from support.precision_models import color_folder, color_frames, conv_classifier, conv_detector, two_topic_bag
from support.recording_monitor import Told

from trt_perception.errors import CalibrationError, EngineError, SourceError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.precision.agreement_report import AgreementReport
from trt_perception.precision.gate import (
    checking_frames,
    comparison_identity,
    measure_agreement,
    needed_agreement,
    require_agreement,
)

FRAMES = [Frame.from_bgr(pixels) for pixels in color_frames(8)]
BGR = {'red': 2, 'green': 1, 'blue': 0}


def one_square(color):
    """Return a picture with one cell in full colour: one box of score 1."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:24, 32:40, BGR[color]] = 255
    return Frame.from_bgr(pixels)


def detector(path, swapped=False):
    """Write the colour detector with blue as class 0, green as 1, red as 2; `swapped` exchanges green and red."""
    conv_detector(path)
    if swapped:
        proto = onnx.load(str(path))
        mix, = [tensor for tensor in proto.graph.initializer if tensor.name == 'mix.weight']
        weights = np.eye(3, dtype=np.float32)[[0, 2, 1]]
        mix.CopyFrom(onnx.numpy_helper.from_array(weights[:, :, None, None], 'mix.weight'))
        onnx.save(proto, str(path))
    return load_model(path)


def agreement(reference, candidate, frames, options=None, told=None, settings=None):
    told = told or Told()
    with HostPipeline(candidate, OnnxRuntimeBackend(candidate.path, 1), settings) as pipeline:
        before = pipeline.settings
        options = options or PipelineOptions()
        report = measure_agreement(
            reference, pipeline, options, checking_frames(reference, options, frames, told.monitor), told.monitor)
        assert pipeline.settings is before
    return report


def test_the_same_network_agrees_with_itself(tmp_path):
    spec, told = detector(tmp_path / 'm.onnx'), Told()
    report = agreement(spec, spec, FRAMES, told=told)
    assert report.value == 1.0
    assert [report.numbers[name] for name in ('missing', 'extra', 'frames')] == [0, 0, 8]
    assert report.numbers['matched'] > 8
    assert (report.numbers['max_score_difference'], report.numbers['min_iou']) == (0.0, 1.0)
    assert report.summary.startswith(
        f'agreement 1.000: {report.numbers["matched"]} boxes matched, 0 missing, 0 extra in 8 frames')
    assert told.progress == [('comparing with ONNX Runtime fp32 on 8 frames', 0, None)]
    assert told.log == []


def test_a_report_travels_through_a_sidecar(tmp_path):
    spec, other = detector(tmp_path / 'm.onnx'), detector(tmp_path / 'swapped.onnx', swapped=True)
    options = PipelineOptions(calibration=CalibrationOptions('the photos'))
    # A third: the value stays exact here, although the printed numbers are rounded.
    report = agreement(spec, other, [one_square(color) for color in ('red', 'blue', 'green')], options)
    assert report.value == 1 / 3 and report.numbers['frames'] == 3 and 'value' not in report.numbers
    assert (report.source, report.says_nothing) == ('the photos', False)
    assert report.compared == comparison_identity(
        spec, [one_square(color) for color in ('red', 'blue', 'green')], PostprocessSettings())
    assert AgreementReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    nothing = agreement(spec, other, [Frame.from_bgr(np.zeros((64, 64, 3), np.uint8))], options)
    assert AgreementReport.from_json(json.loads(json.dumps(nothing.to_json()))) == nothing and nothing.says_nothing


@pytest.mark.parametrize('values', [
    None, 0.98, 'agreement 1.000', [], {}, {'value': 1.0}, {'summary': 'fine'}, {'value': '1.0', 'summary': 'fine'},
    {'value': True, 'summary': 'fine'}, {'value': 1.0, 'summary': None}])
def test_what_is_no_report_is_measured_anew(values):
    assert AgreementReport.from_json(values) is None


def test_the_value_is_what_the_boxes_say(tmp_path):
    """Blue is found as blue, red as green and green as red: 2 of 4 boxes match, 2 are missing, 2 are extra."""
    spec, other = detector(tmp_path / 'm.onnx'), detector(tmp_path / 'swapped.onnx', swapped=True)
    frames = [one_square(color) for color in ('red', 'blue', 'green', 'blue')]
    report = agreement(spec, other, frames)
    assert (report.numbers['matched'], report.numbers['missing'], report.numbers['extra']) == (2, 2, 2)
    assert report.value == 0.5


def test_the_candidates_settings_count(tmp_path):
    spec, other = detector(tmp_path / 'm.onnx'), detector(tmp_path / 'swapped.onnx', swapped=True)
    only_blue = PostprocessSettings(DetectionSettings(keep_classes=frozenset({0})))
    frames = [one_square(color) for color in ('red', 'blue', 'green')]
    assert agreement(spec, other, frames).value == pytest.approx(1 / 3)
    report = agreement(spec, other, frames, settings=only_blue)
    assert (report.numbers['matched'], report.numbers['missing'], report.numbers['extra']) == (1, 0, 0)


def test_a_classifier_is_compared_by_its_first_class(tmp_path):
    spec, other = load_model(conv_classifier(tmp_path / 'a.onnx')), load_model(conv_classifier(tmp_path / 'b.onnx', 1))
    frames = [Frame.from_bgr(pixels) for pixels in color_frames(6, size=32)]
    same = agreement(spec, spec, frames)
    assert (same.value, same.numbers['same_first_class'], same.numbers['max_score_difference']) == (1.0, 6, 0.0)
    different = agreement(spec, other, frames)
    assert different.numbers['max_score_difference'] > 0.05
    assert different.value == different.numbers['good_first_class'] / 6


def test_frames_come_from_the_calibration_source_where_there_are_none(tmp_path):
    spec, told = detector(tmp_path / 'm.onnx'), Told()
    images = str(color_folder(tmp_path / 'images', 30))
    options = PipelineOptions(min_agreement=0.5, calibration=CalibrationOptions(images))
    report = agreement(spec, spec, [], options, told)
    assert report.numbers['frames'] == 24
    assert told.progress[-1] == ('comparing with ONNX Runtime fp32 on 24 frames', 0, None)


def test_of_a_bag_with_several_topics_the_frames_are_those_of_calibration_topic(tmp_path):
    pytest.importorskip('rosbags.rosbag2')
    spec = detector(tmp_path / 'm.onnx')
    bag = str(two_topic_bag(tmp_path / 'bag', 4))
    options = PipelineOptions(min_agreement=0.5, calibration=CalibrationOptions(bag))
    with pytest.raises(SourceError, match=r'several image topics, choose one by its name .*: /left'):
        checking_frames(spec, options, [], Told().monitor)
    found = checking_frames(spec, replace(options, calibration=CalibrationOptions(bag, '/right')), [], Told().monitor)
    for frame, pixels in zip(found, color_frames(4, seed=2), strict=True):
        np.testing.assert_array_equal(frame.bgr(), pixels)


def test_without_frames_it_is_told_what_to_set(tmp_path):
    spec = detector(tmp_path / 'm.onnx')
    with pytest.raises(CalibrationError, match=(
            r'min_agreement is 0\.7, but there are no frames to compare on: set calibration_source to a folder of '
            r'images, a video or a rosbag2, or min_agreement to 0\.0')):
        agreement(spec, spec, [], PipelineOptions(min_agreement=0.7))


def test_frames_without_objects_say_nothing(tmp_path):
    spec, told = detector(tmp_path / 'm.onnx'), Told()
    dark = Frame.from_bgr(np.zeros((64, 64, 3), np.uint8))
    report = agreement(spec, spec, [dark, dark], told=told)
    assert report.summary == 'agreement not measured: nothing was detected in 2 frames'
    assert told.log == [(
        'warning', 'the accuracy check measured nothing, because nothing was detected in the frames: give frames that '
        'show what the model detects')]
    # A gate that the user set must measure something; the default gate of int8 only warns.
    require_agreement(spec, report, PipelineOptions(precision='int8'))
    require_agreement(spec, report, PipelineOptions(precision='int8', min_agreement=0.0))
    with pytest.raises(EngineError, match=r'min_agreement is 0\.1, but agreement not measured: nothing was detected'):
        require_agreement(spec, report, PipelineOptions(precision='fp32', min_agreement=0.1))


def test_one_frame_gives_a_warning(tmp_path):
    spec, told = detector(tmp_path / 'm.onnx'), Told()
    dark = Frame.from_bgr(np.zeros((64, 64, 3), np.uint8))
    for frames, doubt in (
            ([one_square('red')], 'there was only 1 frame'),
            ([dark, one_square('red'), dark], 'something was detected in only 1 of 3 frames')):
        told.log.clear()
        agreement(spec, spec, frames, told=told)
        assert told.log == [('warning', f'the accuracy check is not reliable: {doubt}; give more frames')]
    told.log.clear()
    agreement(spec, spec, [one_square('red'), dark, one_square('green')], told=told)
    assert told.log == []


def test_a_comparison_is_known_by_its_pixels_and_how_they_are_read(tmp_path):
    spec = detector(tmp_path / 'm.onnx')
    settings = PostprocessSettings(DetectionSettings(keep_classes=frozenset({2, 1})))
    identity = comparison_identity(spec, FRAMES, settings)
    assert identity == comparison_identity(
        replace(spec), [Frame.from_bgr(frame.bgr().copy()) for frame in FRAMES],
        PostprocessSettings(DetectionSettings(keep_classes=frozenset({1, 2}))))
    changed = FRAMES[-1].bgr().copy()
    changed[63, 63, 2] ^= 1
    others = [
        (spec, FRAMES[:-1], settings), (spec, FRAMES[::-1], settings),
        (spec, [*FRAMES[:-1], Frame.from_bgr(changed)], settings), (spec, FRAMES, PostprocessSettings()),
        (spec, FRAMES, PostprocessSettings(DetectionSettings(keep_classes=frozenset({1, 2}), score_threshold=0.3))),
        (replace(spec, preprocessing=replace(spec.preprocessing, scale=0.3)), FRAMES, settings),
        (replace(spec, preprocessing=replace(spec.preprocessing, resize_mode='stretch')), FRAMES, settings),
        (replace(spec, head=replace(spec.head, transposed=not spec.head.transposed)), FRAMES, settings),
        (replace(spec, sha256='0' * 64), FRAMES, settings)]
    assert len({identity, *(comparison_identity(*other) for other in others)}) == 10


def test_it_can_be_cancelled(tmp_path):
    spec = detector(tmp_path / 'm.onnx')
    told = Told(lambda text, done, total: told.cancel.set())
    with pytest.raises(EngineError, match=r'comparing m\.onnx with ONNX Runtime was cancelled'):
        agreement(spec, spec, FRAMES, told=told)


@pytest.mark.parametrize('precision, given, needed', [
    ('fp32', None, 0.0), ('fp16', None, 0.0), ('int8', None, 0.9), ('fp16', 0.8, 0.8), ('int8', 0.5, 0.5),
    ('int8', 0.0, 0.0)])
def test_the_agreement_that_is_needed(tmp_path, precision, given, needed):
    spec = detector(tmp_path / 'm.onnx')
    assert needed_agreement(spec, PipelineOptions(precision=precision, min_agreement=given)) == needed


def test_a_file_that_is_stored_in_int8_has_no_fp32_to_be_compared_with(tmp_path):
    spec = replace(detector(tmp_path / 'm.onnx'), stored_precision='int8')
    assert needed_agreement(spec, PipelineOptions(precision='int8')) == 0.0
    # The given frames cannot be for calibration, because the file is int8 already.
    assert needed_agreement(spec, PipelineOptions(precision='int8', calibration=CalibrationOptions('frames'))) == 0.9
    half = replace(spec, stored_precision='fp16')
    assert needed_agreement(half, PipelineOptions(precision='fp16', calibration=CalibrationOptions('frames'))) == 0.0
    # If the user sets the gate, the file is compared with the same file on ONNX Runtime.
    options, told = PipelineOptions(precision='int8', min_agreement=0.9), Told()
    assert needed_agreement(spec, options) == 0.9
    agreement(spec, spec, FRAMES, options, told)
    assert told.progress == [('comparing with ONNX Runtime int8 on 8 frames', 0, None)]


def test_too_little_is_an_error_with_the_numbers(tmp_path):
    spec, other = detector(tmp_path / 'm.onnx'), detector(tmp_path / 'swapped.onnx', swapped=True)
    report = agreement(spec, other, [one_square(color) for color in ('red', 'blue', 'green', 'blue')])
    require_agreement(spec, report, PipelineOptions(precision='fp16', min_agreement=0.5))
    require_agreement(spec, report, PipelineOptions(precision='fp16'))
    with pytest.raises(EngineError) as found:
        require_agreement(spec, report, PipelineOptions(precision='int8'))
    text = str(found.value)
    assert text.startswith(
        'int8 loses too much accuracy: expected an agreement of 0.900 or more with ONNX Runtime fp32, found 0.500 '
        '(agreement 0.500: 2 boxes matched, 2 missing, 2 extra in 4 frames;')
    assert text.endswith("); use fp16, or calibrate with frames more like the camera's, or lower min_agreement")


@pytest.mark.parametrize('stored, precision, advice', [
    ('fp32', 'fp16', 'use fp32, or lower min_agreement'),
    ('fp32', 'fp32', 'lower min_agreement, or set backend to onnxruntime'),
    ('int8', 'int8', 'lower min_agreement, or set backend to onnxruntime')])
def test_the_advice_is_not_what_was_just_tried(tmp_path, stored, precision, advice):
    spec, other = detector(tmp_path / 'm.onnx'), detector(tmp_path / 'swapped.onnx', swapped=True)
    report = agreement(spec, other, [one_square('red')])
    with pytest.raises(EngineError, match=rf'found 0\.000 .*\); {advice}$'):
        require_agreement(
            replace(spec, stored_precision=stored), report, PipelineOptions(precision=precision, min_agreement=0.5))
