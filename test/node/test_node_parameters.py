# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters: their descriptions, wrong values at the start and later, changes while active."""

import re
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.msg import ParameterValue as Value
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter, parameter_value_to_python
from sensor_msgs.msg import CompressedImage
from support import harness_images as images
from support.harness_driver import boxes_of, wait_until
from support.subprocesses import without_middleware

LIVE = {
    'score_threshold', 'iou_threshold', 'max_detections', 'max_age_ms', 'publish_debug_image', 'classes',
    'image_encoding', 'frame_timeout', 'max_rate_hz', 'tracking_low_score'}
# The type of each parameter and, for numbers, its range, as documented.
EXPECTED = {
    'task': (ParameterType.PARAMETER_STRING, None), 'model_file': (ParameterType.PARAMETER_STRING, None),
    'labels_file': (ParameterType.PARAMETER_STRING, None), 'backend': (ParameterType.PARAMETER_STRING, None),
    'precision': (ParameterType.PARAMETER_STRING, None),
    'score_threshold': (ParameterType.PARAMETER_DOUBLE, (-1.0, 1.0)),
    'iou_threshold': (ParameterType.PARAMETER_DOUBLE, (-1.0, 1.0)),
    'class_agnostic_nms': (ParameterType.PARAMETER_BOOL, None),
    'max_detections': (ParameterType.PARAMETER_INTEGER, (1, 10000)),
    'classes': (ParameterType.PARAMETER_STRING_ARRAY, None),
    'top_k': (ParameterType.PARAMETER_INTEGER, (1, 10000)),
    'image_transport': (ParameterType.PARAMETER_STRING, None),
    'image_reliability': (ParameterType.PARAMETER_STRING, None),
    'image_depth': (ParameterType.PARAMETER_INTEGER, (1, 1000)),
    'max_age_ms': (ParameterType.PARAMETER_INTEGER, (0, 3600000)),
    'input_size': (ParameterType.PARAMETER_INTEGER_ARRAY, None),
    'mean': (ParameterType.PARAMETER_DOUBLE_ARRAY, None), 'std': (ParameterType.PARAMETER_DOUBLE_ARRAY, None),
    'scale': (ParameterType.PARAMETER_DOUBLE, (0.0, 1000.0)),
    'color_order': (ParameterType.PARAMETER_STRING, None), 'resize_mode': (ParameterType.PARAMETER_STRING, None),
    'interpolation': (ParameterType.PARAMETER_STRING, None),
    'publish_debug_image': (ParameterType.PARAMETER_BOOL, None),
    'class_id_format': (ParameterType.PARAMETER_STRING, None),
    'num_threads': (ParameterType.PARAMETER_INTEGER, (0, 1024)),
    'frame_timeout': (ParameterType.PARAMETER_DOUBLE, (0.0, 86400.0)),
    'image_topics': (ParameterType.PARAMETER_STRING_ARRAY, None), 'lazy': (ParameterType.PARAMETER_BOOL, None),
    'max_rate_hz': (ParameterType.PARAMETER_DOUBLE, (0.0, 1000.0)),
    'max_batch': (ParameterType.PARAMETER_INTEGER, (1, 64)),
    'autostart': (ParameterType.PARAMETER_BOOL, None),
    'diagnostics_period': (ParameterType.PARAMETER_DOUBLE, (0.1, 60.0))}
CHOICES = {
    'task': {'auto', 'detection', 'classification'}, 'backend': {'auto', 'onnxruntime', 'tensorrt'},
    'precision': {'fp32', 'fp16', 'int8'}, 'image_transport': {'raw', 'compressed'},
    'color_order': {'auto', 'rgb', 'bgr'}, 'class_id_format': {'name', 'index'},
    'resize_mode': {'auto', 'letterbox', 'center_crop', 'stretch'},
    'interpolation': {'auto', 'linear', 'bilinear_antialias', 'bicubic_antialias'}}
BOXES = {'red': (20, 20, 120, 120), 'green': (160, 20, 300, 100), 'blue': (160, 140, 300, 220)}


