# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""No output replaces an input, and no drawing becomes an input: all output options, all ways to name a file."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip('onnx')
pytest.importorskip('cv2')
import cv2
import numpy as np
import onnx
from support.tiny_models import color_detector

from trt_perception.cli.files import OutputError, Outputs, write_report
from trt_perception.cli.growing_file import GrowingFile
from trt_perception.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
runs_a_model = pytest.mark.skipif(find_spec('onnxruntime') is None, reason='needs onnxruntime: make setup')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model, its labels, and a folder with two images, one named like a drawing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    color_detector(tmp_path / 'm.onnx', metadata={})
    (tmp_path / 'names.txt').write_text('red\ngreen\nblue\n')
    (tmp_path / 'in').mkdir()
    for name, value in (('a.png', 10), ('a_000000.png', 200)):
        cv2.imwrite(f'in/{name}', np.full((64, 64, 3), value, np.uint8))
    return tmp_path


def content(folder):
    """{path: (bytes, file number)} of all files."""
    return {path: (path.read_bytes(), path.stat().st_ino) for path in folder.rglob('*') if path.is_file()}


def run(capfd, *arguments):
    """(exit code, the line with the reason)."""
    code = main([str(argument) for argument in arguments])
    lines = capfd.readouterr().err.splitlines()
    return code, lines[-1] if lines else ''


# Drawings


@pytest.mark.parametrize('name', [
    'in', './in', 'in/', 'in/../in', 'link', 'in/sub/..', 'other/../in'])
def test_pictures_are_not_written_into_a_folder_of_sources(capfd, folder, name):
    (folder / 'link').symlink_to('in')
    (folder / 'in' / 'sub').mkdir()
    (folder / 'other').mkdir()
    before = content(folder)
    for sources in (['in'], ['link'], [str(folder / 'in')], ['m.png', 'in'], ['in/a.png', 'in']):
        code, line = run(capfd, 'predict', 'm.onnx', *sources, '--draw', name)
        assert code == 1
        assert line.startswith(f'trt_perception: --draw {Path(name)} is a folder that this command reads')
        assert line.endswith('the results would replace its files or become inputs; choose another folder')
    assert content(folder) == before


def test_pictures_are_not_written_into_a_calibration_folder(capfd, folder):
    code, line = run(
        capfd, 'predict', 'm.onnx', 'in/a.png', '--precision', 'int8', '--calibration', 'in', '--draw', 'in')
    assert (code, '--draw in is a folder that this command reads' in line) == (1, True)


@pytest.mark.parametrize('source', ['bag', 'bag/bag.mcap'])
def test_pictures_are_not_written_into_a_bag(capfd, folder, source):
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import GREY_IMAGE, write_bag

    write_bag(folder / 'bag', {'/image': GREY_IMAGE})
    code, line = run(capfd, 'predict', 'm.onnx', source, '--draw', 'bag')
    assert (code, '--draw bag is a folder that this command reads' in line) == (1, True)


@runs_a_model
@pytest.mark.parametrize('make', [
    lambda: None,
    lambda: Path('in/a_000000.png').rename('in/x.png') and Path('in/a_000000.png').symlink_to('x.png'),
    lambda: Path('in/a_000000.png').rename('x.png') and os.link('x.png', 'in/a_000000.png')])
def test_a_picture_gets_another_name_if_its_own_is_an_input(capfd, folder, make):
    """Beside single images, pictures are allowed."""
    make()
    before = content(folder)
    assert run(capfd, 'predict', 'm.onnx', 'in/a.png', 'in/a_000000.png', '--draw', 'in')[0] == 0
    after = content(folder)
    assert {path: after[path] for path in before} == before
    assert sorted(path.name for path in after.keys() - before.keys()) == ['a_000000_000000.png', 'a_000000_2.png']


