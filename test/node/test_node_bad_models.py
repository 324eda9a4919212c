# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models that cannot be used: one clear line, FAILURE, state unconfigured, and the next model works."""

import itertools
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from trt_perception.backends.tensorrt.cuda.gpu_info import has_gpu
from trt_perception.image.frame import Frame
from trt_perception.sources.bag_writer import write_video_bag
from trt_perception.sources.source import SourceFrame

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from support import harness_images as images
from support.harness_driver import TIMEOUT, boxes_of, wait_until
from support.node_session import in_thread

LFS = b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n'
RANDOM = np.random.default_rng(5).integers(0, 256, 100_000, np.uint8).tobytes()


def bad_file(kind, models, folder):
    """Return (path of the bad model, pattern of the message)."""
    good = Path(models()).read_bytes()
    files = {
        'truncated': ('cut.onnx', good[:len(good) * 2 // 3], 'cannot be read as ONNX'),
        'one byte short': ('short.onnx', good[:-1], 'cannot be read as ONNX'),
        'empty': ('empty.onnx', b'', 'is empty'),
        'random': ('noise.onnx', RANDOM, 'ONNX'),
        'text': ('readme.onnx', b'# my model\nsee the wiki\n', 'ONNX'),
        'torch': ('yolov5s.pt', b'PK\x03\x04' + RANDOM, r'export\.py .*--include onnx'),
        'engine': ('yolov5s.engine', RANDOM, 'ONNX file it was built from'),
        'lfs pointer': ('lfs.onnx', LFS, 'git lfs pull'),
    }
    if kind == 'missing':
        return folder / 'nowhere.onnx', r'nowhere\.onnx'
    if kind == 'folder':
        return folder, 'folder'
    if kind == 'other outputs':
        return Path(models('odd_outputs')), r'segmentation \[1, 3, 64, 64\].*known layouts'
    if kind == 'too many names':
        return Path(models(names=('red', 'green', 'blue', 'pink', 'grey'))), 'found 5 class names.*has 3'
    name, data, said = files[kind]
    (folder / name).write_bytes(data)
    return folder / name, said


@pytest.mark.parametrize('kind', [
    'missing', 'folder', 'truncated', 'one byte short', 'empty', 'random', 'text', 'torch', 'engine',
    'lfs pointer', 'other outputs', 'too many names'])
def test_bad_model_fails_configure_and_the_next_one_works(node, models, tmp_path, kind):
    path, said = bad_file(kind, models, tmp_path)
    assert node.set_parameters(model_file=str(path))[0]
    mark = node.process.mark()
    assert node.change_state('configure') is False
    assert node.state() == 'unconfigured'
    line = node.process.wait_for_line('configure failed', mark)
    assert '[ERROR]' in line and re.search(said, line), line
    assert len(node.complaints_since(mark)) == 1
    status, _ = node.diagnosis(lambda s, v: s.level == DiagnosticStatus.ERROR, 'ERROR for the model')
    assert 'configure failed' in status.message and re.search(said, status.message)
    # Configure again with a good file.
    assert node.set_parameters(model_file=models())[0]
    assert node.change_state('configure')
    assert node.change_state('activate')
    message = images.image(images.picture(320, 240, {'red': (9, 9, 99, 99)}), images.header('', 1))
    assert set(boxes_of(node.answer_to(node.camera(), message))) == {'red'}


def test_a_model_that_is_replaced_while_it_loads_is_not_used(node, models, tmp_path):
    """A deployment copies a new model over the old one: its outputs must not get the old one's names."""
    # Each takes seconds to load.
    contents = [Path(models(slow_load=times)).read_bytes() for times in (100, 101)]
    path, new = tmp_path / 'deployed.onnx', tmp_path / 'new.onnx'
    path.write_bytes(contents[0])
    assert node.set_parameters(model_file=str(path))[0]
    replaced = threading.Event()

    def replace(done):
        for content in itertools.cycle(contents):
            new.write_bytes(content)
            new.replace(path)
            replaced.set()
            if done.wait(0.05):
                return

    with in_thread(replace):
        assert replaced.wait(TIMEOUT)
        mark = node.process.mark()
        # Right too: this process had no processor while the node read and loaded one of them.
        while node.change_state('configure'):
            assert node.change_state('cleanup')
            mark = node.process.mark()
    line = node.process.wait_for_line('configure failed', mark)
    # It depends on the moment which of its readers notices first.
    assert re.search(
        rf'{path} changed (while it was (read|loaded)|after it was read), so the result is not used or stored: '
        'start again when the file is complete', line), line
    assert len(node.complaints_since(mark)) == 1
    assert node.change_state('configure')


@pytest.mark.parametrize('parameters, said', [
    ({'model_file': ''}, "parameter 'model_file' is empty"),
    ({'task': 'classification'}, 'detection model.*task to auto or detection'),
    ({'head': 'end_to_end'}, "head is set to 'end_to_end'"),
    ({'input_size': [320, 320]}, r'fixed input size \[640, 640\]'),
    ({'labels_file': 'coco'}, 'found 80 class names.*has 3'),
    ({'labels_file': '/no/such/labels.txt'}, '/no/such/labels.txt'),
    ({'classes': ['red', 'gren']}, "'gren'.*did you mean 'green'"),
    pytest.param(
        {'backend': 'tensorrt'}, 'set backend to onnxruntime',
        marks=pytest.mark.skipif(has_gpu(), reason='there is a GPU')),
])
def test_parameters_that_do_not_fit_the_model(node, parameters, said):
    assert node.set_parameters(**parameters)[0]
    mark = node.process.mark()
    assert node.change_state('configure') is False
    assert node.state() == 'unconfigured'
    line = node.process.wait_for_line('configure failed', mark)
    assert re.search(said, line), line
    node.bring_to('inactive')


def test_of_a_bag_to_calibrate_with_the_topic_is_a_parameter(node, tmp_path):
    pytest.importorskip('rosbags.rosbag2')
    picture = Frame.from_bgr(images.picture(320, 320, {'red': (9, 9, 99, 99)}))
    write_video_bag([SourceFrame('made', 0, picture, 0)], tmp_path / 'bag', topic='/left')
    assert node.set_parameters(
        precision='int8', calibration_source=str(tmp_path / 'bag'), calibration_topic='/right')[0]
    assert node.change_state('configure') is False
    node.process.wait_for_line(r"configure failed: .*no image topic '/right' in this bag; it has /left \(Image, 1\)")


def test_fifty_failed_configures_leak_nothing(node, models, tmp_path):
    path, _ = bad_file('truncated', models, tmp_path)
    assert node.set_parameters(model_file=str(path))[0]
    for number in range(60):
        if number == 10:
            descriptors, threads = node.process.descriptors(), node.process.threads()
        assert node.change_state('configure') is False
    assert node.process.descriptors() < descriptors + 10
    assert node.process.threads() < threads + 10


def test_failing_inferences_lead_through_the_error_path(node, models):
    node.bring_to('active', model_file=models(fragile=True), image_reliability='reliable')
    camera = node.camera()
    good = images.image(images.picture(320, 320, {'red': (9, 9, 99, 99)}), images.header('', 1))
    white = images.image(np.full((320, 320, 3), 255, np.uint8), images.header('white', 1))
    assert set(boxes_of(node.answer_to(camera, good))) == {'red'}
    # A few failures are counted and diagnosed, and the node goes on: nine in a row, a good frame, nine again.
    for wanted in (9, 18):
        for number in range(wanted - 9, wanted):
            camera.publish(white)
            node.counts(lambda c, n=number: c['failed'] == n + 1, f'{number + 1} failed inferences')
        status, _ = node.diagnosis(lambda s, v: s.level == DiagnosticStatus.ERROR, 'ERROR for the failures')
        assert 'inference fails' in status.message and 'out of data bounds' in status.message
        assert set(boxes_of(node.answer_to(camera, good))) == {'red'}
    assert node.state() == 'active'
    mark = node.process.mark()
    # After ten in a row the node gives up.
    wait_until(lambda: camera.publish(white) or node.state() == 'unconfigured', 'unconfigured')
    line = node.process.wait_for_line('back to unconfigured', mark)
    assert '10 inferences in a row failed' in line and 'out of data bounds' in line
    status, _ = node.diagnosis(lambda s, v: v['state'] == 'unconfigured', 'unconfigured')
    assert status.level == DiagnosticStatus.ERROR and '10 inferences in a row' in status.message
    node.close_camera(camera)
    assert node.change_state('configure') and node.change_state('activate')
    assert set(boxes_of(node.answer_to(node.camera(), good))) == {'red'}