def three_colours(node):
    """Red, green and blue with the scores 0.9, 0.6 and 0.3."""
    bgr = images.picture(320, 240, {}, background=0)
    for color, channel, value in (('red', 2, 230), ('green', 1, 153), ('blue', 0, 77)):
        x_min, y_min, x_max, y_max = BOXES[color]
        bgr[y_min:y_max, x_min:x_max, channel] = value
    return images.image(bgr, images.header('', node.driver.now_ns()))


def test_everything_is_described(node):
    names = [n for n in node.parameter_names() if n != 'use_sim_time' and not n.startswith('qos_overrides.')
             and n != 'start_type_description_service']
    assert set(EXPECTED) <= set(names)
    for name, descriptor in zip(names, node.describe(names)):
        assert descriptor.name == name
        assert len(descriptor.description) > 20, name
        live = 'May change while active' in descriptor.description
        assert live == (name in LIVE), name
        assert live or 'needs cleanup and configure' in descriptor.description, name
        assert not descriptor.dynamic_typing
        kind, limits = EXPECTED.get(name, (descriptor.type, None))
        assert descriptor.type == kind, name
        assert kind != ParameterType.PARAMETER_NOT_SET, name
        ranges = [(r.from_value, r.to_value) for r in (*descriptor.integer_range, *descriptor.floating_point_range)]
        if limits is not None:
            assert ranges == [limits], name
        if name in CHOICES:
            listed = descriptor.additional_constraints.removeprefix('one of: ').split(', ')
            assert CHOICES[name] <= set(listed), name


def test_all_values_can_be_asked_for_at_once(node):
    """As `ros2 param dump` does: rclpy answers without values if one parameter is not set."""
    names = node.parameter_names()
    assert len(node.parameters(names)) == len(names)


@pytest.mark.parametrize('name, value, reason', [
    ('score_threshold', 'high', 'type'),
    ('score_threshold', 1, 'type'),
    ('score_threshold', 1.5, 'range'),
    ('score_threshold', -0.1, "expected 0.0 to 1.0, or -1.0 for the model's value"),
    ('score_threshold', -1.5, 'range'),
    ('score_threshold', float('nan'), '0.0 to 1.0|range'),
    ('max_detections', 0, 'range'),
    ('max_detections', 12.5, 'type'),
    ('max_age_ms', -1, 'range'),
    ('classes', 'red', 'type'),
    ('classes', ['rde'], "does not know: did you mean 'red'"),
    ('classes', ['RED'], "does not know: did you mean 'red'"),
    ('publish_debug_image', 1, 'type'),
    ('model_file', '/other.onnx', 'model_file is read on configure.*cleanup'),
    ('top_k', 3, 'top_k is read on configure'),
    ('image_transport', 'compressed', 'image_transport is read on configure'),
    ('diagnostics_period', 2.0, 'diagnostics_period is read on configure'),
    ('no_such_parameter', 1, 'declared'),
    ('score_treshold', 0.5, "^parameter 'score_treshold' is not declared: did you mean 'score_threshold'"),
    ('', True, "^parameter '' is not declared$"),
])
def test_bad_changes_while_active_are_refused_with_a_reason(active, name, value, reason):
    before = active.parameters([name])
    accepted, said = active.set_parameters(**{name: value})
    assert not accepted
    assert said and re.search(reason, said), said
    assert active.parameters([name]) == before
    assert active.state() == 'active'


@pytest.fixture
def active(node):
    node.bring_to('active')
    return node


def test_a_parameter_cannot_be_unset(active):
    request = SetParametersAtomically.Request(
        parameters=[Parameter('score_threshold').to_parameter_msg()])
    accepted, reason = active.set_messages(request)
    assert not accepted and reason
    assert active.parameters(['score_threshold']) == [-1.0]


