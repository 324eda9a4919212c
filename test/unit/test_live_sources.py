# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and network streams: names, a real HTTP camera, its interruptions, and how passwords are hidden."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
import numpy as np
from support.mjpeg_server import FIRST_GREY, GREYS, PASSWORD, USER, camera
from support.subprocesses import without_progress
from support.tiny_models import color_detector

import trt_perception
from trt_perception.errors import SourceError
from trt_perception.sources import newest_frame
from trt_perception.sources.live import LiveOptions
from trt_perception.sources.live_names import file_of_url, is_live, shown
from trt_perception.sources.open_source import open_source

if not cv2.videoio_registry.getStreamBackends().count(cv2.CAP_FFMPEG):
    pytest.skip('this OpenCV has no FFmpeg', allow_module_level=True)
runs_a_model = pytest.mark.skipif(find_spec('onnxruntime') is None, reason='needs onnxruntime: make setup')
ROOT = Path(trt_perception.__file__).resolve().parents[1]
SECRET = f'{USER}:{PASSWORD.replace(":", "%3A")}@'


@pytest.fixture
def stream():
    with camera() as running:
        yield running


# Names


@pytest.mark.parametrize('name, live', [
    ('0', True), ('12', True), ('/dev/video0', True), ('/dev/v4l/by-id/usb-cam-index0', True),
    ('rtsp://camera/a', True), ('RTSP://camera', True), ('http://camera/v.mjpg', True), ('udp://@:5000', True),
    ('file:///tmp/a.png', False), ('video.mp4', False), ('/dev/zero', False), ('/dev/null', False), ('-1', False),
    ('1.5', False), ('', False), ('c:/x', False), ('٣', False), ('video0', False), ('dir://', True)])
def test_what_is_live(tmp_path, monkeypatch, name, live):
    monkeypatch.chdir(tmp_path)
    assert is_live(name) == live


def test_a_file_or_folder_with_a_number_as_its_name_is_no_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / '0').mkdir()
    assert not is_live('0') and is_live('1')


@pytest.mark.parametrize('name, expected', [
    ('0', 'camera 0'), ('/dev/video0', '/dev/video0'), ('rtsp://camera:554/a', 'rtsp://camera:554/a'),
    ('rtsp://user:secret@camera/a', 'rtsp://user:***@camera/a'), ('rtsp://user@camera/a', 'rtsp://user@camera/a'),
    ('rtsp://u:p@ss/w?r#d@camera:554/a?x=1', 'rtsp://u:***@camera:554/a?x=1'),
    ('rtsp://:secret@camera', 'rtsp://:***@camera'), ('http://u:@c/', 'http://u:***@c/'),
    ('http://c/v?user=a&password=b&x=1', 'http://c/v?user=a&password=***&x=1'),
    ('http://c/v?PWD=b&api_key=c&token=d#e', 'http://c/v?PWD=***&api_key=***&token=***#e'),
    ('http://[::1]:80/v', 'http://[::1]:80/v'), ('http://[', 'http://[')])
def test_how_a_name_is_shown(name, expected):
    assert shown(name) == expected


def test_file_urls():
    assert file_of_url('file:///a%20b/c.png') == '/a b/c.png'
    assert file_of_url('file://[') == 'file://['


def test_a_stream_is_refused_where_frames_must_end():
    for name in ('rtsp://u:secret@camera/a', '0'):
        with pytest.raises(SourceError, match='a camera or a stream, which has no end; expected an image') as error:
            open_source(name)
        assert 'secret' not in str(error.value)
    with pytest.raises(SourceError, match="not a bag, so it has no topic '/x'"):
        open_source('rtsp://camera', '/x', live=LiveOptions())


@pytest.mark.parametrize('name', ['37', '/dev/video37'])
def test_a_camera_that_is_not_there(name):
    with pytest.raises(SourceError, match=r'37: OpenCV .* cannot open it: expected a camera .*found these devices: '):
        open_source(name, live=LiveOptions())


# A real camera


def test_frames_of_a_camera(stream):
    with open_source(f'http://{stream.url}/video', live=LiveOptions()) as source:
        frames = [next(source) for _ in range(5)]
    assert source.len_hint is None
    assert {frame.source for frame in frames} == {f'http://{stream.url}/video'}
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    greys = [round(float(frame.frame.bgr().mean())) for frame in frames]
    assert greys == pytest.approx([FIRST_GREY + index % GREYS for index in indices], abs=2)
    now = time.time_ns()
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps) and now - 30e9 < stamps[0] <= stamps[-1] <= now


def test_the_newest_frame_wins(stream):
    with open_source(f'http://{stream.url}/video', live=LiveOptions()) as source:
        first, second = next(source), next(source)
        # With a queue, each frame would be the one after the frame before, however slowly they are taken.
        for _ in range(600):
            if second.index > first.index + 5:
                break
            time.sleep(0.5)
            first, second = second, next(source)
    assert second.index > first.index + 5
    assert second.stamp_ns > first.stamp_ns


def test_a_password_is_used_and_never_shown(stream):
    stream.secret = True
    with open_source(f'http://{SECRET}{stream.url}/video?token=abc', live=LiveOptions()) as source:
        assert next(source).source == f'http://{USER}:***@{stream.url}/video?token=***'
    with pytest.raises(SourceError) as error:
        open_source(f'http://{USER}:b@d{SECRET}{stream.url}/video', live=LiveOptions())
    assert 'check that 127.0.0.1 is reachable' in str(error.value)
    assert f'{USER}:***@127.0.0.1' in str(error.value) and 'b@d' not in str(error.value)


