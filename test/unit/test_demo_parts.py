# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the demo that do not need ROS. test/node/test_demo.py tests the whole demo."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace as Namespace

import numpy as np
import pytest

from trt_perception.demo.child import Child, last_error
from trt_perception.demo.environment import demo_environment, free_domain_id
from trt_perception.demo.errors import DemoError
from trt_perception.demo.folder_lock import locked_folder
from trt_perception.demo.pictures import write_pictures
from trt_perception.demo.recording import check_video, record
from trt_perception.demo.report import Figures, table
from trt_perception.demo.results import class_counts, result_from_message
from trt_perception.demo.sent_log import SentLog
from trt_perception.demo.waiting import wait_until
from trt_perception.errors import SourceError
from trt_perception.file_cache import file_sha256
from trt_perception.file_state import file_state
from trt_perception.image.frame import Frame
from trt_perception.launching.large_images import PROFILE_VARIABLES, profile_variables
from trt_perception.results.results import Classifications, Detections
from trt_perception.sources.source import SourceFrame


def test_a_domain_is_neither_the_users_nor_one_in_use(monkeypatch):
    wanted = free_domain_id({})
    # From here on it is the first choice.
    monkeypatch.setattr(
        'trt_perception.demo.environment.random.shuffle', lambda domains: domains.sort(key=lambda d: d != wanted))
    assert free_domain_id({}) == wanted
    assert free_domain_id({'ROS_DOMAIN_ID': str(wanted)}) != wanted
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        # Bind as Fast DDS does: other processes of the same domain may share the ports.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(('0.0.0.0', 7400 + 250 * wanted))
        assert free_domain_id({}) != wanted


def test_no_free_domain_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr('trt_perception.demo.environment.HIGHEST_DOMAIN', 1)
    with pytest.raises(DemoError, match='--domain-id'):
        free_domain_id({'ROS_DOMAIN_ID': '1'})


def test_nothing_leads_the_processes_to_a_running_graph(monkeypatch):
    monkeypatch.setenv('ROS_DISCOVERY_SERVER', '192.168.0.1:11811')
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    for name in PROFILE_VARIABLES:
        monkeypatch.setenv(name, '/robot.xml')
    environment = demo_environment(42, Path('/large.xml'))
    assert 'ROS_DISCOVERY_SERVER' not in environment
    assert environment['ROS_DOMAIN_ID'] == '42'
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    read = profile_variables(environment)
    assert {name: environment.get(name) for name in PROFILE_VARIABLES} == {
        name: '/large.xml' if name in read else None for name in PROFILE_VARIABLES}


@pytest.mark.parametrize('distro, local', [('humble', '1'), ('jazzy', None), (None, None)])
def test_discovery_stays_on_this_machine_with_humble_too(monkeypatch, distro, local):
    monkeypatch.delenv('ROS_LOCALHOST_ONLY', raising=False)
    monkeypatch.delenv('ROS_DISTRO', raising=False)
    if distro:
        monkeypatch.setenv('ROS_DISTRO', distro)
    assert demo_environment(42, Path('/large.xml')).get('ROS_LOCALHOST_ONLY') == local


_HOLDING = (
    'import sys, time\n'
    'from pathlib import Path\n'
    'from trt_perception.demo.folder_lock import locked_folder\n'
    'with locked_folder(Path(sys.argv[1])):\n'
    '    print("locked", flush=True)\n'
    '    time.sleep(60)\n')


