# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes fuzzed Image and CompressedImage messages to a node process over DDS.

    PYTHONPATH=.:test python test/reliability/fuzz_messages.py --kind raw --count 140000
    PYTHONPATH=.:test python test/reliability/fuzz_messages.py --kind compressed --count 60000

The messages are published as bytes, so malformed ones are included. Half of the compressed ones are processed with
damaged_images: keep. The pace follows the node: few messages are replaced by newer ones before they are read.

Fails if the node ends, if a service does not answer, if a received frame has no outcome or two, if the last image, a
right one, has no result, if the peak memory is above --most-mib, or if the node prints a traceback or too many lines.
The last line is a summary as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

KINDS = {'raw': ['drop'], 'compressed': ['drop', 'keep']}
# Every so many messages the encoding is overridden, or not any more.
_OVERRIDE = 5000
_LOOK_S = 0.3
_MOST_REPLACED = 0.2
# Printed lines: at the start and the end, and in each 5 s.
_LINES, _LINES_IN_5_S = 30, 4


class Pace:
    """The pause after each message, so that the node reads most of them."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._pause = 0.001
        self._looked = time.monotonic()
        self._seen = {'received': 0, 'replaced': 0}
        self._sent = 0

    def wait(self) -> None:
        """Sleep; look at the node's counts from time to time."""
        self._sent += 1
        time.sleep(self._pause)
        if time.monotonic() - self._looked < _LOOK_S:
            return
        # A node that hangs sends no diagnostics.
        _, values = self._node.diagnosis()
        now = {name: int(values[name]) for name in self._seen}
        received = now['received'] - self._seen['received']
        unread = self._sent - received + now['replaced'] - self._seen['replaced']
        self._pause *= 1.3 if unread > _MOST_REPLACED * self._sent else 0.9
        self._pause = min(max(self._pause, 0.0002), 0.01)
        self._seen, self._sent, self._looked = now, 0, time.monotonic()


class Answers:
    """Asks for the node's state all the time, and keeps the longest time of an answer."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.count, self.slowest_s = 0, 0.0

    def ask(self, done: threading.Event) -> None:
        """Ask until `done` is set."""
        while not done.wait(0.2):
            started = time.monotonic()
            self._node.state()
            self.count, self.slowest_s = self.count + 1, max(self.slowest_s, time.monotonic() - started)


def publish_all(node: Any, options: argparse.Namespace, count: int, seed: int, damaged: str) -> Counter[str]:
    """Activate the node, publish the messages, and return its counts at rest."""
    from random_messages import good_message, messages
    from sensor_msgs.msg import CompressedImage, Image
    from support.frame_sum import counts_at_rest
    from support.harness_images import header
    from vision_msgs.msg import Classification

    kind = options.kind
    node.bring_to(
        'active', image_transport=kind, damaged_images=damaged, max_age_ms=600_000, image_depth=10, image_encoding='',
        publish_debug_image=options.debug_image)
    debug = node.collect('debug_image', Image, 1)
    camera = node.camera(CompressedImage, 'image/compressed') if kind == 'compressed' else node.camera()
    pace = Pace(node)
    for number, data in enumerate(messages(kind, count, seed, options.largest), 1):
        camera.publish(data)
        pace.wait()
        debug.messages.clear()
        if number % _OVERRIDE == 0:
            assert node.set_parameters(image_encoding='bgr8' if number // _OVERRIDE % 2 else '')[0]
        if number % 20_000 == 0:
            print(f'{kind} {damaged}: {number} sent', file=sys.stderr, flush=True)
    counts = counts_at_rest(node, timeout=120)
    assert node.set_parameters(image_encoding='')[0]
    results = node.collect('classifications', Classification)
    answer = node.answer_to(camera, good_message(kind, header('good', node.driver.now_ns())), results)
    assert answer.results[0].class_id == 'red', answer
    results.messages.clear()
    node.close_camera(camera)
    return Counter({'sent': count, **counts})


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Return the summary of one node process."""
    from support.harness_models import color_classifier
    from support.node_session import in_thread, node_session, peak_mib

    with node_session() as session, tempfile.TemporaryDirectory() as folder:
        node = session.start(model_file=str(color_classifier(Path(folder) / 'model.onnx')))
        started, total = time.monotonic(), Counter[str]()
        phases = KINDS[options.kind]
        slowest = answers = 0
        for number, damaged in enumerate(phases):
            part = options.count // len(phases)
            asked = Answers(node)
            with in_thread(asked.ask):
                total.update(publish_all(node, options, part, options.seed + number, damaged))
            slowest, answers = max(slowest, asked.slowest_s), answers + asked.count
        seconds, peak = time.monotonic() - started, peak_mib(node.process.process.pid)
        lines = len(node.process.output.splitlines())
        node.bring_to('unconfigured')
        session.end(node)
    assert lines < _LINES + _LINES_IN_5_S * seconds / 5, f'{lines} lines in {seconds:.0f} s'
    return {
        'kind': options.kind, 'seed': options.seed, **total, 'seconds': round(seconds), 'peak_mib': round(peak),
        'state_answers': answers, 'slowest_answer_s': round(slowest, 2), 'lines': lines}


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kind', choices=KINDS, required=True)
    parser.add_argument('--count', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--largest', type=int, default=1000, metavar='N',
        help='each Nth compressed image has the largest allowed size, 8192x8192 pixels; 0: none')
    parser.add_argument('--most-mib', type=int, default=1500)
    parser.add_argument('--no-debug-image', dest='debug_image', action='store_false')
    options = parser.parse_args()
    summary = run(options)
    print(json.dumps(summary))
    if summary['peak_mib'] > options.most_mib:
        print(f'peak memory was {summary["peak_mib"]} MiB', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
