# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception demo` as a user runs it: a video clip, four processes, and no process left at the end."""

import json
import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2', reason='needs OpenCV: make setup')
psutil = pytest.importorskip('psutil', reason='needs psutil: make setup')
for package in ('rclpy', 'vision_msgs.msg', 'rosbags', 'onnx', 'onnxruntime'):
    pytest.importorskip(package, reason=f'needs {package.split(".")[0]}: make setup')

from support import harness_models
from support.browser import PLAYED, Browser, find_browser

FRAMES, HZ, WIDTH, HEIGHT = 24, 12.0, 320, 240
# Longer than the tests that end such a demo take on a busy machine.
FOR_MINUTES = ('--rate', '0.002')
# The clip's frames are JPEG: edges are up to two pixels off. The square moves 10 pixels from frame to frame.
TOLERANCE = 3.0


def red_box(frame):
    """Return the position of the red square in a frame of the clip."""
    return 20 + 10 * frame, 60, 60 + 10 * frame, 100


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demo')
    writer = cv2.VideoWriter(
        str(folder / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), HZ, (WIDTH, HEIGHT))
    for frame in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        x_min, y_min, x_max, y_max = red_box(frame)
        picture[y_min:y_max, x_min:x_max] = (0, 0, 255)
        writer.write(picture)
    writer.release()
    harness_models.color_detector(folder / 'detector.onnx')
    harness_models.color_classifier(folder / 'classifier.onnx')
    return folder


def start(command, folder, *arguments):
    # A separate session: remaining processes can be found, and Ctrl-C can be sent to all of them.
    return subprocess.Popen(
        [command, 'demo', '--output', str(folder / 'output'), *arguments], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder,
        env={name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))


def end(process):
    try:
        output, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, output, errors


def left_over(session):
    found = []
    for process in psutil.process_iter(['cmdline']):
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.info['cmdline'])
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def wait_for(condition):
    deadline = time.monotonic() + 600
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def number(text, report):
    """Return the number in a row of the table; it is before or after the text."""
    match = re.search(rf'^{text} +(\d+)$|^ +(\d+)  {text}$', report, re.MULTILINE)
    return int(match.group(1) or match.group(2))


@pytest.fixture(scope='module')
def detected(command, folder):
    """A whole run with the detector: (exit code, output, errors, process id)."""
    process = start(command, folder, '--video', 'clip.avi', '--model', 'detector.onnx')
    return *end(process), process.pid


def test_each_result_belongs_to_the_frame_it_is_written_for(detected, folder):
    code, _, errors, _ = detected
    assert code == 0, errors
    records = [json.loads(line) for line in (folder / 'output' / 'detections.jsonl').read_text().splitlines()]
    frames = [record['frame'] for record in records]
    assert frames == sorted(set(frames)) and set(frames) <= set(range(FRAMES))
    # The newest frame comes next, so the last one is never replaced. How many are between two results depends on how
    # long the node had no processor.
    assert frames[-1] == FRAMES - 1 and len(frames) > 1
    for record in records:
        assert (record['source'], record['width'], record['height']) == ('clip.avi', WIDTH, HEIGHT)
        (found,) = record['detections']
        assert (found['class_id'], found['class_index']) == ('red', 0)
        assert found['bbox'] == pytest.approx(red_box(record['frame']), abs=TOLERANCE)
        assert list(record['timings_ms']) == ['stamp_to_detection']
        # Stamped when it was sent: the stamps in the bag are decades old.
        assert 0 < record['timings_ms']['stamp_to_detection'] < 10_000


def test_every_frame_is_accounted_for(detected, folder):
    _, output, _, _ = detected
    report = (folder / 'output' / 'report.txt').read_text()
    assert report.strip() in output
    sent, processed, dropped = (number(f'frames {what}', report) for what in ('sent', 'processed', 'dropped'))
    assert sent == FRAMES == processed + dropped
    assert number('lost between processes', report) == 0
    assert number('results received', report) == processed == number('red', report)
    for stage in ('receive_age', 'preprocess', 'infer', 'postprocess', 'total', 'stamp to detection'):
        values = re.search(rf'^  {stage}.*?((?: +[\d.]+){{3}})$', report, re.MULTILINE).group(1).split()
        assert 0 < float(values[0]) <= float(values[1]) <= float(values[2]), stage