def test_changes_together_are_all_or_nothing(active):
    accepted, reason = active.set_parameters(score_threshold=0.5, classes=['purple'])
    assert not accepted and 'purple' in reason
    camera = active.camera()
    assert list(boxes_of(active.answer_to(camera, three_colours(active)))) == ['red', 'green', 'blue']


def test_live_changes_take_effect(active):
    camera = active.camera()

    def found():
        return list(boxes_of(active.answer_to(camera, three_colours(active))))

    assert found() == ['red', 'green', 'blue']
    assert active.set_parameters(score_threshold=0.5) == (True, '')
    assert found() == ['red', 'green']
    assert active.set_parameters(score_threshold=0.0, max_detections=1)[0]
    assert found() == ['red']
    assert active.set_parameters(max_detections=300, classes=['blue', 'green'])[0]
    assert found() == ['green', 'blue']
    assert active.set_parameters(classes=[''])[0]
    assert found() == ['red', 'green', 'blue']
    assert active.parameters(['score_threshold', 'max_detections']) == [0.0, 300]


def test_a_change_during_an_image_is_whole(node):
    """With tracking the result is chosen in two places: with the settings before the change, or with those after it."""
    node.bring_to('active', image_transport='compressed', tracking=True, score_threshold=0.5)
    camera = node.camera(CompressedImage, 'image/compressed')
    small = np.frombuffer(three_colours(node).data, np.uint8).reshape(240, 320, 3)
    # A second for the decoder.
    message = images.compressed(np.kron(small, np.ones((12, 12, 1), np.uint8)), images.header('', 7), 'png')
    assert set(boxes_of(node.answer_to(camera, message))) == {'red', 'green'}
    since = node.detections.count()
    camera.publish(message)
    time.sleep(0.2)
    assert node.set_parameters(score_threshold=0.1, classes=['blue', 'red'])[0]
    # With the new classes and the old threshold, only red would be found.
    assert set(boxes_of(node.detections.wait(since=since))) in ({'red', 'green'}, {'red', 'blue'})
    assert set(boxes_of(node.answer_to(camera, message))) == {'red', 'blue'}


def test_a_model_has_thresholds_of_its_own(node, models):
    node.bring_to('active', model_file=models(score_threshold=0.5))
    camera = node.camera()

    def found():
        return list(boxes_of(node.answer_to(camera, three_colours(node))))

    # The scores are 0.9, 0.6 and 0.3.
    assert found() == ['red', 'green']
    assert node.set_parameters(score_threshold=0.25)[0]
    assert found() == ['red', 'green', 'blue']
    assert node.set_parameters(score_threshold=-1.0)[0]
    assert found() == ['red', 'green']


def test_iou_threshold_takes_effect(node):
    node.bring_to('active', class_agnostic_nms=True)
    camera = node.camera()
    # The box of the red ring contains the green rectangle. IoU is the ratio of their areas, 0.36.
    bgr = images.picture(640, 640, {'red': (100, 100, 500, 500)})
    bgr[120:480, 120:480] = images.GREY
    bgr[200:440, 200:440, 1] = 200
    message = images.image(bgr, images.header('', node.driver.now_ns()))
    assert set(boxes_of(node.answer_to(camera, message))) == {'red', 'green'}
    assert node.set_parameters(iou_threshold=0.3)[0]
    assert set(boxes_of(node.answer_to(camera, message))) == {'red'}
    assert node.set_parameters(iou_threshold=0.4)[0]
    assert set(boxes_of(node.answer_to(camera, message))) == {'red', 'green'}


def test_changes_while_inactive_hold_when_active(node):
    node.bring_to('inactive')
    assert node.set_parameters(score_threshold=0.5)[0]
    assert not node.set_parameters(top_k=2)[0]
    assert node.change_state('activate')
    assert list(boxes_of(node.answer_to(node.camera(), three_colours(node)))) == ['red', 'green']


