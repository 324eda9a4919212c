# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Two images of one camera in work at the same time, as with TensorRT and concurrent_inferences: 2.

The node is the real one. Its pipeline runs on the CPU, but says what DevicePipeline says, and every second image takes
longer than the next one.
"""

import sys
import threading

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.harness_driver import wait_until

# Arguments: a file to write, and the command of the node, `python -m MODULE ...`.
SCRIPT = """
import itertools, runpy, sys, threading
from pathlib import Path
from trt_perception.node.perception import parts
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline

_, marker, _, _, module, *arguments = sys.argv
NUMBERS, LOCK, NEXT_IS_DONE = itertools.count(), threading.Lock(), threading.Event()
IN_WORK = []


class Overlapping(HostPipeline):
    frames_of_camera = 2

    def __init__(self, spec, options, settings, monitor):
        # A CPU pipeline would process one image of one camera at a time.
        assert (options.run.concurrent_runs, options.concurrent_runs) == (2, 1)
        super().__init__(spec, OnnxRuntimeBackend(spec.path, 1), settings, concurrent_runs=2)

    def run(self, frame, masks=False):
        with LOCK:
            number = next(NUMBERS)
            IN_WORK.append(number)
            if len(IN_WORK) == 2:
                Path(marker).write_text('two images in work')
        output = super().run(frame, masks)
        if number % 2:
            NEXT_IS_DONE.set()
        else:
            # The next image is through the network first, if it comes soon.
            NEXT_IS_DONE.wait(0.2)
            NEXT_IS_DONE.clear()
        with LOCK:
            IN_WORK.remove(number)
        return output


parts.create_pipeline = Overlapping
sys.argv = [module, *arguments]
runpy.run_module(module, run_name='__main__', alter_sys=True)
"""


@pytest.fixture
def overlapping(start_node, models, tmp_path):
    """Return a function that starts a node with this pipeline, and the file that shows two images in work."""
    def start(**parameters):
        script, marker = tmp_path / 'overlapping.py', tmp_path / 'two'
        script.write_text(SCRIPT)
        node = start_node(
            prefix=(sys.executable, str(script), str(marker)), model_file=models(),
            concurrent_inferences=2, image_reliability='reliable', **parameters)
        assert node.change_state('configure') and node.change_state('activate')
        return node, marker

    return start


@pytest.mark.parametrize('tracking', [False, True])
def test_results_are_in_the_order_of_the_images(overlapping, tracking):
    node, marker = overlapping(tracking=tracking)
    camera = node.camera()
    sent = 0

    def enough():
        """Publish one more image, with its number as its stamp."""
        nonlocal sent
        sent += 1
        camera.publish(images.image(images.picture(320, 240, {'red': (64, 48, 256, 192)}), images.header('', sent)))
        return marker.exists() and node.detections.count() >= 40

    wait_until(enough, 'two images in work, and 40 results')
    _, values = node.diagnosis(
        lambda _, v: int(v['received']) == sum(int(v[name]) for name in ('processed', 'replaced')), 'all counted')
    assert (values['failed'], values['bad'], values['stale']) == ('0', '0', '0')

    def numbers():
        return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in node.detections.messages]

    # A paused test process may miss results, but not the last one.
    wait_until(lambda: numbers()[-1] == sent, 'the last result')
    assert numbers() == sorted(set(numbers()))
    if tracking:
        # One object that stands still: an image out of order would begin a new track.
        ids = {message.detections[0].id for message in node.detections.messages if message.detections}
        assert len(ids - {''}) == 1


def test_transitions_while_two_images_are_in_work(overlapping):
    node, marker = overlapping()
    camera = node.camera()
    message = images.image(images.picture(320, 240, {'red': (64, 48, 256, 192)}), images.header('', 1))
    done = threading.Event()

    def flood():
        while not done.wait(0.005):
            camera.publish(message)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for _ in range(8):
            marker.unlink(missing_ok=True)
            wait_until(marker.exists, 'two images in work')
            # It waits for both.
            assert node.change_state('deactivate')
            assert node.change_state('activate')
        marker.unlink(missing_ok=True)
        wait_until(marker.exists, 'two images in work')
        assert node.change_state('deactivate') and node.change_state('cleanup') and node.change_state('configure')
    finally:
        done.set()
        thread.join()
    # A line of the middleware may have the word 'failed'.
    assert not any(words in node.process.output for words in ('Traceback', 'inference failed', 'bad image'))