def test_the_video_has_every_frame_and_the_boxes(detected, folder):
    capture = cv2.VideoCapture(str(folder / 'output' / 'annotated.webm'))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(HZ, abs=0.01)
    pictures = []
    while True:
        ok, picture = capture.read()
        if not ok:
            break
        pictures.append(picture)
    assert len(pictures) == FRAMES
    lines = (folder / 'output' / 'detections.jsonl').read_text().splitlines()
    frame = json.loads(lines[len(lines) // 2])['frame']
    x_min, _, x_max, y_max = red_box(frame)
    picture = pictures[frame]
    assert picture.shape == (HEIGHT, WIDTH, 3)
    # Inside the square, far from it, and on its edge, which has a dark border.
    assert picture[80, (x_min + x_max) // 2] == pytest.approx([0, 0, 255], abs=40)
    assert picture[200, 160] == pytest.approx([90, 90, 90], abs=12)
    assert picture[y_max - 4:y_max + 5, (x_min + x_max) // 2].max(axis=1).min() < 80
    sheet = cv2.imread(str(folder / 'output' / 'contact_sheet.png'))
    assert sheet.shape[1] > 3 * 480


def test_the_report_plays_in_a_browser(detected, folder):
    if find_browser() is None:
        pytest.skip('needs Chromium: apt-get install chromium')
    report = (folder / 'output' / 'report.txt').read_text()
    sentence = report.splitlines()[0]
    assert f'the video has a frame every {1e3 / HZ:.0f} ms' in sentence
    with Browser() as browser:
        browser.open(folder / 'output' / 'report.html')
        assert browser.evaluate("document.querySelector('.verdict').textContent") == sentence
        assert browser.evaluate(PLAYED) > 0
        assert browser.errors == []


def test_nothing_is_left_running_and_the_node_ended_well(detected, folder):
    assert left_over(detected[3]) == []
    log = (folder / 'output' / 'node.log').read_text()
    assert 'configured in' in log and 'active: waiting for images on /image' in log
    assert 'Traceback' not in log and 'ERROR' not in log and 'deprecated' not in log


def test_a_classifier_reuses_the_bag(command, detected, folder):
    bag = folder / 'output' / 'video_bag' / 'metadata.yaml'
    before = bag.stat().st_mtime_ns
    code, output, errors = end(start(
        command, folder, '--video', 'clip.avi', '--model', 'classifier.onnx', '--rate', '2'))
    assert code == 0, errors
    assert '(reused)' in output and bag.stat().st_mtime_ns == before
    records = [json.loads(line) for line in (folder / 'output' / 'detections.jsonl').read_text().splitlines()]
    # Red is the only channel above the grey background.
    assert {record['classifications'][0]['class_id'] for record in records} == {'red'}
    assert all(len(record['classifications']) == 3 for record in records)
    assert 'images by their best class' in output


def test_ctrl_c_while_playing_ends_everything(command, detected, folder):
    sent = folder / 'output' / 'frames_sent.jsonl'
    sent.unlink()
    process = start(command, folder, '--video', 'clip.avi', '--model', 'detector.onnx', *FOR_MINUTES)
    wait_for(lambda: sent.exists() and sent.stat().st_size)
    running = left_over(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    code, _, errors = end(process)
    assert len(running) == 3, f'expected the demo, the node and the player, found {running}'
    assert code == 130 and errors.splitlines()[-1] == 'trt_perception: interrupted'
    assert left_over(process.pid) == []
    assert not (folder / 'output' / 'detections.jsonl').exists()


def test_a_second_demo_in_the_same_folder_is_one_line_and_disturbs_nothing(command, detected, folder):
    sent = folder / 'output' / 'frames_sent.jsonl'
    sent.unlink(missing_ok=True)
    first = start(command, folder, '--video', 'clip.avi', '--model', 'detector.onnx', *FOR_MINUTES)
    try:
        wait_for(lambda: sent.exists() and sent.stat().st_size)
        before = {path.name: path.stat().st_ino for path in (folder / 'output').iterdir()}
        code, _, errors = end(start(command, folder, '--video', 'clip.avi', '--model', 'detector.onnx'))
        assert {path.name: path.stat().st_ino for path in (folder / 'output').iterdir()} == before
        assert len(left_over(first.pid)) == 3
    finally:
        os.killpg(first.pid, signal.SIGINT)
        end(first)
    assert code == 1
    assert errors == (
        f'trt_perception: --output {folder / "output"}: another demo (process {first.pid}) uses this folder: '
        'wait until it ends, or choose another folder\n')
    # The folder is not locked any more.
    code, _, errors = end(start(command, folder, '--video', 'clip.avi', '--model', 'detector.onnx', '--rate', '2'))
    assert code == 0, errors


def test_a_model_that_cannot_be_read_is_one_line_with_the_nodes_reason(command, folder):
    (folder / 'broken.onnx').write_bytes(b'this is no model')
    process = start(command, folder, '--video', 'clip.avi', '--model', 'broken.onnx')
    code, _, errors = end(process)
    assert code == 1
    (line,) = [line for line in errors.splitlines() if line.startswith('trt_perception: ')]
    assert 'broken.onnx cannot be read as ONNX' in line and 'output/node.log' in line
    assert 'Traceback' not in errors
    assert left_over(process.pid) == []


def test_a_broken_video_is_one_line(command, folder):
    (folder / 'broken.mp4').write_bytes((folder / 'clip.avi').read_bytes()[:100])
    code, _, errors = end(start(command, folder, '--video', 'broken.mp4', '--model', 'detector.onnx'))
    assert code == 1
    assert len(errors.splitlines()) == 1 and 'trt_perception: broken.mp4: ' in errors


def test_each_step_is_told_when_it_happens_also_into_a_pipe(command, detected, folder):
    process = start(command, folder, '--video', 'clip.avi', '--model', 'detector.onnx', *FOR_MINUTES)
    # Fast DDS may print lines in between.
    line = next((line for line in process.stdout if line.startswith('node ')), '')
    # The node's process exists, and the demo is far from its end.
    assert line.startswith('node         process ')
    assert not (folder / 'output' / 'report.txt').exists()
    os.killpg(process.pid, signal.SIGINT)
    assert end(process)[0] == 130
    assert left_over(process.pid) == []