@runs_a_model
def test_a_picture_does_not_follow_a_link_to_an_input(capfd, folder):
    (folder / 'out').mkdir()
    (folder / 'out' / 'a_000000.png').symlink_to('../in/a.png')
    os.link('in/a_000000.png', 'out/a_000000_000001.png')
    before = content(folder / 'in')
    assert run(capfd, 'predict', 'm.onnx', 'in', '--draw', 'out')[0] == 0
    assert content(folder / 'in') == before
    assert sorted(path.name for path in (folder / 'out').iterdir()) == [
        'a_000000.png', 'a_000000_000001.png', 'a_000000_000001_2.png', 'a_000000_2.png']


@runs_a_model
def test_pictures_of_names_that_differ_in_case_are_kept_apart(capfd, folder):
    """A file system that ignores case would keep only one of them."""
    (folder / 'b').mkdir()
    shutil.copy('in/a.png', 'b/A.png')
    assert run(capfd, 'predict', 'm.onnx', 'in/a.png', 'b/A.png', '--draw', 'out')[0] == 0
    names = sorted(path.name for path in (folder / 'out').iterdir())
    assert names == ['A_000000_2.png', 'a_000000.png']


@runs_a_model
def test_drawings_of_an_earlier_run_are_replaced(capfd, folder):
    for _ in range(2):
        assert run(capfd, 'predict', 'm.onnx', 'in', '--draw', 'out')[0] == 0
    assert sorted(path.name for path in (folder / 'out').iterdir()) == ['a_000000.png', 'a_000000_000001.png']


# Files


def inputs_of(command):
    """Each file that the command reads."""
    return {
        'predict': ['m.onnx', 'names.txt', 'in/a.png'], 'benchmark': ['m.onnx', 'names.txt', 'in/a.png'],
        'quantize': ['m.onnx', 'names.txt', 'in/a.png']}[command]


WORDS = {
    'predict': ('predict', 'm.onnx', 'in/a.png', '--labels', 'names.txt', '--json'),
    'benchmark': ('benchmark', 'm.onnx', '--image', 'in/a.png', '--labels', 'names.txt', '--frames', '1', '--json'),
    'quantize': ('quantize', 'm.onnx', '--calibration', 'in/a.png', '--labels', 'names.txt', '--json'),
    'quantize --output': ('quantize', 'm.onnx', '--calibration', 'in/a.png', '--labels', 'names.txt', '--output')}


@pytest.mark.parametrize('words', WORDS)
@pytest.mark.parametrize('way', ['name', 'absolute', 'symlink', 'hard link', 'link to a link', 'through a folder'])
def test_no_report_replaces_an_input(capfd, folder, words, way):
    for name in inputs_of(words.split()[0]):
        output = Path(name)
        if way == 'absolute':
            output = folder / name
        elif way == 'symlink':
            output = folder / f'link-{output.name}'
            output.symlink_to(name)
        elif way == 'hard link':
            output = folder / f'hard-{output.name}'
            os.link(name, output)
        elif way == 'link to a link':
            output = folder / f'second-{output.name}'
            Path(f'first-{output.name}').symlink_to(name)
            output.symlink_to(f'first-{output.name}')
        elif way == 'through a folder':
            Path('d').mkdir(exist_ok=True)
            output = Path('d', '..', name)
        before = content(folder)
        code, line = run(capfd, *WORDS[words], output)
        assert code == 1, name
        assert any(reason in line for reason in (
            'also another file of this command', 'another name of a file that'))
        assert content(folder) == before


@pytest.mark.parametrize('name, says', [
    ('in/a.png', 'is in in, which this command reads'), ('in/new.png', 'would become an input'),
    ('in/new.MP4', 'would become an input'), ('in/new.gif', 'would become an input'),
    ('in/notes.txt', 'is in in, which this command reads')])
def test_a_report_in_a_folder_of_sources(capfd, folder, name, says):
    (folder / 'in' / 'notes.txt').write_text('of the user')
    before = content(folder)
    code, line = run(capfd, 'predict', 'm.onnx', 'in', '--json', name)
    assert (code, says in line) == (1, True), line
    assert content(folder) == before


