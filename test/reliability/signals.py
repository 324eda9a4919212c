# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Sends SIGINT and SIGTERM to a node at a random moment in each of its states.

    PYTHONPATH=.:test python test/reliability/signals.py --rounds 2

Each signal goes to a new process, which must end with code 0 within --most-s, print no error of Python or of a library,
and leave no shared memory. test/node/test_node_signals.py and test_node_alive.py check that it ends within 2 s. The
last line is a summary as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# The signal comes at most this long after the state is reached.
_WAIT_S = 0.5


class Place:
    """Models and calibration images; starts nodes and brings them into a state."""

    def __init__(self, session: Any, folder: Path, stack: ExitStack) -> None:
        self.session = session
        self.folder = folder
        self.stack = stack

    def model(self, **options: Any) -> str:
        from support.harness_models import color_detector

        path = self.folder / ('_'.join(f'{name}{value}' for name, value in options.items()) + 'model.onnx')
        return str(path if path.exists() else color_detector(path, **options))

    def start(self, *arguments: str, wait: bool = True, **parameters: Any) -> Any:
        parameters.setdefault('model_file', self.model())
        return self.session.start(*arguments, wait=wait, **parameters)

    def in_state(self, state: str, **parameters: Any) -> Any:
        node = self.start(**parameters)
        node.bring_to(state)
        return node

    def image(self, node: Any, level: int = 60) -> Any:
        from support import harness_images as images

        return images.image(
            np.full((320, 320, 3), level, np.uint8), images.header('camera', node.driver.now_ns()))

    def calibration(self, count: int, side: int) -> str:
        import cv2

        folder = self.folder / f'images_{count}_{side}'
        if not folder.exists():
            folder.mkdir()
            pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
            for number in range(count):
                cv2.imwrite(str(folder / f'{number}.jpg'), pixels)
        return str(folder)

    def publish(self, node: Any, level: int = 60) -> None:
        """Publish images at 30 Hz until the node has ended."""
        from support.node_session import in_thread

        camera = node.camera()

        def run(done: Any) -> None:
            message = self.image(node, level)
            while not done.wait(1 / 30):
                message.header.stamp = node.driver.node.get_clock().now().to_msg()
                camera.publish(message)

        self.stack.enter_context(in_thread(run))

    def with_frame(self, level: int, **options: Any) -> Any:
        """Return a node that has processed one image and works on another one."""
        node = self.in_state('active', model_file=self.model(**options))
        camera = node.camera()
        node.answer_to(camera, self.image(node))
        node.outcome_of(camera, self.image(node, level), 'received')
        return node


def starting(place: Place) -> Any:
    """The handlers are set; rclpy is not imported yet."""
    from support.harness_driver import wait_until

    node = place.start(wait=False)
    wait_until(lambda: node.process.catches(signal.SIGTERM), 'handlers')
    return node


def after_a_failed_configure(place: Place) -> Any:
    """The model does not exist."""
    node = place.start(model_file='/no/such/model.onnx')
    assert not node.change_state('configure')
    return node


def configuring(place: Place, words: str, **parameters: Any) -> Any:
    """In the step of configure that the diagnostics name."""
    node = place.start(**parameters)
    node.begin('configure')
    node.diagnosis(lambda status, _: status.message.startswith('configuring') and words in status.message, words)
    return node


def active_with_images(place: Place, **parameters: Any) -> Any:
    """At 30 Hz."""
    node = place.in_state('active', **parameters)
    place.publish(node)
    node.detections.wait()
    return node


def deactivating(place: Place, level: int, **options: Any) -> Any:
    """Deactivate waits for a frame. If this process has no processor for a while, it is over before it looks."""
    from support.harness_driver import wait_until

    node = place.with_frame(level, **options)
    node.begin('deactivate')
    wait_until(lambda: node.state() in ('deactivating', 'inactive'), 'deactivating')
    return node


def begun(place: Place, state: str, transition: str) -> Any:
    """A transition was requested at this moment."""
    node = place.in_state(state)
    node.begin(transition)
    return node