def test_a_folder_is_one_demos_until_its_process_ends(tmp_path):
    root = str(Path(__file__).parents[2])
    for end in (subprocess.Popen.kill, subprocess.Popen.terminate):
        with subprocess.Popen(
                [sys.executable, '-c', _HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True,
                env={**os.environ, 'PYTHONPATH': root}) as holder:
            assert holder.stdout.readline() == 'locked\n'
            with pytest.raises(DemoError) as found, locked_folder(tmp_path):
                pytest.fail('locked twice')
            assert str(found.value) == (
                f'--output {tmp_path}: another demo (process {holder.pid}) uses this folder: wait until it ends, or '
                'choose another folder')
            (tmp_path / 'other').mkdir(exist_ok=True)
            with locked_folder(tmp_path / 'other'):
                pass
            end(holder)
        # Only the lock file is left, and no process holds it.
        with locked_folder(tmp_path):
            assert (tmp_path / '.lock').read_text() == f'{os.getpid()}\n'


def test_a_child_does_not_keep_the_folder(tmp_path):
    """The node and the player start while the folder is locked, and may live longer than a killed demo."""
    with locked_folder(tmp_path):
        child = Child('the child', ['sleep', '60'], tmp_path / 'log', os.environ)
    try:
        with locked_folder(tmp_path):
            assert child.ended() is None
    finally:
        child.stop()


@pytest.mark.parametrize('log, expected', [
    ('[INFO] [1.2] [node]: fine\n[ERROR] [1.3] [node]: configure failed: no [x]: y\n[WARN] [1.4] [node]: z\n',
     'configure failed: no [x]: y'),
    ('trt_perception: bag: no such file\n', 'bag: no such file'),
    ('Traceback (most recent call last):\n  File "x"\nValueError: 3\n', 'ValueError: 3'),
    ('[INFO] [1.2] [node]: fine\n', ''),
    ('', ''),
])
def test_last_error_of_a_log(tmp_path, log, expected):
    (tmp_path / 'log').write_text(log)
    assert last_error(tmp_path / 'log') == expected
    assert last_error(tmp_path / 'none') == ''


def test_a_child_that_ends_is_told_with_its_code_and_words(tmp_path):
    command = ['sh', '-c', 'echo "trt_perception: out of luck" >&2; exit 3']
    with Child('the tool', command, tmp_path / 'log', {}) as child, pytest.raises(DemoError) as raised:
        wait_until(lambda: False, 10, 'nothing', [child])
    assert str(raised.value) == f'the tool ended unexpectedly with code 3: out of luck (log: {tmp_path / "log"})'


def test_a_child_that_ignores_sigint_is_ended_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr('trt_perception.demo.child.GRACE_S', 0.3)
    command = ['sh', '-c', 'trap "" INT; echo ready; exec sleep 60']
    child = Child('it', command, tmp_path / 'log', {'PATH': '/bin:/usr/bin'})
    wait_until(lambda: 'ready' in (tmp_path / 'log').read_text(), 10, 'its start', [child])
    assert child.stop() == -15
    with pytest.raises(DemoError, match='cannot be started'):
        Child('it', [str(tmp_path / 'none')], tmp_path / 'log', {})


def test_the_log_of_what_was_sent_is_read_while_it_grows(tmp_path):
    log = SentLog(tmp_path / 'sent')
    assert log.read() == {}
    with (tmp_path / 'sent').open('w') as file:
        file.write('{"index": 0, "stamp_ns": 100}\n{"index": 1, "sta')
        file.flush()
        assert log.read() == {0: 100}
        file.write('mp_ns": 200}\n')
    assert log.read() == {0: 100, 1: 200}


def hypothesis(class_id, score):
    return Namespace(class_id=class_id, score=score)


def test_results_come_back_from_messages():
    box = Namespace(center=Namespace(position=Namespace(x=30.0, y=20.0)), size_x=10.0, size_y=8.0)
    found = result_from_message(Namespace(detections=[
        Namespace(bbox=box, results=[Namespace(hypothesis=hypothesis('17', 0.5))])]))
    assert isinstance(found, Detections)
    assert found.boxes.tolist() == [[25.0, 16.0, 35.0, 24.0]]
    assert (found.class_indices.tolist(), found.scores.tolist()) == ([17], [0.5])
    nothing = result_from_message(Namespace(detections=[]))
    assert isinstance(nothing, Detections) and nothing.boxes.shape == (0, 4)
    classes = result_from_message(Namespace(results=[hypothesis('3', 0.75), hypothesis('1', 0.25)]))
    assert isinstance(classes, Classifications) and classes.class_indices.tolist() == [3, 1]


def detections(*indices, x=4.0):
    count = len(indices)
    return Detections(
        np.tile(np.array([x, 4.0, x + 10, 14.0], np.float32), (count, 1)), np.full(count, 0.9, np.float32),
        np.array(indices, np.int64))


def test_classes_are_counted_per_object_or_per_image():
    names = {0: 'cat', 1: 'dog'}
    assert class_counts([detections(0, 1, 1), detections(1)], names) == [('dog', 3), ('cat', 1)]
    image = Classifications(np.array([1, 0]), np.array([0.8, 0.2], np.float32))
    assert class_counts([image, image], names) == [('dog', 2)]
    assert class_counts([detections(5)], names) == [('5', 1)]


def test_the_table_accounts_for_every_frame():
    counts = {'received': '9', 'processed': '5', 'replaced': '2', 'stale': '1', 'bad': '1', 'failed': '0'}
    stages = {f'infer_ms_p{p}': f'{p / 10}' for p in (50, 95, 99)}
    text = table(Figures(10, {**counts, **stages}, [1.0, 2.0, 3.0, 4.0, 5.0], [('cat', 4)], 'objects'), 10.0)
    rows = [line.split() for line in text.splitlines()]
    assert ['frames', 'sent', '10'] in rows and ['frames', 'dropped', '5'] in rows
    assert ['1', 'lost', 'between', 'processes'] in rows and ['4', 'cat'] in rows
    assert ['infer', 'network', '5.00', '9.50', '9.90'] in rows
    # Linear between 1 and 5, as in NumPy: 95 % of the way is 4.8.
    assert ['stamp', 'to', 'detection', '3.00', '4.80', '4.96'] in rows
    assert 'preprocess' not in text


def test_pictures_of_an_odd_size_and_of_frames_without_a_result(tmp_path):
    cv2 = pytest.importorskip('cv2')
    pytest.importorskip('rosbags')
    from trt_perception.sources.bag_writer import write_video_bag

    frames = [
        SourceFrame('x', index, Frame.from_bgr(np.full((61, 83, 3), 128, np.uint8)), index * 40_000_000)
        for index in range(5)]
    write_video_bag(frames, tmp_path / 'bag', '/image')
    reported = []
    written = write_pictures(
        tmp_path / 'bag', 25.0, {1: detections(0, x=30.0), 3: detections()}, ['cat'], tmp_path / 'a',
        tmp_path / 's.png', 'caption', lambda *progress: reported.append(progress))
    assert written == tmp_path / 'a.webm' and reported[-1] == ('drawing', 5, 5)
    capture = cv2.VideoCapture(str(written))
    pictures = []
    while True:
        ok, picture = capture.read()
        if not ok:
            break
        pictures.append(picture.astype(int))
    assert [picture.shape for picture in pictures] == [(62, 84, 3)] * 5
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    changed = [np.abs(picture - 128).max() > 40 for picture in pictures]
    # 1 has a box, 2 has the same dimmed, 3 has an empty result, 0 and 4 are marked as not processed.
    assert changed == [True, True, True, False, True]
    box, dimmed = (np.abs(picture[:, 30:45] - 128).max() for picture in pictures[1:3])
    assert box > 80 and 20 < dimmed < 0.7 * box
    # Two cells of 480 pixels side by side.
    assert cv2.imread(str(tmp_path / 's.png')).shape[1] == 2 * 480 + 3 * 6


def test_boxes_of_a_large_video_are_scaled_and_the_last_ones_stay_for_one_second(tmp_path):
    cv2 = pytest.importorskip('cv2')
    pytest.importorskip('rosbags')
    from trt_perception.sources.bag_writer import write_video_bag
    grey = np.full((1080, 1920, 3), 128, np.uint8)
    frames = [
        SourceFrame('clip', index, Frame.from_bgr(grey), index * 500_000_000) for index in range(4)]
    write_video_bag(frames, tmp_path / 'bag', '/image')
    result = Detections(np.array([[960, 540, 1440, 810]], np.float32), np.array([0.9], np.float32), np.array([0]))
    video = write_pictures(
        tmp_path / 'bag', 2.0, {0: result}, ['cat'], tmp_path / 'a', tmp_path / 's.png', '', lambda *_: None)
    capture = cv2.VideoCapture(str(video))
    pictures = [capture.read()[1].astype(int) for _ in range(4)]
    assert {picture.shape for picture in pictures} == {(480, 854, 3)}
    # The right edge of the box is at 1440 / 1920 of the width, from 0.5 to 0.75 of the height.
    changes = [np.abs(picture[280:340, 630:651] - 128).max() for picture in pictures]
    assert changes[0] > 80 and changes[3] < 25
    assert all(25 < change < 0.7 * changes[0] for change in changes[1:3])
    # Nothing is drawn where the box would be without scaling.
    assert np.abs(pictures[0][:, 700:] - 128).max() < 25
    # After one second: "not processed" at the bottom left.
    assert np.abs(pictures[3][440:, :300] - 128).max() > 80
    assert np.abs(pictures[2][440:, :300] - 128).max() < 25


def test_a_bag_that_is_not_the_demos_is_left_alone(tmp_path):
    pytest.importorskip('cv2')
    pytest.importorskip('rosbags')
    (tmp_path / 'clip').write_bytes(b'')
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'metadata.yaml').write_text('mine')
    with pytest.raises(SourceError, match='was not made by the demo'):
        record(tmp_path / 'clip', tmp_path / 'bag', 0)
    assert (tmp_path / 'bag' / 'metadata.yaml').read_text() == 'mine'