def test_a_report_that_is_a_link_to_an_image_in_the_folder(capfd, folder):
    os.link('in/a.png', 'hard.json')
    (folder / 'soft.json').symlink_to('in/a.png')
    (folder / 'in' / 'linked.png').symlink_to('../target.json')
    (folder / 'target.json').write_bytes((folder / 'in' / 'a.png').read_bytes())
    before = content(folder)
    for name in ('hard.json', 'soft.json', 'target.json'):
        code, line = run(capfd, 'predict', 'm.onnx', 'in', '--json', name)
        assert (code, name in line) == (1, True), line
    assert content(folder) == before


def test_the_weights_beside_a_model_are_not_replaced(capfd, folder):
    model = onnx.load('m.onnx')
    onnx.save(model, 'split.onnx', save_as_external_data=True, location='split.bin', size_threshold=0)
    before = content(folder)
    for words in (('predict', 'split.onnx', 'in', '--json'), ('benchmark', 'split.onnx', '--json')):
        code, line = run(capfd, *words, 'split.bin')
        assert (code, '--json split.bin is also another file of this command' in line) == (1, True)
    assert content(folder) == before


def test_two_outputs_are_two_files(capfd, folder):
    for first, second in (('z.onnx', './z.onnx'), ('Z.onnx', 'z.onnx')):
        code, line = run(
            capfd, 'quantize', 'm.onnx', '--precision', 'fp16', '--output', first, '--json', second)
        assert (code, 'is also another file of this command' in line) == (1, True)
    assert not list(folder.glob('[zZ].onnx'))


@pytest.mark.parametrize('name', ['names.txt', 'in/a.png', 'm.onnx'])
def test_an_engine_replaces_no_input(capfd, folder, name):
    code, line = run(
        capfd, 'build', 'm.onnx', '--labels', 'names.txt', '--calibration', 'in/a.png', '--output', name)
    assert (code, f'--output {name} is also another file of this command' in line) == (1, True)


def test_the_description_of_an_engine_replaces_no_input(capfd, folder):
    Path('e.plan.json').write_text('["red", "green", "blue"]')
    code, line = run(capfd, 'build', 'm.onnx', '--labels', 'e.plan.json', '--output', 'e.plan')
    assert (code, '--output e.plan.json is also another file of this command' in line) == (1, True)
    assert json.loads(Path('e.plan.json').read_text()) == ['red', 'green', 'blue']


@pytest.mark.parametrize('sent', ['bag/bag.mcap', 'bag/metadata.yaml'])
@pytest.mark.parametrize('bag', ['bag', 'bag/bag.mcap'])
def test_the_log_of_a_player_replaces_no_bag(capfd, folder, bag, sent):
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import GREY_IMAGE, write_bag

    write_bag(folder / 'bag', {'/image': GREY_IMAGE})
    before = content(folder / 'bag')
    code, line = run(capfd, 'play', bag, '--sent', sent)
    assert (code, f'--sent {sent} is ' in line) == (1, True)
    assert content(folder / 'bag') == before


@pytest.mark.parametrize('words', [
    ('--video', 'out/annotated.mp4'), ('--labels', 'out/report.txt'), ('--video', 'out/video_bag/video_bag.mcap'),
    ('--model', 'out/node.log'), ('--video', 'hard.mp4')])
def test_the_demo_removes_no_input(capfd, folder, words):
    """It removes its files of an earlier run before it reads anything."""
    pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    (folder / 'out' / 'video_bag').mkdir(parents=True)
    for name in ('annotated.mp4', 'report.txt', 'node.log', 'video_bag/video_bag.mcap'):
        (folder / 'out' / name).write_text(name)
    os.link('out/annotated.mp4', 'hard.mp4')
    before = content(folder)
    code, line = run(capfd, 'demo', '--output', 'out', *words)
    assert (code, 'trt_perception: --output' in line) == (1, True), line
    assert content(folder) == before


# The guard itself


