# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A node is never destroyed while rclpy's state machine is in use, and no transition goes on after that."""

import subprocess
import sys
import threading

import pytest

from trt_perception.node.lifecycle.rcl_gate import RclGate, callback

SOON = 30.0


class Machine:
    """As rclpy changes the state: before the callback, in it, after it."""

    def __init__(self):
        self.rcl_gate = RclGate()
        self.steps = []
        self.begun, self.before = threading.Event(), threading.Event()
        self.inside, self.leave = threading.Event(), threading.Event()

    def change(self):
        with self.rcl_gate.held():
            self.steps.append('begin')
            self.begun.set()
            assert self.before.wait(SOON)
            self.on_configure('unconfigured')
            self.steps.append('end')

    @callback
    def on_configure(self, state):
        """Load the model."""
        self.steps.append(state)
        self.inside.set()
        assert self.leave.wait(SOON)

    def destroy(self):
        self.rcl_gate.keep()
        self.steps.append('destroyed')


def start(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_the_node_is_destroyed_while_a_callback_runs_and_the_transition_does_not_go_on():
    machine = Machine()
    change = start(machine.change)
    machine.before.set()
    assert machine.inside.wait(SOON)
    destroy = start(machine.destroy)
    destroy.join(SOON)
    assert machine.steps == ['begin', 'unconfigured', 'destroyed']
    machine.leave.set()
    change.join(0.2)
    assert change.is_alive()
    assert machine.steps == ['begin', 'unconfigured', 'destroyed']


def test_the_node_is_not_destroyed_while_the_state_machine_is_in_use():
    machine = Machine()
    start(machine.change)
    assert machine.begun.wait(SOON)
    destroy = start(machine.destroy)
    destroy.join(0.2)
    assert machine.steps == ['begin']
    machine.before.set()
    # Now it is in the callback.
    destroy.join(SOON)
    assert machine.steps == ['begin', 'unconfigured', 'destroyed']


def test_without_an_end_transitions_follow_each_other():
    machine = Machine()
    machine.before.set()
    machine.leave.set()
    machine.change()
    machine.change()
    assert machine.steps == ['begin', 'unconfigured', 'end'] * 2


def test_a_callback_that_is_called_without_the_gate_runs():
    machine = Machine()
    machine.leave.set()
    machine.on_configure('active')
    machine.destroy()
    assert machine.steps == ['active', 'destroyed']


_DESTROYED_DURING_CONFIGURE = """
import threading
import rclpy
from trt_perception.node.perception.node import PerceptionNode

entered, leave = threading.Event(), threading.Event()


class Node(PerceptionNode):
    def _configure_failed(self, error):
        entered.set()
        leave.wait()
        return super()._configure_failed(error)


rclpy.init(args=['node', '--ros-args', '-p', 'model_file:=/no/such.onnx'])
node = Node()
transition = threading.Thread(target=node.trigger, args=('configure',), daemon=True)
transition.start()
assert entered.wait(60)
node.destroy_node()
node.destroy_node()
leave.set()
transition.join(2)
print('parked' if transition.is_alive() else 'ended', flush=True)
import os
os._exit(0)
"""


def test_a_real_node_is_destroyed_during_configure():
    pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
    ran = subprocess.run(
        [sys.executable, '-X', 'faulthandler', '-c', _DESTROYED_DURING_CONFIGURE], capture_output=True, text=True,
        timeout=300)
    assert (ran.returncode, ran.stdout) == (0, 'parked\n'), ran.stderr


_USED_AFTER_IT_WAS_DESTROYED = """
import os
import rclpy
from lifecycle_msgs.srv import GetAvailableStates, GetAvailableTransitions, GetState
from trt_perception.node.depth.node import Detections3DNode
from trt_perception.node.perception.node import PerceptionNode
from trt_perception.node.process.rclpy_internals import lifecycle_state

rclpy.init()
for kind in (PerceptionNode, Detections3DNode):
    node = kind()
    services = [
        (node._service_get_state, GetState), (node._service_get_available_states, GetAvailableStates),
        (node._service_get_available_transitions, GetAvailableTransitions),
        (node._service_get_transition_graph, GetAvailableTransitions)]
    answers = [service.callback(made.Request(), made.Response()) for service, made in services]
    print(lifecycle_state(node), answers[0].current_state.label, [bool(a.available_transitions) for a in answers[2:]])
    node.destroy_node()
    # A thread that had no processor for long goes on.
    node.end()
    answers = [service.callback(made.Request(), made.Response()) for service, made in services]
    print(lifecycle_state(node), [bool(a.available_transitions) for a in answers[2:]])
    print(flush=True)
os._exit(0)
"""


def test_a_real_node_that_was_destroyed_is_not_read():
    """A process that ends late destroys its node while its other threads are at any place."""
    pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
    ran = subprocess.run(
        [sys.executable, '-X', 'faulthandler', '-c', _USED_AFTER_IT_WAS_DESTROYED], capture_output=True, text=True,
        timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == 2 * 'unconfigured unconfigured [True, True]\nfinalized [False, False]\n\n'
