# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Crafted files in real processes: one line that names the file, in a short time, and no unexpected error."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('rosbags.rosbag2')
from support.bags import grey_image, write_bag
from support.picture_files import animated_gif, animated_png, tiff
from support.tiny_models import color_detector

import trt_perception

if find_spec('onnxruntime') is None:
    pytest.skip('needs onnxruntime: make setup', allow_module_level=True)
ROOT = Path(trt_perception.__file__).resolve().parents[1]

HEAD = (
    'rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: mcap\n  duration: {nanoseconds: 1}\n'
    '  starting_time: {nanoseconds_since_epoch: 1}\n  message_count: 1\n  relative_file_paths: [bag.mcap]\n'
    '  topics_with_message_count: ')


def nested(count, depth, form):
    """Return YAML whose last value has count ** depth parts, through aliases."""
    lines = [f'a0: &a0 {form.format("x: 1")}\n']
    for level in range(1, depth):
        names = ', '.join([f'*a{level - 1}'] * count)
        lines.append(f'a{level}: &a{level} ' + (f'{{<<: [{names}]}}\n' if '{{' in form else f'[{names}]\n'))
    return ''.join(lines)


METADATA = {
    'aliases': (nested(12, 9, '[{}]') + HEAD + '*a8\n', 'topics_with_message_count[0] is a list, expected a mapping'),
    # New versions of PyYAML use each pair once, so nothing is wrong; older ones copy it.
    'merge keys': (HEAD + '[]\n' + nested(12, 9, '{{{}}}'), ''),
    'deep': (HEAD + '[' * 5000, 'it is nested too deeply'),
    'a long number': (HEAD + '9' * 100_000, 'a number with 100000 digits'),
    'a tag': (HEAD + '!!python/object:os.system x\n', 'could not determine a constructor'),
    'a wrong tag': (HEAD + '!!timestamp x\n', 'a value does not fit its tag'),
    'itself': (HEAD + '&x [*x]\n', 'topics_with_message_count[0] is a list'),
    'a key': (HEAD + '{? [1, 2] : 3}\n', 'unhashable key'),
    'not UTF-8': (HEAD.encode() + b'\xff\xfe\n', "'utf-8' codec can't decode"),
    'control characters': (HEAD + '"\x1b[31m"\n', 'special characters are not allowed'),
    'very large': (HEAD + '[]\n# ' + 40_000_000 * 'x', 'expected at most 32.0 MB, found more')}


def run(*arguments):
    """Return the lines of stderr."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    done = subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', *map(str, arguments)], capture_output=True, timeout=600,
        env={**os.environ, 'PYTHONPATH': path})
    assert done.returncode in (0, 1), done.stderr
    lines = done.stderr.decode().splitlines()
    for line in lines:
        assert line.isprintable()
        assert 'Traceback' not in line and 'unexpected' not in line
    return lines


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return color_detector(tmp_path_factory.mktemp('model') / 'm.onnx')


@pytest.fixture(scope='module')
def picture(model):
    path = model.parent / 'p.png'
    cv2.imwrite(str(path), np.full((64, 64, 3), 90, np.uint8))
    return path


@pytest.mark.parametrize('case', METADATA)
def test_metadata_of_a_bag(tmp_path, model, case):
    text, says = METADATA[case]
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image': [grey_image(99, 1, 1)]})
    (bag / 'metadata.yaml').write_bytes(text.encode() if isinstance(text, str) else text)
    [line] = run('predict', model, bag)
    assert line.startswith(f'trt_perception: {bag}: {"metadata.yaml " if says else ""}')
    assert says in line and len(line) < 500 + 3 * len(str(bag))


def test_names_of_topics(tmp_path, model):
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image': [grey_image(99, 1, 1)]})
    text = (bag / 'metadata.yaml').read_text()
    text = text.replace('/image', '"/a\\e[31m\\nb"').replace('message_count: 1', 'message_count: 0')
    (bag / 'metadata.yaml').write_text(text)
    [line] = run('predict', model, bag)
    assert line == f'trt_perception: {bag}: the image topic /a\\x1b[31m b has no messages'


@pytest.mark.parametrize('imgsz', ['[' * 100_000, '[99999999999999999999, 1]', '9' * 100_000, '[-1, 3]', '{"a": 1}'])
def test_metadata_of_a_model(tmp_path, imgsz):
    path = color_detector(tmp_path / 'm.onnx', metadata={
        'names': "{0: 'a', 1: 'b', 2: 'c'}", 'imgsz': imgsz, 'stride': '[' * 10_000})
    assert len(run('inspect', path)) <= 1


def damaged(data, random):
    """Return the data with a few random changes: bytes, numbers, parts that are missing or doubled."""
    data = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5])):
        at = int(random.integers(len(data)))
        change = int(random.integers(5))
        if change == 0:
            data[at] = random.integers(256)
        elif change == 1:
            del data[at:at + int(random.integers(1, 64))]
        elif change == 2:
            data[at:at + 4] = int(random.choice([0, 1, 2**31 - 1, 2**32 - 1])).to_bytes(4, 'little')
        elif change == 3:
            data[at:at] = data[at // 2:at // 2 + 50]
        else:
            del data[max(at, 16):]
    return bytes(data)


@pytest.mark.parametrize('kind', ['mcap', 'db3', 'gif', 'png', 'tif', 'avi'])
def test_random_damage_never_ends_the_run_of_the_next_source(tmp_path, model, picture, kind):
    grey = [np.full((24, 32), value, np.uint8) for value in (60, 80, 100)]
    if kind in ('mcap', 'db3'):
        write_bag(tmp_path / 'bag', {'/image': [grey_image(99, n, n) for n in range(1, 5)]},
                  'mcap' if kind == 'mcap' else 'sqlite3')
        whole = (tmp_path / 'bag' / f'bag.{kind}').read_bytes()
    elif kind == 'avi':
        writer = cv2.VideoWriter(str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
        for value in range(90, 96):
            writer.write(np.full((48, 64, 3), value, np.uint8))
        writer.release()
        whole = (tmp_path / 'v.avi').read_bytes()
    else:
        whole = {'gif': lambda: animated_gif(grey), 'tif': lambda: tiff(grey),
                 'png': lambda: animated_png([np.repeat(page[..., None], 3, axis=2) for page in grey])}[kind]()
    random = np.random.default_rng(len(whole))
    paths = []
    for number in range(25):
        paths.append(tmp_path / f'{number}.{kind}')
        paths[-1].write_bytes(damaged(whole, random))
    out = tmp_path / 'out.jsonl'
    # libpng and libjpeg print lines of their own.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    done = subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', 'predict', str(model), *map(str, paths), str(picture),
         '--json', str(out)], capture_output=True, timeout=600, env={**os.environ, 'PYTHONPATH': path})
    errors = done.stderr.decode(errors='replace')
    assert done.returncode in (0, 1) and 'Traceback' not in errors and 'unexpected' not in errors, errors
    assert out.read_text().splitlines()[-1].startswith(f'{{"source": "{picture}"')
