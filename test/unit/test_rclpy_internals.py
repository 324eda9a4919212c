# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""rclpy's private names: they exist, a missing one is reported in one line, and only one file uses them."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleNodeMixin
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from trt_perception.errors import MissingDependencyError, ParameterError
from trt_perception.node.image_topics.image_taker import taking
from trt_perception.node.process import rclpy_internals
from trt_perception.node.process.rclpy_internals import missing_to_wait, require_internals

ROOT = Path(__file__).resolve().parents[2]
SOON = 60.0  # seconds to wait for events that come at once
C = 'rclpy.impl.implementation_singleton.rclpy_implementation'


@pytest.fixture
def context() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture
def node(context: Any) -> Iterator[Any]:
    node = LifecycleNode(
        'internals', context=context, use_global_arguments=False,
        parameter_overrides=[Parameter('given', value=7)])
    yield node
    node.destroy_node()


@pytest.fixture
def executor(context: Any) -> Iterator[Any]:
    executor = MultiThreadedExecutor(2, context=context)
    yield executor
    executor.shutdown()


def lacking(*arguments: Any, **named: Any) -> str:
    """Return the missing names in a message of require_internals, which must be one line and say what to do."""
    with pytest.raises(MissingDependencyError) as caught:
        require_internals(*arguments, **named)
    message = str(caught.value)
    start, end = f'rclpy {version("rclpy")} lacks ', (
        ', which perception_node needs: use the rclpy of a ROS 2 distribution from Humble to Lyrical, or a newer '
        'trt_perception')
    assert message.startswith(start) and message.endswith(end) and '\n' not in message
    return message[len(start):-len(end)]


def test_all_are_there(node, executor):
    require_internals()
    require_internals(node, executor)
    assert missing_to_wait(node.context) == ''
    assert taking('auto', node) == taking('thread', node) == ('thread', '')


def without(monkeypatch, path):
    *owners, name = path.split('.')
    owner = rclpy_implementation
    for part in owners:
        owner = getattr(owner, part)
    monkeypatch.delattr(owner, name)


@pytest.mark.parametrize('path', [
    'WaitSet', 'WaitSet.wait', 'WaitSet.clear_entities', 'WaitSet.add_subscription', 'WaitSet.add_guard_condition',
    'WaitSet.get_ready_entities', 'Subscription.take_message'])
def test_without_a_name_to_wait_with_the_executor_takes_the_images(node, executor, monkeypatch, path):
    without(monkeypatch, path)
    require_internals(node, executor)
    missing = f'rclpy {version("rclpy")} lacks {C}.{path}'
    assert missing_to_wait(node.context).startswith(missing)
    assert taking('auto', node) == ('executor', missing_to_wait(node.context))
    assert taking('executor', node) == ('executor', '')
    with pytest.raises(ParameterError, match=r'image_taking is thread, but rclpy .* lacks'):
        taking('thread', node)


def test_a_name_that_is_gone_is_told(monkeypatch):
    without(monkeypatch, 'LifecycleStateMachine.current_state')
    assert lacking() == f'{C}.LifecycleStateMachine.current_state'