def clip(folder):
    """A video of five frames."""
    cv2 = pytest.importorskip('cv2')
    pytest.importorskip('rosbags')
    path = folder / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for value in range(0, 250, 50):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize('damage', ['none', 'cut', 'gone', 'killed'])
def test_a_bag_is_reused_only_while_it_is_whole(tmp_path, damage):
    video, bag = clip(tmp_path), tmp_path / 'bag'
    record(video, bag, 0)
    (storage,) = bag.glob('*.mcap')
    size = storage.stat().st_size
    if damage == 'cut':
        os.truncate(storage, size // 2)
    if damage == 'gone':
        storage.unlink()
    if damage == 'killed':
        # The writing of another video's bag was interrupted; it had removed this bag.
        bag.rename(tmp_path / '.bag.x1.partial')
    told = []
    # Reading a long video takes time, even if its bag exists.
    sha256 = file_sha256(video, lambda *progress: told.append(progress))
    assert told[-1] == ('reading clip.avi', video.stat().st_size, video.stat().st_size)
    recording = record(video, bag, 0, sha256)
    assert (recording.reused, recording.frames) == (damage == 'none', 5)
    assert storage.stat().st_size == size
    assert {path.name for path in tmp_path.iterdir()} == {'clip.avi', 'bag'}


def test_a_video_that_is_replaced_while_it_is_read_makes_no_bag(tmp_path):
    """The bag would be used again for a video that it does not show."""
    video, bag = clip(tmp_path), tmp_path / 'bag'
    content = video.read_bytes()

    def replaced(text, done, total):
        if done == 1:
            (tmp_path / 'new').write_bytes(content)
            (tmp_path / 'new').replace(video)

    with pytest.raises(SourceError, match=f'^video {video}: it changed while it was read: start again when'):
        record(video, bag, 0, progress=replaced)
    assert {path.name for path in tmp_path.iterdir()} == {'clip.avi'}
    # After its hash was computed.
    state, sha256 = file_state(video), file_sha256(video)
    replaced('', 1, None)
    with pytest.raises(SourceError, match='changed while it was read'):
        record(video, bag, 0, sha256, state=state)
    assert not record(video, bag, 0).reused


def test_what_is_no_video_is_said_as_it_is(tmp_path):
    bag = tmp_path / 'bag'
    record(clip(tmp_path), bag, 0)
    (tmp_path / 'empty').mkdir()
    for path, words in ((bag, 'is a rosbag2'), (tmp_path / 'empty', 'is a folder'), (tmp_path / 'no', 'no such file')):
        with pytest.raises(SourceError, match=words):
            check_video(path)
