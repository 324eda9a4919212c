# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a node for a long time, with images at 30 Hz or through many lifecycle cycles while images arrive.

    PYTHONPATH=.:test python test/reliability/soak.py --minutes 24
    PYTHONPATH=.:test python test/reliability/soak.py --cycles 200

Fails if memory, descriptors or threads grow after the first third, as least-squares lines through the samples show.
Also fails if a received frame has no outcome or two, or if the node prints an error. A frame may keep 1 KiB, a cycle
8 KiB, and 4 MiB are for pools that fill late. A kept image has 900 KiB, a kept publisher 45 to 100 KiB. The last line
is a summary as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_RATE_HZ = 30.0
_SAMPLES = 300
_FRAME_KIB, _CYCLE_KIB = 1.0, 8.0
_CYCLE = ('configure', 'activate', 'deactivate', 'cleanup')


def publish(node: Any, camera: Any, done: threading.Event) -> None:
    """Publish an image of 640x480 pixels at 30 Hz until `done` is set."""
    from support import harness_images as images

    message = images.image(
        images.picture(640, 480, {'red': (9, 9, 99, 99)}), images.header('camera', node.driver.now_ns()))
    due = time.monotonic()
    while not done.wait(max(0.0, due - time.monotonic())):
        # After a pause of this process, the missed images are not sent at once.
        due = max(due + 1 / _RATE_HZ, time.monotonic())
        message.header.stamp = node.driver.node.get_clock().now().to_msg()
        camera.publish(message)


def stream(node: Any, seconds: float) -> dict[str, Any]:
    """Let the node process images for this time; return the summary."""
    from support.growth import Growth
    from support.node_session import in_thread, values_at_rest

    node.bring_to('active')
    camera = node.camera()
    growth = Growth(_FRAME_KIB)
    results, started = node.detections, time.monotonic()
    with in_thread(lambda done: publish(node, camera, done)):
        while time.monotonic() < started + seconds:
            time.sleep(max(0.05, seconds / _SAMPLES))
            growth.sample(results.count(), node.process)
            # Frames are counted by their results; the messages themselves are not needed.
            results.messages[:-1] = [None] * (len(results.messages) - 1)
    counts = values_at_rest(node)
    assert counts['processed'] == results.count(), (counts, results.count())
    node.close_camera(camera)
    return {'seconds': round(time.monotonic() - started), 'growth': growth.summary(), **counts,
            'faults': growth.faults()}


def cycles(node: Any, count: int) -> dict[str, Any]:
    """Bring the node through its states this many times while images arrive; return the summary."""
    from support.growth import Growth
    from support.node_session import in_thread

    camera = node.camera(connected=False)
    growth, started = Growth(_CYCLE_KIB), time.monotonic()
    with in_thread(lambda done: publish(node, camera, done)):
        for number in range(1, count + 1):
            for transition in _CYCLE:
                assert node.change_state(transition), node.process.tail()
                if transition == 'activate':
                    # One or two images are in work or waiting when the node is deactivated.
                    node.classifications.wait(since=node.classifications.count())
            growth.sample(number, node.process)
    node.close_camera(camera)
    return {
        'seconds': round(time.monotonic() - started), 'growth': growth.summary(),
        'results': node.classifications.count(), 'faults': growth.faults()}


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument('--minutes', type=float)
    how.add_argument('--cycles', type=int)
    options = parser.parse_args()
    from support.harness_models import color_classifier, color_detector
    from support.node_session import node_session

    with node_session() as session, tempfile.TemporaryDirectory() as folder:
        # In the cycles a small model: the free blocks that a large one leaves would hide a leak.
        model = (color_detector if options.minutes else color_classifier)(Path(folder) / 'model.onnx')
        node = session.start(model_file=str(model))
        summary = stream(node, 60 * options.minutes) if options.minutes else cycles(node, options.cycles)
        bad = [line for line in node.process.output.splitlines() if '[ERROR]' in line or '[FATAL]' in line]
        if node.state() == 'active':
            node.bring_to('unconfigured')
        session.end(node)
    faults = summary.pop('faults') + [f'{len(bad)} lines such as {line}' for line in bad[:1]]
    print(json.dumps(summary))
    print('\n'.join(faults), file=sys.stderr, end='\n' if faults else '')
    return 1 if faults else 0


if __name__ == '__main__':
    raise SystemExit(main())
