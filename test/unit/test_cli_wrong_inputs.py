# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Typical mistakes for each subcommand: one clear line, exit code 1 or 2, and no file is damaged."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('onnx')
pytest.importorskip('cv2')
pytest.importorskip('onnxruntime')
pytest.importorskip('yaml')
import cv2
import numpy as np
from support.subprocesses import without_progress
from support.tiny_models import color_detector, dynamic_detector

from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache
from trt_perception.cli.main import main
from trt_perception.demo.environment import free_domain_id
from trt_perception.image.frame import Frame
from trt_perception.sources.bag_writer import write_video_bag
from trt_perception.sources.source import SourceFrame

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model, a picture, a folder, an empty file, a text file and a separate cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    color_detector(tmp_path / 'm.onnx')
    cv2.imwrite('p.png', np.zeros((64, 64, 3), np.uint8))
    (tmp_path / 'd').mkdir()
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'text.txt').write_text('hi\n')
    return tmp_path


def run(capfd, *arguments):
    """(exit code, the line with the reason)."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        code = exit_.code
    lines = without_progress(capfd.readouterr().err).splitlines()
    assert code in (1, 2) and len(lines) == 1, lines
    if code == 2:
        assert lines[0].endswith(' --help)') and '(see trt_perception' in lines[0]
    return code, lines[0]


@pytest.mark.parametrize('arguments, code, message', [
    (('fetch', ''), 1, "there is no '' in the catalogue: expected one of yolov3-tiny"),
    (('fetch', '../../etc/passwd'), 1, "there is no '../../etc/passwd' in the catalogue"),
    (('fetch', 'yolov3-tiny', '--list'), 2, '--list shows the whole catalogue: expected no NAME with it'),
    (('fetch', 'yolov3-tiny', '--size', '33'), 2, '--size is 33, expected a multiple of 32'),
    (('fetch', 'yolov3-tiny', '--size', 'big'), 2, 'argument --size: big: expected a whole number above 0'),
    (('fetch', 'yolov3-tiny', '--from', 'text.txt'), 1, 'text.txt'),

    (('inspect', 'd'), 1, "model 'd': it is a folder; expected an ONNX file"),
    (('inspect', 'p.png'), 1, 'p.png cannot be read as ONNX'),
    (('inspect', 'm.onnx', '--labels', 'p.png'), 1, 'labels file p.png: expected .txt (one name per line), .json'),
    (('inspect', 'm.onnx', '--labels', 'd'), 1, 'labels file d'),
    (('inspect', 'm.onnx', '--input-size', '32', '32'), 1, 'has the fixed input size [64, 64]'),
    (('inspect', 'm.onnx', '--head', 'end_to_end'), 1, "head is set to 'end_to_end'"),

    (('predict', 'm.onnx', 'd'), 1, 'd: no images in this folder, and no videos (it is empty); not a rosbag2'),
    (('predict', 'm.onnx', 'p.png', '--json', 'p.png'), 1, '--json p.png is also another file of this command'),
    (('predict', 'm.onnx', 'p.png', '--json', 'm.onnx'), 1, '--json m.onnx is also another file of this command'),
    (('benchmark', 'm.onnx', '--image', 'p.png', '--json', 'p.png'), 1,
     '--json p.png is also another file of this command'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--json', 'm.onnx'), 1, '--json m.onnx is also another file of'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--output', 'z.onnx', '--json', './z.onnx'), 1,
     '--json z.onnx is also another file of this command'),
    (('predict', 'm.onnx', '.', '--json', 'p.png'), 1, '--json p.png is in ., which this command reads: choose'),
    (('benchmark', 'm.onnx', '--precision', 'int8', '--calibration', 'p.png', '--json', 'p.png'), 1,
     '--json p.png is also another file of'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--half-rest'), 1, '--half-rest needs --precision int8, found'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--keep-float', 'a'), 1, "m.onnx has no node 'a': expected names"),
    (('predict', 'm.onnx', 'empty.png'), 1, 'empty.png: not an image that OpenCV reads, or damaged (0 bytes)'),
    (('predict', 'pipe.onnx', 'p.png'), 1, "model 'pipe.onnx': it is a pipe; expected an ONNX file"),
    (('predict', 'm.onnx', 'pipe.jpg'), 1, 'pipe.jpg: a pipe; expected an image, a folder, a video or a bag'),
    (('predict', 'm.onnx', 'pipe.mp4'), 1, 'pipe.mp4: a pipe; expected an image'),
    (('predict', 'm.onnx', 'pipe.mcap'), 1, 'pipe.mcap: a pipe; expected an image'),
    (('predict', 'm.onnx', 'p.png', '--labels', 'pipe.txt'), 1, 'labels file pipe.txt: expected a file, found a pipe'),
    (('predict', 'm.onnx', 'p.png', '--threads', '100000'), 2, 'argument --threads: 100000: expected a whole number'),
    (('predict', 'm.onnx', 'p.png', '--topic', '/x'), 1,
     "p.png: not a bag, so it has no topic '/x': give a bag, or no topic"),
    (('predict', 'm.onnx', 'p.png', '--precision', 'int8', '--calibration', 'none'), 1, 'none: no such file or folder'),
    (('predict', 'm.onnx', 'p.png', '--tracking-buffer', '2'), 1,
     '--tracking-buffer does nothing without --tracking: add --tracking, or leave --tracking-buffer out'),
    (('annotate', 'd', '--model', 'm.onnx', '--output', 'out', '--tracking-low-score', '0.2'), 1,
     '--tracking-low-score does nothing without --tracking: add --tracking, or leave --tracking-low-score out'),
    (('predict', 'm.onnx', 'p.png', '--duration', '3'), 1,
     '--duration does nothing without a camera or a stream: add a camera or a stream, or leave --duration out'),
    (('predict', 'm.onnx', 'p.png', '--compare', 'a.npz', '--max-frames', '3'), 1,
     '--compare looks at one image and prints what differs: leave --max-frames out'),
    (('predict', 'm.onnx', 'p.png', '--calibration-samples', '9'), 1,
     '--calibration-samples does nothing without --calibration: add'),
    (('build', 'm.onnx', '--output', 'x', '--method', 'mse'), 1, '--method does nothing without --calibration: add'),
    (('annotate', 'd', '--model', 'm.onnx', '--output', 'out', '--formats', 'json', '--no-image-annotations'), 1,
     '--no-image-annotations does nothing without the format bag: add the format bag, or leave'),
    (('inspect', 'm.onnx', '--port', '8080'), 1, '--port does nothing without --view: add --view, or leave --port out'),
    (('inspect', 'x.plan', '--labels', 'text.txt'), 1, '--labels is for a model, found the engine x.plan'),
    (('inspect', 'x.plan', '--input-size', '64', '64'), 1, '--input-size is for a model, found the engine x.plan'),
    (('inspect', 'x.plan', '--backend', 'tensorrt'), 1, '--backend is for a model, found the engine x.plan'),
    (('inspect', 'x.plan', '--fusion'), 1, '--fusion shows an ONNX file, found the engine x.plan'),
    (('benchmark', 'm.onnx', '--ros-seconds', '3'), 1, '--ros-seconds does nothing without --ros: add --ros, or'),
    (('compare', 'a.jsonl', 'b.jsonl', '--pictures', '3'), 1, '--pictures does nothing without --html or --json: add'),
    (('top', '--wait', '3'), 1, '--wait does nothing without --once: add --once, or leave --wait out'),
    (('top', '--once', '--every', '3'), 2, 'argument --every: not allowed with argument --once'),
    (('echo', '/detections', '--once', '--count', '2'), 2, 'argument --count: not allowed with argument --once'),
    (('predict', 'm.onnx', 'p.png', '--draw', 'text.txt'), 1, '--draw text.txt: it is a file; expected a folder'),

    (('quantize', 'm.onnx', '--precision', 'fp16', '--output', 'd'), 1, '--output d: it is a folder; expected'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--output', 'none/x.onnx'), 1, 'none: create it first'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--output', 'pipe'), 1, '--output pipe: it is not a regular file'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--output', ''), 2,
     'argument --output: expected the name of a file, found an empty text'),
    (('quantize', 'm.onnx', '--calibration', 'd'), 1, 'd: no images in this folder'),
    (('quantize', 'm.onnx', '--calibration', 'empty.png'), 1, 'found no readable image: empty.png: not an image'),
    (('quantize', 'm.onnx', '--precision', 'fp16', '--json', 'd'), 1, '--json d: it is a folder'),

    (('build', 'm.onnx', '--output', ''), 2,
     'argument --output: expected the name of a file, found an empty text'),
    (('build', 'm.onnx', '--output', 'm.onnx'), 1, '--output m.onnx is also another file of this command: choose'),
    (('build', 'm.onnx', '--output', 'pipe'), 1, '--output pipe: it is not a regular file'),
    (('build', 'm.onnx', '--output', 'x', '--dla-core', '-5'), 2, 'argument --dla-core: -5: expected a whole number'),
    (('build', 'm.onnx', '--output', 'x', '--batch', '1', 'two', '3'), 2, 'argument --batch: two: expected a whole'),
    (('build', 'm.onnx', '--workspace-mib', '9' * 20), 2, 'expected a whole number from 0 to 1048576'),
    (('build', 'x.plan', '--output', 'y.plan'), 1, 'x.plan'),

    (('cache',), 2, 'the following arguments are required: ACTION'),
    (('cache', 'clear'), 2, "argument ACTION: invalid choice: 'clear'"),
    (('cache', 'prune', '--unused-for', '1e400'), 2, 'argument --unused-for: 1e400: expected a number, 0 or more'),
    (('cache', 'prune', '--all', '--unused-for', '30'), 2, 'argument --unused-for: not allowed with argument --all'),
    (('export', 'resnet18', '--list'), 1, '--list prints all names: expected no NAME with it'),
    (('cache', 'list', 'all'), 2, 'unrecognized arguments: all'),

    (('benchmark', 'm.onnx', '--image', 'd'), 1, 'd: no images in this folder'),
    (('benchmark', 'm.onnx', '--image', 'text.txt'), 1, 'text.txt: not an image, video or bag that can be read'),
    (('benchmark', 'm.onnx', '--size', '100'), 2, 'argument --size: 100: expected WIDTHxHEIGHT'),
    (('benchmark', 'm.onnx', '--json', 'd'), 1, '--json d: it is a folder'),
    (('benchmark', 'm.onnx', '--json', 'none/x.json'), 1, 'none: create it first'),

    (('play', 'none'), 1, 'none: no such file or folder'),
    (('play', 'd'), 1, 'd: not a rosbag2'),
    (('play', 'pipe.mcap'), 1, 'pipe.mcap: a pipe; expected a rosbag2'),
    (('play', 'p.png'), 1, 'p.png: not a rosbag2'),
    (('play', 'd', '--wait', 'nan'), 2, 'argument --wait: nan: expected a number, 0 or more'),
    (('play', 'd', '--rate', 'fast'), 2, 'argument --rate: fast: expected a number above 0'),

    (('demo', '--output', ''), 2, 'argument --output: expected the name of a folder'),
    (('demo', '--domain-id', 'x'), 2, 'argument --domain-id: x: expected a whole number from 0 to 232'),
    (('demo', '--seconds', 'nan'), 2, 'argument --seconds: nan: expected a number, 0 or more'),
    (('demo', '--rate', '0'), 2, 'argument --rate: 0: expected a number above 0'),
])
def test_one_line_says_what_is_wrong(capfd, folder, arguments, code, message):
    for suffix in ('', '.onnx', '.jpg', '.mp4', '.mcap', '.txt'):
        os.mkfifo(f'pipe{suffix}')
    before = {path.name: path.lstat().st_mode for path in folder.iterdir()}
    content = (folder / 'm.onnx').read_bytes()
    found, line = run(capfd, *arguments)
    assert found == code
    assert message in line
    assert (folder / 'm.onnx').read_bytes() == content
    after = {path.name: path.lstat().st_mode for path in folder.iterdir() if path.name != 'cache'}
    assert after == before


def test_a_full_disk_is_one_line_that_names_the_file(capfd):
    if not Path('/dev/full').is_char_device():
        pytest.skip('there is no /dev/full')
    for arguments in (('predict', 'm.onnx', 'p.png', '--json', '/dev/full'),
                      ('benchmark', 'm.onnx', '--frames', '1', '--size', '8x8', '--json', '/dev/full')):
        try:
            code = main(list(arguments))
        finally:
            errors = capfd.readouterr().err.splitlines()
        assert code == 1
        assert errors[-1] == 'trt_perception: --json /dev/full: No space left on device'


def test_more_memory_than_there_is_is_one_line(capfd, tmp_path):
    dynamic_detector(tmp_path / 'open.onnx')
    # More bytes than the address space: refused at once on every machine.
    code, line = run(capfd, 'predict', 'open.onnx', 'p.png', '--input-size', '100000000', '100000000')
    assert code == 1
    assert line.startswith('trt_perception: out of memory: ')


def test_what_is_not_a_file_in_the_cache_is_told_and_not_opened(capfd):
    root = EngineCache().root
    a, b, d = (letter * 32 for letter in 'abd')
    for name in (f'{a}.plan', f'{b}.json', 'c.timings'):
        (root / name).mkdir(parents=True)
    (root / f'{a}.plan' / 'note').touch()
    os.mkfifo(root / f'{d}.json')
    assert main(['cache', 'list']) == 0
    out = capfd.readouterr().out
    assert f'{b}.json is not a regular file' in out
    assert f'{d}.json is not a regular file' in out
    assert 'and 0 timing caches' in out
    code, line = run(capfd, 'cache', 'prune')
    assert code == 1
    assert f'{a}.plan cannot be removed (Directory not empty): remove it yourself' in line
    # The others were.
    assert sorted(path.name for path in root.iterdir() if path.suffix != '.lock') == [f'{a}.plan', 'c.timings']


# -- with ROS

@pytest.fixture
def bag(folder):
    pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    pytest.importorskip('rosbags', reason='needs rosbags: make setup')
    frames = (
        SourceFrame('made', index, Frame.from_bgr(np.zeros((8, 8, 3), np.uint8)), None) for index in range(2))
    write_video_bag(frames, folder / 'bag', fps=10)
    return folder / 'bag'


@pytest.mark.parametrize('arguments, message', [
    (('--to', 'a b'), "--to 'a b': Invalid topic name: topic name must not contain characters other than"),
    (('--to', ''), "--to '': Invalid topic name: topic name must not be empty string; expected a name such as"),
    (('--to', '/a//b'), "--to '/a//b': Invalid topic name"),
    (('--sent', 'd'), '--sent d: it is a folder; expected the name of a file to write'),
    (('--topic', '/none'), "no image topic '/none' in this bag; it has /image")])
def test_play(bag, monkeypatch, arguments, message):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain_id()))
    monkeypatch.setenv('PYTHONPATH', str(ROOT), prepend=os.pathsep)
    # A separate process: other tests in this process may have started ROS, which is possible only once.
    done = subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', 'play', str(bag), '--wait', '0', *arguments],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize('domain', ['999', 'abc', '-1', '1.5'])
def test_a_domain_that_is_none(capfd, bag, monkeypatch, domain):
    monkeypatch.setenv('ROS_DOMAIN_ID', domain)
    code, line = run(capfd, 'play', bag, '--wait', '0')
    assert (code, line) == (1, f"trt_perception: ROS_DOMAIN_ID is '{domain}': expected a number from 0 to 232")


@pytest.mark.parametrize('path', [b'\xff.onnx', b'f\xff/m.onnx'])
@pytest.mark.parametrize('words, reader', [
    (('predict', 'p.png'), 'ONNX Runtime'), (('benchmark',), 'ONNX Runtime'),
    (('build', '--output', 'x', '--compute-capability', '8.6'), 'TensorRT')])
def test_a_path_that_is_not_utf8(folder, capfd, words, reader, path):
    if reader == 'TensorRT':
        pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed')
    model = os.fsdecode(path)
    try:
        Path(model).parent.mkdir(exist_ok=True)
        shutil.copy('m.onnx', model)
    except OSError:
        pytest.skip('this file system takes UTF-8 only')
    name, *rest = words
    code, line = run(capfd, name, model, *rest)
    assert code == 1
    shown = model.encode('ascii', 'backslashreplace').decode()
    assert f'{shown}: this path is not UTF-8, but {reader} needs UTF-8' in line
    assert not Path('x').exists()


def test_a_name_with_a_newline_breaks_no_line(folder, capfd):
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed')
    shutil.copy('m.onnx', 'a\nb.onnx')
    shutil.copy('p.png', 'p\nq.png')

    def lines(*words):
        assert main(list(words)) == 0
        out = capfd.readouterr().out.splitlines()
        assert [line for line in out if line.startswith(('b.onnx', 'q.p', 'd.plan'))] == []
        return out

    built = lines('build', 'a\nb.onnx', '--output', 'c\nd.plan', '--compute-capability', '8.6')
    assert built[:2] == ['c\\nd.plan', '  model:     a\\nb.onnx']
    assert 'model:       a\\nb.onnx' in lines('inspect', 'c\nd.plan')
    assert lines('inspect', 'a\nb.onnx')[0] == 'file:           a\\nb.onnx'
    assert lines('benchmark', 'a\nb.onnx', '--frames', '1')[0].startswith('a\\nb.onnx [1, 3, ')
    assert lines('predict', 'a\nb.onnx', 'p\nq.png')[0].startswith('p\\nq.png 0: ')
    assert lines('quantize', 'a\nb.onnx', '--precision', 'fp16')[0] == 'a\\nb-fp16.onnx: fp16'
