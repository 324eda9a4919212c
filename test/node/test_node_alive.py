# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A frame or a model that never ends: it is reported, every service still answers, and the process can end.

The models are real: an ONNX loop of 2 * 10^11 rounds.
"""

import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from support import harness_images as images
from support.harness_driver import boxes_of, wait_until
from support.promises import TRIVIAL_NODE, Promise

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# Longest time from a signal to the end of the process.
STOP_S = 2.0


def red_image(node):
    return images.image(
        images.picture(320, 240, {'red': (64, 48, 256, 192)}), images.header('camera', node.driver.now_ns()))


def white_image(node):
    return images.image(np.full((320, 320, 3), 255, np.uint8), images.header('white', node.driver.now_ns()))


def with_frame_that_never_ends(start_node, models, **parameters):
    """Return an active node that has processed one image and works on one that never ends, and its camera."""
    # Reliable: each image comes once. The timeout is longer than a busy machine needs for a test.
    node = start_node(**{'image_reliability': 'reliable', 'frame_timeout': 600.0, **parameters})
    node.bring_to('active', model_file=models(endless='white'))
    camera = node.camera()
    assert set(boxes_of(node.answer_to(camera, red_image(node)))) == {'red'}
    before = node.counts(lambda counts: counts['processed'] == counts['received'], 'the red image')['received']
    camera.publish(white_image(node))
    node.counts(lambda counts: counts['received'] > before, 'the white image has come')
    return node, camera


@pytest.fixture
def most(ros_environment):
    """The time that a stop may take."""
    return Promise(STOP_S, TRIVIAL_NODE)


def ended(node, code):
    """Wait until the process has ended by itself with this code."""
    node.process.exit_code = code
    wait_until(lambda: node.process.process.poll() is not None, 'the process ends')
    assert node.process.process.poll() == code, node.process.tail(60)


@pytest.mark.parametrize('transition', ['deactivate', 'shutdown'])
def test_a_stuck_frame_is_an_error_and_transitions_are_answered(start_node, models, transition):
    node, camera = with_frame_that_never_ends(start_node, models)
    # The camera goes on at 20 Hz.
    done = threading.Event()

    def publish():
        message = red_image(node)
        while not done.wait(0.05):
            message.header.stamp = node.driver.node.get_clock().now().to_msg()
            camera.publish(message)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        status, values = node.diagnosis(
            lambda s, v: s.level == DiagnosticStatus.ERROR and int(v['received']) > 12, 'ERROR')
        assert status.message.endswith(' s: inference has not returned')
        count, seconds = (int(word) for word in status.message.split() if word.isdigit())
        assert status.message == f'{count} images received, none processed for {seconds} s: inference has not returned'
        assert seconds >= 5
        # From the white one on. Another image may come between the two counts.
        assert abs(count - (int(values['received']) - int(values['processed']))) <= 1
        # All services answer.
        assert node.state() == 'active'
        assert set(node.possible_transitions()) == {'deactivate', 'shutdown'}
        assert node.set_parameters(score_threshold=0.5) == (True, '')
        # The answer to the transition comes, and then the process ends, so that respawn starts it again.
        assert node.change_state(transition) is (transition == 'shutdown')
        ended(node, 1)
        line = node.process.wait_for_line(r'\[FATAL\]')
        assert 'this process is stuck and ends; start the node again (respawn:=true does): ' in line
        assert line.endswith(' s: inference has not returned')
    finally:
        done.set()
        thread.join()


def test_the_process_ends_without_a_transition_after_the_timeout(start_node, models):
    node, _ = with_frame_that_never_ends(start_node, models, frame_timeout=3.0)
    ended(node, 1)
    assert node.process.wait_for_line(r'\[FATAL\]').endswith(' s: inference has not returned')


def test_without_a_timeout_the_node_starts_anew_beside_the_old_frame(start_node, models):
    node, camera = with_frame_that_never_ends(start_node, models, frame_timeout=0.0)
    node.diagnosis(lambda s, _: s.message.startswith('1 image received, none processed for '), 'one image')
    assert node.change_state('deactivate') is False
    assert node.state() == 'unconfigured'
    status, _ = node.diagnosis(lambda s, v: v['state'] == 'unconfigured', 'unconfigured')
    assert status.level == DiagnosticStatus.ERROR
    assert status.message.startswith('deactivate failed: 1 image received, none processed for ')
    node.close_camera(camera)
    node.bring_to('active', model_file=models())
    assert set(boxes_of(node.answer_to(node.camera(), red_image(node)))) == {'red'}
    assert 'FATAL' not in node.process.output


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_a_signal_ends_a_node_with_a_stuck_frame(most, start_node, models, number):
    node, _ = with_frame_that_never_ends(start_node, models)
    code, seconds = node.process.stop(number)
    print(f'{number.name}: exit code {code} after {seconds:.2f} s, of at most {most}')
    assert code == 0 and most.allows(seconds), node.process.tail()
    assert 'FATAL' not in node.process.output


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_a_signal_while_deactivate_waits_for_a_stuck_frame(most, start_node, models, number):
    node, _ = with_frame_that_never_ends(start_node, models)
    node.begin('deactivate')
    wait_until(lambda: node.state() == 'deactivating', 'deactivating')
    code, seconds = node.process.stop(number)
    assert code == 0 and most.allows(seconds), node.process.tail()


def test_a_slow_model_is_not_a_hang(start_node, busy_model):
    """Each frame takes many times the timeout."""
    node = start_node(image_reliability='reliable')
    # A machine that becomes busy makes it slower still: a frame may take five times as long as the ones before.
    node.bring_to('active', model_file=busy_model(node, red_image(node), 1.0), frame_timeout=0.1)
    camera = node.camera()
    for _ in range(2):
        node.answer_to(camera, red_image(node))
    camera.publish(red_image(node))
    received = node.counts(lambda counts: counts['received'] >= 3, 'a third image')['received']
    assert node.change_state('deactivate'), node.process.tail()
    node.counts(lambda counts: counts['processed'] == received, 'the last frame is processed')
    assert node.state() == 'inactive'
    assert 'FATAL' not in node.process.output


def test_a_paused_process_is_not_a_hang(start_node, busy_model):
    """SIGSTOP in the middle of a frame, for longer than the timeout."""
    node = start_node(image_reliability='reliable')
    node.bring_to('active', model_file=busy_model(node, red_image(node), 1.5), frame_timeout=0.1)
    camera = node.camera()
    camera.publish(red_image(node))
    node.counts(lambda counts: counts['received'] == 1, 'an image')
    node.process.process.send_signal(signal.SIGSTOP)
    # Longer than five times the frame. After 20 s DDS forgets a silent participant; a result that comes before the two
    # have found each other again is lost.
    time.sleep(15)
    node.process.process.send_signal(signal.SIGCONT)
    node.counts(lambda counts: counts['processed'] == 1, 'the frame is processed')
    assert 'FATAL' not in node.process.output


# A model that never finishes loading


def test_a_model_that_never_loads_can_be_shut_down(start_node, models):
    node = start_node(model_file=models(endless='always'))
    configured = node.begin('configure')
    wait_until(lambda: node.state() == 'configuring', 'configuring')
    status, _ = node.diagnosis(lambda s, _: 'without progress for' in s.message, 'no progress')
    assert status.level == DiagnosticStatus.WARN
    assert status.message.startswith('configuring: loading ')
    node.process.wait_for_line(r'\[INFO\].*configuring: loading .*, without progress for 1\d s')
    # As ros2 lifecycle set does it: only listed transitions are sent.
    listed = node.possible_transitions()
    assert listed['shutdown'] in (5, 6, 7)
    assert node.change_state(listed['shutdown']), node.process.tail()
    assert node.result(configured, 'configure').success is False
    assert node.state() == 'finalized'
    assert 'shutdown' not in node.possible_transitions()
    node.process.wait_for_line('configure failed: it was cancelled while loading .*, which has not returned')


@pytest.mark.parametrize('number', SIGNALS, ids=lambda n: n.name)
def test_a_signal_while_a_model_never_loads(most, start_node, models, number):
    node = start_node(model_file=models(endless='always'))
    node.begin('configure')
    wait_until(lambda: node.state() == 'configuring', 'configuring')
    code, seconds = node.process.stop(number)
    assert code == 0 and most.allows(seconds), node.process.tail()
