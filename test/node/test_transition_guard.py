# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The guard of transitions around a state machine made for these tests: rclpy's own fails too rarely."""

import threading

import pytest

pytest.importorskip('lifecycle_msgs.msg', reason='needs ROS 2: make setup')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from trt_perception.node.lifecycle.transition_guard import TransitionGuard

SOON = 600.0  # seconds to wait for events that come at once


class Machine:
    """Configures until it is cancelled or released; its shutdown raises while `broken` is true."""

    def __init__(self):
        self.state, self.broken, self.warnings, self.asked = 'unconfigured', False, [], []
        self.configuring, self.cancelled, self.release = threading.Event(), threading.Event(), threading.Event()
        self.guard = TransitionGuard(
            self.change_state, lambda: self.state, self.warnings.append, self.cancelled.set, self.cancelled.clear)

    def change_state(self, request, response):
        wanted = request.transition.label
        self.asked.append(wanted)
        if wanted == 'shutdown':
            if self.broken:
                raise RuntimeError('broken')
            self.state = 'finalized'
        elif wanted == 'configure':
            self.state = 'configuring'
            self.configuring.set()
            while not self.release.wait(0.01) and not self.cancelled.is_set():
                pass
            response.success = not self.cancelled.is_set()
            self.state = 'inactive' if response.success else 'unconfigured'
            return response
        response.success = True
        return response

    def ask(self, label='', number=0):
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return self.guard(request, ChangeState.Response()).success

    def begin(self, label):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.ask(label)))
        thread.start()
        return thread, answers


@pytest.fixture
def machine():
    machine = Machine()
    yield machine
    machine.release.set()


@pytest.mark.parametrize('how', [{'label': 'shutdown'}, {'number': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN}])
def test_a_shutdown_ends_configure_and_comes_next(machine, how):
    thread, answers = machine.begin('configure')
    assert machine.configuring.wait(SOON)
    assert machine.ask(**how) is True
    thread.join(SOON)
    assert answers == [False]
    assert (machine.state, machine.asked, machine.warnings) == ('finalized', ['configure', 'shutdown'], [])
    assert not machine.guard.lock.locked()


def test_after_a_shutdown_that_failed_configure_is_possible_again(machine):
    machine.broken = True
    thread, _ = machine.begin('configure')
    assert machine.configuring.wait(SOON)
    assert machine.ask('shutdown') is False
    thread.join(SOON)
    assert machine.warnings == ['transition shutdown is not possible in state unconfigured (broken)']
    machine.release.set()
    assert machine.ask('configure') is True
    assert machine.state == 'inactive'


def test_other_transitions_are_refused_meanwhile(machine):
    thread, answers = machine.begin('configure')
    assert machine.configuring.wait(SOON)
    for label in ('configure', 'activate', 'cleanup'):
        assert machine.ask(label) is False
    assert machine.ask(number=Transition.TRANSITION_ACTIVATE) is False
    assert machine.warnings == [
        f'transition {wanted} refused: another transition is running; try again after it'
        for wanted in ('configure', 'activate', 'cleanup', Transition.TRANSITION_ACTIVATE)]
    machine.release.set()
    thread.join(SOON)
    assert (answers, machine.asked, machine.state) == ([True], ['configure'], 'inactive')