def test_changes_while_the_model_loads_hold(node, models):
    # If this process has no processor for a while, the model may be loaded before the change: then a slower one.
    for slow_load in (100, 300, 1000):
        node.bring_to('unconfigured', model_file=models(slow_load=slow_load))
        configured = node.begin('configure')
        wait_until(lambda configured=configured: node.state() == 'configuring' or configured.done(), 'configuring')
        assert node.set_parameters(score_threshold=0.5)[0]
        if not configured.done():
            break
    else:
        pytest.fail('the model was loaded before the change')
    assert node.result(configured, 'configure').success
    assert node.change_state('activate')
    assert list(boxes_of(node.answer_to(node.camera(), three_colours(node)))) == ['red', 'green']


@pytest.mark.parametrize('name, value, said', [
    ('backend', 'onnxruntim', "did you mean 'onnxruntime'"),
    ('task', 'segmentation', 'expected one of auto, detection, classification'),
    ('precision', 'fp8', 'expected one of fp32, fp16, int8'),
    ('resize_mode', 'crop', 'letterbox, center_crop, stretch'),
    ('input_size', [640], 'width, height'),
    ('mean', [0.1, 0.2], 'one or three numbers'),
    ('std', [float('inf')], 'finite numbers, or only [.nan]'),
    ('image_transport', 'theora', 'raw, compressed'),
])
def test_bad_choices_are_refused_while_unconfigured(node, name, value, said):
    accepted, reason = node.set_parameters(**{name: value})
    assert not accepted
    assert name in reason and said in reason


@pytest.mark.parametrize('parameters, said', [
    ({'score_threshold': 2.5}, 'score_threshold'),
    ({'score_threshold': 'high'}, 'score_threshold'),
    ({'scale': 1}, 'decimal point'),
    ({'rotate': 90}, r'write a list of whole numbers, also for one: \[90\] instead of 90'),
    ({'image_topics': 'cam'}, r'write a list of texts, also for one: \[image\] instead of image'),
    ({'mean': 0.5}, r'write a list of numbers with a decimal point, also for one: \[1.0\]'),
    ({'max_detections': 'many'}, 'max_detections'),
])
def test_wrong_parameters_at_the_start_end_the_node_with_one_line(start_node, parameters, said):
    node = start_node(wait=False, **parameters)
    node.process.exit_code = 1
    assert node.process.process.wait(600) == 1
    node.process.wait_for_line(said)
    lines = without_middleware(f'{node.process.output}\n').splitlines()
    assert len(lines) == 1 and lines[0].startswith('perception_node: '), node.process.tail()


def test_bad_choice_at_the_start_fails_configure(start_node, models):
    """A choice is checked when it is used: the node stays up, reports the error, and can be corrected."""
    node = start_node(model_file=models(), backend='tensorflow', scor_threshold=0.5)
    node.process.wait_for_line(r"\[WARN\].*'scor_threshold' does not exist.*did you mean 'score_threshold'")
    assert not node.change_state('configure')
    node.process.wait_for_line(r"\[ERROR\].*configure failed: backend is 'tensorflow': expected one of auto")
    assert node.set_parameters(backend='auto', std=[0.0])[0]
    assert not node.change_state('configure')
    node.process.wait_for_line(r'\[ERROR\].*configure failed: std in the settings is .*above 0')
    assert node.set_parameters(std=[1.0], mean=[0.0, 0.0, 0.0])[0]
    assert node.change_state('configure')


def test_mean_and_std_can_go_back_to_the_models_own(node):
    assert node.set_parameters(mean=[0.5], std=[0.25])[0]
    assert node.set_parameters(mean=[float('nan')], std=[float('nan')])[0]
    assert not node.set_parameters(mean=[0.1, float('nan'), 0.1])[0]
    assert node.change_state('configure') and node.change_state('activate')
    assert list(boxes_of(node.answer_to(node.camera(), three_colours(node)))) == ['red', 'green', 'blue']


def test_unset_parameters_have_a_type(node):
    for name in ('mean', 'std'):
        accepted, reason = node.set_parameters(**{name: 'grey'})
        assert not accepted and 'type' in reason.lower()
    assert parameter_value_to_python(Value()) is None
