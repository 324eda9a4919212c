# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 param dump` and `ros2 param load`: setting a parameter to the value it has succeeds in every state."""

import math

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
yaml = pytest.importorskip('yaml')

from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

STATES = ('unconfigured', 'inactive', 'active')


def dump(node):
    """The values of all parameters, as `ros2 param dump` writes them and yaml reads them."""
    names = node.parameter_names()
    values = node.parameters(names)
    assert len(values) == len(names) > 30
    plain = [list(value) if hasattr(value, 'tolist') or isinstance(value, tuple) else value for value in values]
    return yaml.safe_load(yaml.safe_dump(dict(zip(names, plain))))


def message_of(name, value):
    """The parameter as `ros2 param load` sends it: it reads the text of each value as YAML again."""
    read = yaml.safe_load(str(value))
    if read is None:
        read = str(value)
    kind = Parameter.Type.BOOL_ARRAY if read == [] else Parameter.Type.from_parameter_value(read)
    return Parameter(name, kind, read).to_parameter_msg()


def load(node, values):
    """Set each value as `ros2 param load` does. Returns the reasons of the refusals by name."""
    results = node.set_each(
        SetParameters.Request(parameters=[message_of(name, value) for name, value in values.items()]))
    return {name: result.reason for name, result in zip(values, results) if not result.successful}


@pytest.mark.parametrize('state', STATES)
def test_the_nodes_own_dump_can_be_loaded(node, state):
    # Values whose text reads as another type: a boolean, a number without a point.
    node.bring_to(state, zero_copy='off', scale=1e-05, classes=['red', ''], std=[1.0])
    values = dump(node)
    assert (values['zero_copy'], values['scale'], math.isnan(values['mean'][0])) == ('off', 1e-05, True)
    assert load(node, values) == {}
    after = dump(node)
    assert repr(after) == repr(values)
    assert node.state() == state


@pytest.mark.parametrize('state', STATES)
def test_an_atomic_set_may_have_unchanged_names(node, state):
    node.bring_to(state)
    given = {name: Parameter(name, value=value) for name, value in (
        ('task', 'auto'), ('model_file', node.parameters(['model_file'])[0]), ('mean', [math.nan]), ('top_k', 5),
        ('score_threshold', 0.4), ('use_sim_time', False))}
    request = SetParametersAtomically.Request(parameters=[p.to_parameter_msg() for p in given.values()])
    assert node.set_messages(request) == (True, '')
    assert node.parameters(['score_threshold', 'task', 'top_k']) == [0.4, 'auto', 5]
    # All or nothing, if one of them does change and may not.
    if state != 'unconfigured':
        accepted, reason = node.set_parameters(task='auto', score_threshold=0.7, top_k=4)
        assert not accepted and reason.startswith('top_k is read on configure')
        assert node.parameters(['score_threshold', 'top_k']) == [0.4, 5]


def test_a_changed_one_is_refused_with_the_reason(node):
    node.bring_to('active')
    values = {**dump(node), 'top_k': 7, 'mean': [0.5], 'score_threshold': 0.3, 'backend': 'tensorrt', 'no_such': 1}
    refused = load(node, values)
    for name in ('top_k', 'mean', 'backend'):
        assert refused.pop(name).startswith(f'{name} is read on configure: run deactivate and cleanup')
    assert 'declared' in refused.pop('no_such')
    assert refused == {}
    assert node.parameters(['score_threshold', 'top_k']) == [0.3, 5]


def test_one_of_rclpys_own(node):
    """Some distributions have read-only parameters."""
    (value,) = node.parameters(['start_type_description_service']) or [None]
    if value is None:
        pytest.skip('this rclpy has no start_type_description_service')
    assert node.set_parameters(start_type_description_service=value) == (True, '')
    accepted, reason = node.set_parameters(start_type_description_service=not value)
    assert not accepted and 'read-only' in reason


def test_a_name_that_is_given_twice_gets_the_last_value(node):
    node.bring_to('active')
    request = SetParametersAtomically.Request(parameters=[
        Parameter('score_threshold', value=value).to_parameter_msg() for value in (0.6, 0.25)])
    assert node.set_messages(request)[0]
    assert node.parameters(['score_threshold']) == [0.25]


@pytest.mark.parametrize('name, value, meant', [
    # As `ros2 param set` sends them.
    ('zero_copy', False, 'off'), ('zero_copy', True, 'on'), ('mean', ['nan'], [math.nan])])
def test_a_choice_that_reads_as_another_type(node, name, value, meant):
    node.bring_to('unconfigured')
    assert node.set_parameters(mean=[0.5])[0]
    assert node.set_parameters(**{name: value}) == (True, '')
    assert repr(list(node.parameters([name])[0])) == repr(list(meant))


@pytest.mark.parametrize('name, value, says', [
    ('zero_copy', 1, 'text, found integer'), ('task', True, 'text, found bool'),
    ('score_threshold', '0.5', 'number, found string (write numbers with a decimal point, 1.0 instead of 1)'),
    ('max_rate_hz', 5, 'number, found integer (write numbers with a decimal point, 1.0 instead of 1)'),
    ('mean', ['0.5'], 'numbers, found string_array (write a list of numbers with a decimal point, also for one: [1.0] '
     'instead of 1)'),
    ('rotate', 90, 'integers, found integer (write a list of whole numbers, also for one: [90] instead of 90)'),
    ('classes', [1], 'texts, found integer_array (write a list of texts, also for one: [image] instead of image)')])
def test_other_types_are_refused_with_the_way_to_write_the_value(node, name, value, says):
    assert node.set_parameters(**{name: value}) == (
        False, f"parameter '{name}': expected a value of type {says}")


def test_an_empty_list_has_the_type_of_the_parameter(node):
    """`ros2 param set /node classes []` sends a list of booleans."""
    node.bring_to('active', classes=['red'], tracking=True)

    def set_empty(name):
        empty = Parameter(name, Parameter.Type.BOOL_ARRAY, []).to_parameter_msg()
        return node.set_messages(SetParametersAtomically.Request(parameters=[empty]))

    assert set_empty('classes') == (True, '')
    assert node.parameters(['classes']) == [['']]
    # Nothing changes.
    for name in ('classes', 'ignore_areas', 'mean'):
        assert set_empty(name) == (True, ''), name
    assert set_empty('roi') == (
        False, 'roi is []: expected x, y, width and height in pixels, four numbers for all cameras or for each')
    accepted, reason = set_empty('max_rate_hz')
    assert not accepted
    assert reason.startswith("parameter 'max_rate_hz': expected a value of type number, found bool_array (write")


def test_an_empty_list_at_the_start(start_node, models):
    """rcl does not know its type: the dump of such a node was empty."""
    node = start_node(model_file=models(), mean=[], classes=[], input_size=[])
    values = dump(node)
    assert (math.isnan(values['mean'][0]), values['classes'], values['input_size']) == (True, [''], [])
    assert load(node, values) == {}
    assert not node.change_state('configure')
    node.process.wait_for_line(r'input_size is \[\]: expected \[width, height\]')
    assert node.set_parameters(input_size=[0, 0])[0]
    assert node.change_state('configure')
    assert load(node, dump(node)) == {}


def test_an_empty_list_instead_of_a_number(start_node):
    node = start_node(wait=False, score_threshold=[])
    node.process.exit_code = 1
    assert node.process.process.wait(600) == 1
    node.process.wait_for_line("parameter 'score_threshold': expected a value of type number, found an empty list")
