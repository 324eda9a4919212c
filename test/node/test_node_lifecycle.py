# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Transitions: all possible and all impossible ones, many cycles, and cycles during an image stream."""

import itertools
import os
import re
import threading
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

import cv2
import numpy as np
from lifecycle_msgs.msg import Transition, TransitionEvent
from sensor_msgs.msg import Image
from support import harness_images as images
from support.harness_driver import LATCHED, Collector, boxes_of, wait_until
from support.promises import TRIVIAL_NODE, Promise
from vision_msgs.msg import LabelInfo

BOXES = {'red': (64, 48, 256, 192)}
# Longest time for a shutdown that cancels configure. Each cancelled configure would take ten times as long.
SHUTDOWN_S = 2.0
# Fifty cycles grow by 0.3 to 0.5 MiB. A leak of one publisher in each cycle makes 2.2 MiB, of one subscription 4.9 MiB,
# of one session of this small model 9.6 MiB and 50 threads.
POSSIBLE = {
    'unconfigured': {'configure', 'shutdown'}, 'inactive': {'activate', 'cleanup', 'shutdown'},
    'active': {'deactivate', 'shutdown'}, 'finalized': set()}
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE, 'cleanup': Transition.TRANSITION_CLEANUP,
    'activate': Transition.TRANSITION_ACTIVATE, 'deactivate': Transition.TRANSITION_DEACTIVATE,
    'shutdown': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN}
SHUTDOWNS = {
    'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN, 'active': Transition.TRANSITION_ACTIVE_SHUTDOWN}


def red_image(node):
    return images.image(images.picture(320, 240, BOXES), images.header('', node.driver.now_ns()))


def test_the_whole_round_twice(node):
    assert node.state() == 'unconfigured'
    for _ in range(2):
        assert node.change_state('configure') and node.state() == 'inactive'
        assert node.change_state('activate') and node.state() == 'active'
        camera = node.camera()
        assert set(boxes_of(node.answer_to(camera, red_image(node)))) == {'red'}
        assert node.change_state('deactivate') and node.state() == 'inactive'
        wait_until(lambda camera=camera: camera.get_subscription_count() == 0, 'deactivate ends the subscription')
        node.close_camera(camera)
        # The model stays loaded: activate again without configure.
        assert node.change_state('activate')
        camera = node.camera()
        assert set(boxes_of(node.answer_to(camera, red_image(node)))) == {'red'}
        assert node.change_state('deactivate')
        node.close_camera(camera)
        assert node.change_state('cleanup') and node.state() == 'unconfigured'
        wait_until(
            lambda: node.driver.node.count_publishers(node.topic('detections')) == 0, 'cleanup ends the publishers')


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
@pytest.mark.parametrize('by', ['label', 'id'])
def test_impossible_transitions_are_refused(node, state, by):
    node.bring_to(state)
    assert set(node.possible_transitions()) == POSSIBLE[state]
    wrong = [t for t in TRANSITIONS if t not in POSSIBLE[state]]
    requests = wrong if by == 'label' else [TRANSITIONS[t] for t in wrong]
    if by == 'id':
        # The shutdowns of other states, and ids without a meaning.
        requests += [number for name, number in SHUTDOWNS.items() if name != state] + [99, 255]
    else:
        requests += ['no_such_transition', 'transition_success']
    for request in requests:
        assert node.change_state(request) is False, request
        assert node.state() == state
    # The node still works after that.
    node.bring_to('active')
    assert set(boxes_of(node.answer_to(node.camera(), red_image(node)))) == {'red'}


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_shutdown_from_every_state(start_node, models, state):
    node = start_node(model_file=models())
    node.bring_to(state)
    if state == 'active':
        camera = node.camera()
        node.answer_to(camera, red_image(node))
    assert node.change_state('shutdown')
    assert node.state() == 'finalized'
    assert node.possible_transitions() == {}
    for transition in TRANSITIONS:
        assert node.change_state(transition) is False
    assert node.state() == 'finalized'
    wait_until(
        lambda: node.driver.node.count_publishers(node.topic('detections')) == 0, 'shutdown ends the publishers')


def test_state_is_answered_while_configure_runs(start_node, models):
    node = start_node(model_file=models(endless='always'))
    configured = node.begin('configure')
    wait_until(lambda: node.state() == 'configuring', 'configuring')
    for _ in range(3):
        assert node.state() == 'configuring'
        assert node.parameters(['max_detections']) == [300]
        # A second transition is refused at once and does no harm.
        assert node.change_state('deactivate') is False
    node.process.wait_for_line('transition deactivate refused: another transition is running')
    assert not configured.done()


def test_a_refused_transition_does_no_harm(node, slow_model):
    node.set_parameters(model_file=slow_model(node))
    configured = node.begin('configure')
    # If this process has no processor for a while, the model may be loaded before it looks.
    wait_until(lambda: node.state() == 'configuring' or configured.done(), 'configuring')
    assert node.change_state('deactivate') is False
    assert node.result(configured, 'configure').success
    assert node.state() == 'inactive'


@pytest.mark.parametrize('request_', ['shutdown', Transition.TRANSITION_UNCONFIGURED_SHUTDOWN])
def test_shutdown_ends_what_configure_is_doing(start_node, models, tmp_path, request_):
    most = Promise(SHUTDOWN_S, TRIVIAL_NODE)
    # Reading the calibration frames takes about twenty seconds.
    photo = tmp_path / 'frames' / '0.jpg'
    photo.parent.mkdir()
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8))
    for number in range(1, 300):
        os.link(photo, photo.with_name(f'{number}.jpg'))
    node = start_node(
        model_file=models(), precision='int8', calibration_source=str(photo.parent), calibration_samples=300)
    configured = node.begin('configure')
    # Earlier, it reads the model.
    reading = f'reading {photo.parent}'
    node.diagnosis(lambda status, _: reading in status.message)
    started = time.monotonic()
    assert node.change_state(request_), node.process.tail()
    assert most.allows(time.monotonic() - started)
    assert node.result(configured, 'configure').success is False
    assert node.state() == 'finalized'
    node.process.wait_for_line(f'configure failed: .* was cancelled while {re.escape(reading)}')