def test_a_lost_camera_is_opened_again(stream, monkeypatch):
    monkeypatch.setattr(newest_frame, '_FIRST_PAUSE_S', 0.05)
    stream.length = 8
    errors, words = [], []
    options = LiveOptions(tell=words.append)
    with open_source(f'http://{stream.url}/video', on_error=lambda e: errors.append(str(e)), live=options) as source:
        for item in source:
            if item.index > 20:
                break
    assert stream.connections >= 3
    # Later interruptions are counted and told at most once a minute.
    assert errors == [
        f'http://{stream.url}/video: the stream ended after 8 frames: connecting again (Ctrl-C ends it)']
    assert len(words) == 1 and words[0].startswith(f'http://{stream.url}/video: connected again after ')


def test_a_camera_that_is_away_for_a_while(stream, monkeypatch):
    monkeypatch.setattr(newest_frame, '_FIRST_PAUSE_S', 0.05)
    monkeypatch.setattr(newest_frame, '_LONGEST_PAUSE_S', 0.1)
    monkeypatch.setattr(newest_frame, '_WORD_S', 0.2)
    stream.length = 5
    errors, words = [], []

    def tell(text):
        words.append(text)
        if 'no frame for' in text:
            stream.refuse = False

    def failed(error):
        errors.append(str(error))
        stream.refuse = True

    with open_source(f'http://{stream.url}/video', on_error=failed, live=LiveOptions(tell=tell)) as source:
        for item in source:
            if item.index > 6:
                break
    assert 'the stream ended after 5 frames' in errors[0]
    assert words[0].startswith('no frame for ') and 'cannot open it' in words[0]


def test_a_stream_without_a_frame_is_an_error(stream):
    stream.length = 0
    errors = []
    try:
        with open_source(
                f'http://{stream.url}/video', on_error=lambda e: errors.append(str(e)), live=LiveOptions()) as source:
            assert list(source) == []
    except SourceError as error:
        errors.append(str(error))
    assert len(errors) == 1 and 'open' in errors[0]


def test_a_limited_time(stream):
    started = time.monotonic()
    with open_source(f'http://{stream.url}/video', live=LiveOptions(seconds=2.0)) as source:
        # The stream has no end. A busy machine may have few frames in this time.
        assert list(source)
    assert time.monotonic() - started >= 2.0


def test_one_image_of_a_web_server(stream):
    with open_source(f'http://{stream.url}/still.jpg', live=LiveOptions(seconds=30)) as source:
        [found] = source
    assert round(float(found.frame.bgr().mean())) == pytest.approx(77, abs=2)


# The command


def command(*arguments, start=('-m', 'trt_perception.cli.main')):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    return subprocess.Popen(
        [sys.executable, *start, 'predict', *map(str, arguments)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': path})


@runs_a_model
def test_predict_on_a_camera(tmp_path, stream):
    stream.secret = True
    model = color_detector(tmp_path / 'm.onnx')
    process = command(
        model, f'http://{SECRET}{stream.url}/video', '--max-frames', 4, '--json', tmp_path / 'out.jsonl', '--draw',
        tmp_path / 'out')
    out, err = process.communicate(timeout=600)
    assert (process.returncode, without_progress(err)) == (0, '')
    text = (tmp_path / 'out.jsonl').read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert len(records) == 4 and all(record['stamp_ns'] > 1e18 for record in records)
    assert {record['source'] for record in records} == {f'http://{USER}:***@{stream.url}/video'}
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert len(names) == 4 and all(name.startswith(f'{USER}_') and name.endswith('.png') for name in names)
    for shown_text in (out, text, *names):
        assert 'sec' not in shown_text and 'ret' not in shown_text.replace('return', '')


@runs_a_model
@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_camera(tmp_path, stream, number, code):
    process = command(color_detector(tmp_path / 'm.onnx'), f'http://{stream.url}/video')
    assert process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=600)
    assert (process.returncode, len(without_progress(err).splitlines())) == (code, 1)


@runs_a_model
@pytest.mark.parametrize('scheme', ['http', 'rtsp'])
def test_ctrl_c_while_a_host_does_not_answer(tmp_path, scheme):
    """While a library waits, Python handles no signal in that thread. Here it would wait for an hour."""
    waits = (
        'import sys; from trt_perception.sources import capture; capture._TIMEOUT_MS = 3_600_000; '
        'from trt_perception.cli.main import main; sys.exit(main())')
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        silent.settimeout(600)
        process = command(
            color_detector(tmp_path / 'm.onnx'), f'{scheme}://127.0.0.1:{silent.getsockname()[1]}/x',
            start=('-c', waits))
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=600)
    assert (process.returncode, without_progress(err)) == (130, 'trt_perception: interrupted\n')


@runs_a_model
def test_a_camera_that_is_not_there_does_not_end_the_run(tmp_path):
    cv2.imwrite(str(tmp_path / 'p.png'), np.full((8, 8, 3), 99, np.uint8))
    process = command(color_detector(tmp_path / 'm.onnx'), 37, 'rtsp://u:secret@127.0.0.1:1/x', tmp_path / 'p.png')
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1 and len(out.splitlines()) == 1
    first, second = without_progress(err).splitlines()
    assert first.startswith('trt_perception: camera 37: OpenCV ')
    assert second.startswith('trt_perception: rtsp://u:***@127.0.0.1:1/x: OpenCV ')
    assert 'secret' not in err