def test_names_that_need_no_file():
    outputs = Outputs('', None, 'rtsp://camera/a', '0', 'none.png')
    outputs.file('--json', None)
    outputs.folder('--draw', None)
    outputs.file('--json', Path('new.json'))
    with pytest.raises(OutputError, match=r'--json NONE\.PNG is also another file of this command \(none\.png\)'):
        outputs.file('--json', Path('NONE.PNG'))
    # A file that exists decides itself whether case matters.
    Path('A.json').touch()
    outputs.file('--json', Path('A.json'))
    if not Path('a.json').exists():
        outputs.file('--sent', Path('a.json'))


def test_a_link_that_leads_to_itself_is_one_line(capfd):
    Path('circle').symlink_to('circle')
    assert main(['predict', 'm.onnx', 'in', '--json', 'circle']) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1


# A full disk. RLIMIT_FSIZE is one for each file: an older one stays, nothing half-written is left.

OLD = 'the older one'
_LIMITED = """
import importlib, resource, sys
from trt_perception.cli.main import main
module, _, name = sys.argv[1].partition(':')
owner = importlib.import_module('trt_perception.cli.' + module)
*outer, name = name.split('.')
for part in outer:
    owner = getattr(owner, part)
write = getattr(owner, name)
def limited(*given):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    return write(*given)
setattr(owner, name, limited)
sys.exit(main(sys.argv[2:]))
"""


def limited(function, *arguments):
    """The command with at most 1000 bytes in each file from the call of `function` on, which writes the outputs."""
    return subprocess.run(
        [sys.executable, '-c', _LIMITED, function, *arguments], capture_output=True, text=True, timeout=600,
        env={**os.environ, 'PYTHONPATH': str(ROOT)})


@runs_a_model
@pytest.mark.parametrize('function, option, name, arguments', [
    ('inspect_look:write_picture', '--picture', 'm.svg', ('inspect', 'm.onnx')),
    ('drawings:Drawings.draw', '--draw', 'out/big_000000.png', ('predict', 'm.onnx', 'big.png')),
    ('predict:_Run._frame', '--json', 'r.json', ('predict', 'm.onnx', *['big.png'] * 9)),
    ('comparison:_write', '--json', 'r.json', (
        'benchmark', 'm.onnx', '--frames', '2', '--size', '8x8', '--against', 'onnxruntime')),
    ('comparison:_write', '--plot', 'r.png', (
        'benchmark', 'm.onnx', '--frames', '2', '--size', '8x8', '--against', 'onnxruntime'))])
