# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM in every state: exit code 0, in time, and without errors in the output."""

import signal
import threading

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.harness_driver import wait_until
from support.promises import TRIVIAL_NODE, Promise

# The node must end within 2 s. A busy machine may schedule it late.
# Longest time from a signal to the end of the process.
STOP_S = 2.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def most(ros_environment):
    """The time that a stop may take. Made first: what a signal shall interrupt does not wait."""
    return Promise(STOP_S, TRIVIAL_NODE)


def check_end(node, number, most):
    memory = node.process.shared_memory()
    code, seconds = node.process.stop(number)
    print(f'{number.name}: exit code {code} after {seconds:.2f} s, of at most {most}')
    assert code == 0, node.process.tail()
    assert most.allows(seconds), node.process.tail()
    node.process.assert_clean()
    # Tens of MB with the profile for large images: a node that restarts repeatedly would fill the memory.
    assert memory
    assert [path for path in memory if path.exists()] == []


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active', 'finalized'])
def test_signal_in_state(most, start_node, models, number, state):
    node = start_node(model_file=models())
    if state == 'finalized':
        assert node.change_state('shutdown')
    else:
        node.bring_to(state)
    check_end(node, number, most)


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_signal_while_images_are_processed(most, start_node, models, number):
    node = start_node(model_file=models(busy=20))
    node.bring_to('active')
    camera = node.camera()
    message = images.image(images.picture(640, 480, {'red': (9, 9, 99, 99)}), images.header('', 1))
    node.answer_to(camera, message)
    done = threading.Event()

    def publish():
        while not done.wait(0.02):
            camera.publish(message)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        # In the middle of the stream: one frame is in the network and one is waiting.
        node.detections.wait(since=node.detections.count())
        check_end(node, number, most)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_signal_while_configuring(most, start_node, models, number):
    """The end does not wait for a model that loads."""
    node = start_node(model_file=models(endless='always'))
    configured = node.begin('configure')
    wait_until(lambda: node.state() == 'configuring', 'configuring')
    check_end(node, number, most)
    assert 'configured in' not in node.process.output
    # If there is an answer, it is a failure.
    assert not (configured.done() and configured.result().success)


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_signal_in_a_long_inference(most, start_node, busy_model, number):
    """The inference takes seconds; the end does not wait for it, and nothing is left."""
    node = start_node()
    image = images.image(images.picture(640, 480, {}), images.header('', 1))
    node.bring_to('active', model_file=busy_model(node, image, 5.0))
    camera = node.camera()
    results = node.detections.count()
    node.outcome_of(camera, image, 'received')
    # For a signal that comes late.
    camera.publish(image)
    check_end(node, number, most)
    # It was still in one of the inferences.
    assert node.detections.count() <= results + 1


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_signal_during_start_up(start_node, models, number):
    """A signal right after the node has set its handlers, long before its imports are done."""
    node = start_node(wait=False, model_file=models())
    # Python handles SIGINT from the start; the handler of SIGTERM is the node's.
    wait_until(lambda: node.process.catches(signal.SIGTERM), 'handlers')
    code, seconds = node.process.stop(number)
    print(f'{number.name}: exit code {code} after {seconds:.2f} s')
    assert code == 0, node.process.tail()


def test_many_signals_do_no_harm(most, start_node, models):
    """Each signal comes while the earlier ones are being handled."""
    node = start_node(model_file=models())
    node.bring_to('active')
    for _ in range(100):
        node.process.process.send_signal(signal.SIGINT)
        node.process.process.send_signal(signal.SIGTERM)
    check_end(node, signal.SIGINT, most)
