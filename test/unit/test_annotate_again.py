# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`annotate` after an interruption, a kill or a full disk: what is finished stays, nothing half-written counts."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bags import write_bag
from support.subprocesses import python_environment, without_progress
from support.tiny_models import color_detector
from test_annotate import PHOTOS, images, lines

from trt_perception.annotate import known_files
from trt_perception.annotate.store import Store
from trt_perception.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model and a bag of three images."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    write_bag(Path('bag'), {'/image': list(images('coffee', 3))})
    return tmp_path


def run(capfd, *arguments, formats='json'):
    """(exit code, lines of stdout, lines of stderr)."""
    code = main(['annotate', *map(str, arguments), '--model', 'm.onnx', '--output', 'out', '--formats', formats])
    out, err = capfd.readouterr()
    return code, out.splitlines(), without_progress(err).splitlines()


def identity(path):
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in Path(path).iterdir()}


# Skipping


def test_a_finished_bag_is_skipped_by_its_content(capfd, monkeypatch):
    assert run(capfd, 'bag')[0] == 0
    before = identity('out/bag')
    read = []
    monkeypatch.setattr(known_files, '_sha256', lambda path, digest=known_files._sha256: read.append(path) or digest(
        path))
    code, [line], _ = run(capfd, 'bag')
    assert code == 0 and line.startswith('bag: already annotated, 3 images') and identity('out/bag') == before
    assert read == []  # The file is the same as before, so its content is too.
    shutil.copytree('bag', 'copy')
    code, [line], _ = run(capfd, 'copy')
    assert line.startswith('copy: already annotated') and line.endswith('-> out/bag') and len(read) == 1
    os.utime('bag/bag.mcap')
    assert run(capfd, 'bag')[1][0].startswith('bag: already annotated') and len(read) == 2


def test_another_content_of_the_same_size_and_time_is_not_skipped(capfd):
    assert run(capfd, 'bag')[0] == 0
    file = Path('bag/bag.mcap')
    status, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 3] ^= 255
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    code, [line], _ = run(capfd, 'bag')
    assert not line.startswith('bag: already') and code == 0
    # The first result is not lost.
    assert len(lines('out/bag')) == 3 and len(list(Path('out').glob('bag-*/results.jsonl'))) == 1


def test_other_settings_replace_the_result(capfd, folder):
    assert run(capfd, 'bag')[0] == 0
    first = lines('out/bag')
    assert run(capfd, 'bag', '--score', '0.6')[1][0].startswith('bag: 3 images')
    second = lines('out/bag')
    assert min(d['score'] for line in second for d in line['detections']) >= 0.6
    assert first[0]['run'] != second[0]['run'] and len(first[0]['detections']) > len(second[0]['detections'])
    assert run(capfd, 'bag', '--score', '0.6')[1][0].startswith('bag: already')
    color_detector(folder / 'm.onnx', 96, 64)
    assert run(capfd, 'bag', '--score', '0.6')[1][0].startswith('bag: 3 images')
    assert sorted(path.name for path in Path('out').iterdir()) == ['.annotate.lock', 'bag']


def test_other_calibration_frames_and_another_gate_are_other_settings(capfd):
    frames = Path('frames')
    frames.mkdir()
    for number, name in enumerate(['coffee', 'rocket']):
        shutil.copy(PHOTOS / f'{name}.jpg', frames / f'{number}.jpg')

    def again(*arguments):
        code, out, err = run(capfd, 'bag', '--backend', 'onnxruntime', '--calibration', 'frames', *arguments)
        assert code == 0, err
        return out[0].startswith('bag: already')

    gate = '--min-agreement', '0.5'
    assert not again(*gate) and again(*gate)
    # It was skipped, so nobody noticed a model that is not accurate enough.
    assert not again('--min-agreement', '0.9') and not again(*gate) and again(*gate)
    shutil.copy(PHOTOS / 'chelsea.jpg', frames / '1.jpg')
    assert not again(*gate) and again(*gate)
    (frames / '1.jpg').rename(frames / '2.jpg')
    assert not again(*gate)
    (frames / '2.jpg').unlink()
    assert not again(*gate) and again(*gate)