def autostarting(place: Place) -> Any:
    """The node configures and activates itself."""
    node = place.start(wait=False, autostart=True, model_file=place.model(slow_load=30))
    node.process.wait_for_line('perception_node')
    return node


def failing(place: Place, ended: bool) -> Any:
    """Ten failed inferences lead to error processing; `ended`: it is over."""
    node = place.in_state('active', model_file=place.model(fragile=True))
    place.publish(node, 255)
    node.process.wait_for_line('inferences in a row failed' if ended else 'inference failed')
    return node


STATES: dict[str, Callable[[Place], Any]] = {
    'starting': starting,
    'unconfigured': lambda place: place.in_state('unconfigured'),
    'configure failed': after_a_failed_configure,
    'configuring: loading': lambda place: configuring(place, 'loading', model_file=place.model(slow_load=400)),
    'configuring: loading that never ends': lambda place: configuring(
        place, 'loading', model_file=place.model(endless='always')),
    'configuring: reading images': lambda place: configuring(
        place, f'reading {place.folder}', precision='int8', calibration_source=place.calibration(60, 3000),
        calibration_samples=60),
    'configuring: calibrating': lambda place: configuring(
        place, 'finding the largest', precision='int8', calibration_source=place.calibration(64, 64),
        model_file=place.model(busy=60)),
    'inactive': lambda place: place.in_state('inactive'),
    'activating': lambda place: begun(place, 'inactive', 'activate'),
    'active without images': lambda place: place.in_state('active'),
    'active with images': active_with_images,
    'active with a debug image': lambda place: active_with_images(place, publish_debug_image=True),
    'slow inference': lambda place: place.with_frame(60, busy=150),
    'stuck frame': lambda place: place.with_frame(255, endless='white'),
    'deactivating: slow inference': lambda place: deactivating(place, 60, busy=150),
    'deactivating: stuck frame': lambda place: deactivating(place, 255, endless='white'),
    'cleaning up': lambda place: begun(place, 'inactive', 'cleanup'),
    'autostart': autostarting,
    'failed inferences': lambda place: failing(place, False),
    'error processing': lambda place: failing(place, True),
    'shutting down': lambda place: begun(place, 'active', 'shutdown'),
}


def signalled(session: Any, folder: Path, state: str, number: signal.Signals, wait_s: float, most_s: float) -> float:
    """Bring a node into the state and send the signal. Return the seconds until its end."""
    with ExitStack() as stack:
        node = STATES[state](Place(session, folder, stack))
        time.sleep(wait_s)
        memory = node.process.shared_memory()
        code, seconds = node.process.stop(number, most_s)
        assert code == 0, f'{state}, {number.name}: code {code}\n{node.process.tail(60)}'
        left = [str(path) for path in memory if path.exists()]
        assert left == [], f'{state}, {number.name}: {left}'
    session.end(node)
    return seconds


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=float, default=1.0, help='0.5: each state gets one of the two signals')
    parser.add_argument('--states', nargs='+', choices=STATES, default=list(STATES), metavar='STATE')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--most-s', type=float, default=30.0)
    options = parser.parse_args()
    from support.node_session import node_session

    choose, started = random.Random(options.seed), time.monotonic()
    slowest, count = {'s': 0.0, 'state': ''}, round(2 * options.rounds * len(options.states))
    with node_session() as session, tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            state = options.states[number % len(options.states)]
            # Over two rounds through the states, each gets both signals.
            which = _SIGNALS[(number + number // len(options.states) * (1 - len(options.states) % 2)) % 2]
            seconds = signalled(session, Path(folder), state, which, choose.uniform(0, _WAIT_S), options.most_s)
            print(f'{state}: {which.name}: {seconds:.2f} s', file=sys.stderr, flush=True)
            if seconds > slowest['s']:
                slowest = {'s': round(seconds, 2), 'state': state}
    print(json.dumps({
        'signals': count, 'states': len(options.states), 'slowest': slowest,
        'seconds': round(time.monotonic() - started)}))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