def test_shutdown_ends_a_calibration(start_node, models, tmp_path):
    """Running the model on the samples takes about twenty seconds; the diagnostics show it."""
    most = Promise(SHUTDOWN_S, TRIVIAL_NODE)
    frames = tmp_path / 'frames'
    frames.mkdir()
    for number in range(64):
        cv2.imwrite(str(frames / f'{number}.png'), np.full((48, 64, 3), number, np.uint8))
    node = start_node(model_file=models(busy=60), precision='int8', calibration_source=str(frames))
    configured = node.begin('configure')
    node.diagnosis(lambda status, _: 'finding the largest values' in status.message)
    node.process.wait_for_line('finding the largest values, [0-9]+%')
    started = time.monotonic()
    assert node.change_state('shutdown'), node.process.tail()
    assert most.allows(time.monotonic() - started)
    assert node.result(configured, 'configure').success is False
    # On a busy machine the calibration may not return in time: 'it was cancelled while ..., which has not returned'.
    node.process.wait_for_line('configure failed: .* was cancelled while finding the largest values')


def test_of_two_shutdowns_one_waits(start_node, models):
    """ONNX Runtime cannot be stopped while it loads: a shutdown waits for it, for ten seconds."""
    node = start_node(model_file=models(endless='always'))
    configured = node.begin('configure')
    wait_until(lambda: node.state() == 'configuring', 'configuring')
    shut_down = node.begin('shutdown')
    node.process.wait_for_line('cancelling configure')
    mark = node.process.mark()
    assert node.change_state('shutdown') is False
    node.process.wait_for_line('transition shutdown refused: another transition is running', mark)
    assert node.result(shut_down, 'shutdown').success, node.process.tail()
    assert node.result(configured, 'configure').success is False
    assert node.state() == 'finalized'