def test_the_module_that_has_them_is_gone(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rclpy.impl.implementation_singleton', None)
    assert lacking() == 'rclpy.impl.implementation_singleton'


def test_all_that_are_gone_are_told_at_once(node, executor, monkeypatch):
    without(monkeypatch, 'LifecycleStateMachine.current_state')
    monkeypatch.delattr(node, '_parameter_overrides')
    monkeypatch.delattr(executor, '_executor')
    assert lacking(node, executor) == (
        f'{C}.LifecycleStateMachine.current_state, LifecycleNode._parameter_overrides, MultiThreadedExecutor._executor')


@pytest.mark.parametrize('name', ['_parameter_overrides', '_state_machine', '_service_change_state'])
def test_names_of_a_node(node, monkeypatch, name):
    monkeypatch.delattr(node, name)
    assert lacking(node) == f'LifecycleNode.{name}'
    # Names that exist only in a node are not checked without a node.
    require_internals()


def test_a_wait_set_of_another_signature_is_told(node, monkeypatch):
    """As if WaitSet of a future rclpy had one more argument."""
    present = rclpy_implementation.WaitSet

    class Another(present):
        def __init__(self, *sizes: Any) -> None:
            super().__init__(*sizes[:-2], sizes[-1]) if len(sizes) == 8 else super().__init__(None)

    monkeypatch.setattr(rclpy_implementation, 'WaitSet', Another)
    assert missing_to_wait(node.context) == f'rclpy {version("rclpy")} lacks {C}.WaitSet with 7 arguments'


def test_the_executable_ends_with_one_line_that_names_it(tmp_path):
    """The error comes before the node subscribes or starts a build."""
    (tmp_path / 'sitecustomize.py').write_text(
        'import rclpy.impl.implementation_singleton as singleton\n'
        'del singleton.rclpy_implementation.LifecycleStateMachine.current_state\n')
    process = subprocess.run(
        [sys.executable, '-m', 'trt_perception.node.main'], capture_output=True, text=True, timeout=600, cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join((str(tmp_path), os.environ.get('PYTHONPATH', '')))})
    assert process.returncode == 1
    assert process.stderr.splitlines() == [
        f'perception_node: rclpy {version("rclpy")} lacks {C}.LifecycleStateMachine.current_state, which '
        'perception_node needs: use the rclpy of a ROS 2 distribution from Humble to Lyrical, or a newer '
        'trt_perception']


def test_each_function_does_what_it_says(node, executor):
    assert rclpy_internals.lifecycle_state(node) == 'unconfigured'
    node.trigger_configure()
    assert rclpy_internals.lifecycle_state(node) == 'inactive'
    # Also parameters that the node does not declare.
    assert not node.has_parameter('given')
    assert {name: p.value for name, p in rclpy_internals.parameter_overrides(node).items()} == {'given': 7}


def test_callbacks_that_have_begun_are_waited_for(executor):
    begun, finish = threading.Event(), threading.Event()
    order: list[str] = []

    def callback() -> None:
        begun.set()
        finish.wait(SOON)
        order.append('callback')

    def wait() -> None:
        rclpy_internals.wait_for_callbacks(executor)
        order.append('waited')

    executor.create_task(callback)
    executor.spin_once(SOON)
    assert begun.wait(SOON)
    waiter = threading.Thread(target=wait)
    waiter.start()
    # Without waiting it would have returned by now.
    waiter.join(0.3)
    assert order == []
    finish.set()
    waiter.join(SOON)
    assert order == ['callback', 'waited']


def private_names_of(kind: type) -> set[str]:
    """Return the names with one leading underscore that a class of rclpy sets or defines."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    names = {
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == 'self'}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name for name in names if name.startswith('_') and not name.startswith('__')}


def test_no_other_file_uses_private_names_of_rclpy():
    files = [
        path for folder in ('node', 'demo', 'cli', 'launching')
        for path in (ROOT / 'trt_perception' / folder).rglob('*.py') if path.name != 'rclpy_internals.py']
    assert len(files) > 100
    of_rclpy = private_names_of(Node) | private_names_of(LifecycleNodeMixin) | private_names_of(MultiThreadedExecutor)
    assert {'_parameter_overrides', '_state_machine', '_executor'} <= of_rclpy
    for path in files:
        text = path.read_text()
        # The node inherits these names: it must not use one, or define one with the same name.
        own = path.name == 'node.py'
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and node.attr in of_rclpy:
                of_itself = isinstance(node.value, ast.Name) and node.value.id == 'self'
                assert of_itself and not own, f'{path.name}:{node.lineno} {node.attr}'
        assert 'rclpy.impl' not in text and 'rclpy_implementation' not in text, path.name