def test_on_a_full_disk_the_older_file_stays(folder, function, option, name, arguments):
    Path('out').mkdir()
    cv2.imwrite('big.png', np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    Path(name).write_text(OLD)
    files = content(folder).keys()
    done = limited(function, *arguments, option, 'out' if option == '--draw' else name)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == f'trt_perception: {option} {name}: File too large', done.stderr
    assert Path(name).read_text() == OLD
    assert {path for path in content(folder).keys() - files if 'cache' not in str(path)} == set()


@runs_a_model
@pytest.mark.parametrize('words', [
    ('none.png',), ('in/a.png', '--head', 'yolov5'), ('in/a.png', '--draw', 'names.txt')])
def test_results_that_there_are_not_replace_no_older_file(capfd, folder, words):
    Path('r.json').write_text(OLD)
    assert run(capfd, 'predict', 'm.onnx', *words, '--json', 'r.json')[0] == 1
    assert Path('r.json').read_text() == OLD


def test_an_endless_file_replaces_an_older_one_with_its_first_line(folder, capfd):
    """Other programs read it while it grows, such as the demo that of play --sent."""
    path = folder / 'sent.jsonl'
    for old in (None, OLD):
        with GrowingFile('--sent', path, endless=True) as file:
            assert path.read_text() == (old or '')
            for count, text in enumerate(('a', 'b'), 1):
                file.line(text)
                assert path.read_text() == 'a\nb\n'[:2 * count]
        assert path.read_text() == 'a\nb\n'
        path.write_text(OLD)
    for lines in ((), ('a',)):
        with contextlib.suppress(KeyError), GrowingFile('--sent', path, endless=True) as file:
            for line in lines:
                file.line(line)
            raise KeyError
        assert path.read_text() == (''.join(f'{line}\n' for line in lines) or OLD)
    assert not list(folder.glob('.*'))
    assert capfd.readouterr().err == f'note: --sent {path}: the older file stays, because nothing was written\n'


@runs_a_model
def test_on_a_full_disk_an_older_report_stays_complete(folder):
    report = folder / 'report'
    report.mkdir()
    for name in ('report.md', 'comparison.json', 'comparison.png'):
        (report / name).write_text(OLD)
    done = limited(
        'comparison:_write', 'benchmark', 'm.onnx', '--frames', '2', '--size', '8x8', '--against', 'onnxruntime',
        '--report', 'report')
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(r'trt_perception: --report report/\S+: File too large', done.stderr.splitlines()[-1])
    assert {(report / name).read_text() for name in ('report.md', 'comparison.json', 'comparison.png')} == {OLD}
    assert not list(report.glob('.*'))


@runs_a_model
def test_a_full_disk_is_named_by_the_log_of_a_report(capfd, folder):
    (folder / 'report').mkdir()
    (folder / 'report' / 'log.txt').symlink_to('/dev/full')
    code, line = run(
        capfd, 'benchmark', 'm.onnx', '--frames', '2', '--size', '8x8', '--against', 'onnxruntime', '--report',
        'report')
    assert (code, line) == (1, 'trt_perception: --report report/log.txt: No space left on device')


@runs_a_model
def test_the_files_of_a_report_change_together(capfd, folder):
    """The log too: an older report had the log of a run that failed."""
    words = ('benchmark', 'm.onnx', '--frames', '2', '--size', '8x8', '--against', 'onnxruntime', '--report', 'report')
    assert run(capfd, *words)[0] == 0
    before = content(folder / 'report')
    done = limited('comparison:_write', *words)
    assert done.returncode == 1, done.stderr
    assert content(folder / 'report') == before


def test_a_full_folder_for_temporary_files_is_named(folder):
    done = limited('comparison:store_frames', 'benchmark', 'm.onnx', '--frames', '2', '--against', 'onnxruntime')
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(
        r'trt_perception: \S+\.npy: File too large: free space, or set TMPDIR to a folder with more space',
        done.stderr.splitlines()[-1])


def test_an_output_keeps_its_mode_and_its_link(folder):
    real = folder / 'real.txt'
    real.write_text(OLD)
    real.chmod(0o640)
    (folder / 'link.txt').symlink_to(real)
    write_report('--json', folder / 'link.txt', 'new')
    assert (real.read_text(), real.stat().st_mode & 0o777) == ('new', 0o640)
    assert (folder / 'link.txt').is_symlink()


@pytest.mark.parametrize('arguments', [
    ('compare', 'a.jsonl', 'a.jsonl', '--json'), ('compare', 'a.jsonl', 'a.jsonl', '--html'),
    ('evaluate', '--truth', 'truth.json', 'a.jsonl', '--json'), ('benchmark', 'm.onnx', '--json'),
    ('quantize', 'm.onnx', '--precision', 'fp16', '--json'), ('predict', 'm.onnx', 'in', '--draw')])
def test_standard_output_is_no_name_of_a_file(capfd, folder, arguments):
    """They wrote a file or a folder called -."""
    Path('a.jsonl').write_text(json.dumps({
        'source': 'a.png', 'frame': 0, 'width': 64, 'height': 64, 'detections': [
            {'class_id': 'red', 'score': 0.9, 'bbox': [0, 0, 8, 8]}]}) + '\n')
    before = content(folder)
    code, reason = run(capfd, *arguments, '-')
    assert (code, reason) == (
        1, f'trt_perception: {arguments[-1]} -: this option does not write to standard output; expected a name')
    assert content(folder) == before and not Path('-').exists()