def test_shutdown_waits_for_another_transition(start_node, busy_model):
    """A shutdown requested with the id of the old state runs from the new state."""
    node = start_node()
    # Deactivate waits for an inference, for up to ten seconds.
    model = busy_model(node, red_image(node), 2.0)
    for _ in range(10):
        node.bring_to('active', model_file=model)
        camera = node.camera()
        node.outcome_of(camera, red_image(node), 'received')
        mark = node.process.mark()
        deactivated = node.begin('deactivate')
        wait_until(lambda deactivated=deactivated: node.state() == 'deactivating' or deactivated.done(), 'deactivating')
        shut_down = node.begin(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert node.result(deactivated, 'deactivate').success
        if node.result(shut_down, 'shutdown').success:
            break
        # Without a processor for a while, this process may ask after the end of the inference.
        node.process.wait_for_line('transition .* is not possible in state inactive', mark, 10.0)
        node.close_camera(camera)
    assert node.state() == 'finalized', node.process.tail()


def test_transitions_are_announced(node):
    events = Collector(node.driver, TransitionEvent, f'{node.name}/transition_event')
    wait_until(lambda: node.driver.node.count_publishers(f'{node.name}/transition_event') == 1, 'transition_event')

    def announced():
        assert node.change_state('configure') and node.change_state('cleanup')
        return events.count()

    # The node may not have found the subscription yet. Then it misses no transition.
    wait_until(announced, 'an event')
    for transition, goal in (('configure', 'inactive'), ('activate', 'active')):
        since = events.count()
        assert node.change_state(transition)
        events.wait(lambda e, goal=goal: e.goal_state.label == goal, since)
    events.close()


def test_fifty_cycles_leak_nothing(start_node, models):
    """Use a separate process with a small model: large free blocks would hide a leak."""
    node = start_node(model_file=models('color_classifier'))

    def cycle():
        for transition in ('configure', 'activate', 'deactivate', 'cleanup'):
            assert node.change_state(transition)

    unused = node.process.resident_mib()
    # The first cycles fill the pools of the allocator, of DDS and of NumPy.
    for _ in range(15):
        cycle()
    used = node.process.resident_mib() - unused
    descriptors, threads = node.process.descriptors(), node.process.threads()
    grown = []
    for _ in range(5):
        memory = node.process.resident_mib()
        for _ in range(10):
            cycle()
        grown.append(node.process.resident_mib() - memory)
    print(f'{used:.1f} MiB for the first cycles, {descriptors} descriptors, {threads} threads; then in 10 cycles each '
          f'{", ".join(f"{mib:+.2f}" for mib in grown)} MiB, and {node.process.descriptors() - descriptors:+d} '
          f'descriptors, {node.process.threads() - threads:+d} threads')
    # The executor's pool may still start a thread; a leak of one thread in each cycle would make fifty.
    assert node.process.descriptors() < descriptors + 10
    assert node.process.threads() < threads + 10
    # A leak shows in every ten cycles; filling a pool does not. A cycle may lose 1/2000 of the memory of a configured
    # node.
    assert min(grown) < used / 200


def test_activate_and_deactivate_200_times_while_a_camera_publishes(node, models):
    # About 15 ms an inference: most deactivations find a frame in progress and another one waiting.
    node.bring_to('inactive', model_file=models(busy=3))
    mark = node.process.mark()
    camera = node.camera(connected=False)
    message = red_image(node)
    done = threading.Event()
    problems = []

    def publish():
        while not done.wait(1 / 60):
            message.header.stamp = node.driver.node.get_clock().now().to_msg()
            camera.publish(message)

    def change_parameters():
        changes = ({'score_threshold': 0.3}, {'classes': ['red']}, {'classes': ['']}, {'max_detections': 10},
                   {'publish_debug_image': True}, {'publish_debug_image': False}, {'max_age_ms': 60000})
        for change in itertools.cycle(changes):
            if done.wait(0.005):
                return
            accepted, reason = node.set_parameters(**change)
            if not accepted:
                problems.append(reason)

    labels = node.collect('label_info', LabelInfo, LATCHED)
    pictures = node.collect('debug_image', Image, 10)
    threads = [threading.Thread(target=publish), threading.Thread(target=change_parameters)]
    for thread in threads:
        thread.start()
    before, drawn = node.detections.count(), pictures.count()
    started = time.monotonic()
    try:
        for number in range(200):
            assert node.change_state('activate'), number
            # Half of the cycles without a pause, the others in the middle of the stream.
            if number % 2:
                node.detections.wait(since=node.detections.count())
            assert node.change_state('deactivate'), number
    finally:
        done.set()
        for thread in threads:
            thread.join(600)
    print(f'200 cycles in {time.monotonic() - started:.1f} s, {node.detections.count() - before} results, '
          f'{pictures.count() - drawn} debug images, {labels.count()} label_info')
    assert problems == []
    assert node.state() == 'inactive'
    assert node.complaints_since(mark) == []
    # Everything still works as before.
    node.bring_to('active')
    assert set(boxes_of(node.answer_to(node.camera(), red_image(node)))) == {'red'}


def test_shutdown_while_images_come(start_node, models):
    """Images arrive while the worker ends: none may cause an exception."""
    node = start_node(model_file=models())
    for _ in range(3):
        node.bring_to('active')
        camera = node.camera()
        message = red_image(node)
        for number in range(60):
            camera.publish(message)
            if number == 30:
                deactivated = node.begin('deactivate')
        assert node.result(deactivated, 'deactivate').success
        assert node.change_state('cleanup')
        node.close_camera(camera)
    node.bring_to('active')
    camera = node.camera()
    for _ in range(30):
        camera.publish(message)
    future = node.begin('shutdown')
    for _ in range(30):
        camera.publish(message)
    assert node.result(future, 'shutdown').success