@pytest.mark.parametrize('damage', [
    lambda: Path('out/bag/results.jsonl').unlink(),
    lambda: Path('out/bag/results.jsonl').write_text('{'),
    lambda: Path('out/bag/annotation.json').write_text('{'),
    lambda: Path('out/bag/annotation.json').write_text('{"files": 3}')])
def test_a_damaged_result_is_not_finished(capfd, damage):
    run(capfd, 'bag')
    damage()
    code, [line], _ = run(capfd, 'bag')
    assert code == 0 and line.startswith('bag: 3 images')
    assert len(lines(line.partition(' -> ')[2])) == 3
    assert run(capfd, 'bag')[1][0].startswith('bag: already annotated')


def test_the_model_is_not_opened_if_nothing_is_left(capfd, monkeypatch):
    run(capfd, 'bag')
    monkeypatch.setattr(
        'trt_perception.cli.annotate.open_pipeline', lambda *arguments, **changes: pytest.fail('opened'))
    assert run(capfd, 'bag', 'bag')[0] == 0


# Interruptions


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, '-m', 'trt_perception.cli.main', 'annotate', *arguments, '--model', 'm.onnx', '--output',
         'out'],
        env=python_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def parts():
    return [path.name for path in Path('out').iterdir() if path.name.endswith('.part')]


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_same_command_goes_on(capfd, number):
    """The first bag is finished, the second is in work."""
    write_bag(Path('long'), {'/image': list(images('rocket', 20)) * 150})
    process = start('bag', 'long')
    assert process.stdout.readline().startswith('bag: 3 images')
    # Its files, not the folder alone: a signal that comes while the folder is made leaves it to the next run.
    while not [path for path in Path('out').glob('.long.*/*') if path.name != '.part.lock']:
        assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), err
    assert 'Traceback' not in err and out == ''
    assert not Path('out/long').exists()
    assert len(parts()) == (number == signal.SIGKILL)
    before = identity('out/bag')
    shutil.rmtree('long')
    write_bag(Path('long'), {'/image': list(images('rocket', 2))})
    code, [first, second], _ = run(capfd, 'bag', 'long', formats='bag,json')
    assert code == 0 and first.startswith('bag: already annotated') and second.startswith('long: 2 images')
    assert identity('out/bag') == before and parts() == []


@pytest.mark.parametrize('options, limit, reason', [
    (['json'], 100_000, 'File too large'), (['bag', '--merge'], 2_000_000, 'File too large'),
    (['video'], 60_000, 'image.webm: 100 frames were written, but NUMBER are in the file: check the space left')])
def test_a_full_disk_is_one_line(capfd, options, limit, reason):
    """A limit for the size of files stands for it: the same call fails, with another reason."""
    write_bag(Path('long'), {'/image': list(images('rocket', 20)) * (20 if options == ['json'] else 5)})
    process = start(
        'bag', 'long', '--score', '0.2', '--formats', *options,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1
    assert re.sub(r'but \d+ are', 'but NUMBER are', without_progress(err)) == (
        f'trt_perception: --output out: cannot be written: {reason}; finished bags are kept, and the same command '
        'continues with the others\n')
    assert out.startswith('bag: 3 images') and len(out.splitlines()) == 1
    assert not Path('out/long').exists() and parts() == []


def test_one_process_writes_at_a_time(capfd):
    with Store.opened(Path('out')):
        code, _, [error] = run(capfd, 'bag')
    assert code == 1 and 'another process writes into it' in error
    assert run(capfd, 'bag')[0] == 0


def test_no_thread_is_left(capfd):
    before = threading.active_count()
    assert run(capfd, 'bag')[0] == 0
    assert threading.active_count() <= before
    assert json.loads(Path('out/bag/annotation.json').read_text())['counts']['images'] == 3
