# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""annotate with bags and results in object storage, against moto's S3 server in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
pytest.importorskip('s3fs', reason='needs s3fs: pip install fsspec s3fs')
pytest.importorskip('moto.server', reason="needs moto's S3 server: pip install 'moto[server]'")
from support.bags import write_bag
from support.subprocesses import python_environment
from support.tiny_models import color_detector
from test_annotate import images

from trt_perception.cli.main import main


@pytest.fixture(scope='module')
def server():
    """The URL of an S3 server."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        port = found.getsockname()[1]
    with subprocess.Popen(
            [sys.executable, '-m', 'moto.server', '-H', '127.0.0.1', '-p', str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while True:
            assert process.poll() is None
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f'http://127.0.0.1:{port}'
        process.kill()


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """The file system of an empty bucket with two bags; the working folder has a model and the same bags."""
    import s3fs

    for name, value in {
            'AWS_ENDPOINT_URL': server, 'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test',
            'AWS_DEFAULT_REGION': 'us-east-1'}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TMPDIR', str(tmp_path / 'tmp'))
    monkeypatch.setattr('tempfile.tempdir', None)
    (tmp_path / 'tmp').mkdir()
    color_detector(tmp_path / 'm.onnx')
    write_bag(Path('day1'), {'/image': list(images('coffee', 6))})
    write_bag(Path('day2'), {'/image': list(images('rocket', 4))})
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir('robots')
    system.put('day1', 'robots/in/day1', recursive=True)
    system.put('day2/day2.mcap', 'robots/in/day2.mcap')
    yield system
    system.rm('robots', recursive=True)


def run(capfd, *arguments):
    code = main(['annotate', *arguments, '--model', 'm.onnx'])
    out, err = capfd.readouterr()
    return code, out.splitlines(), [line for line in err.splitlines() if line.startswith('trt_perception:')]


def content(system, folder):
    return {path: system.cat_file(path) for path in system.find(folder)}


def test_results_are_those_of_local_bags(bucket, capfd):
    code, out, errors = run(capfd, 's3://robots/in/day1', 's3://robots/in/day2.mcap', '--output', 's3://robots/out')
    assert (code, errors) == (0, [])
    assert [line.partition(',')[0] for line in out] == [
        's3://robots/in/day1: 6 images', 's3://robots/in/day2.mcap: 4 images']
    assert run(capfd, 'day1', 'day2', '--output', 'out')[0] == 0
    for name, source in (('day1', 's3://robots/in/day1'), ('day2', 's3://robots/in/day2.mcap')):
        local = Path('out', name, 'results.jsonl').read_text().replace(f'"source": "{name}"', f'"source": "{source}"')
        assert bucket.cat_file(f'robots/out/{name}/results.jsonl').decode() == local
        record = json.loads(bucket.cat_file(f'robots/out/{name}/annotation.json'))
        expected = json.loads(Path('out', name, 'annotation.json').read_text())
        assert record['bag'] == source and (record['content'], record['run']) == (expected['content'], expected['run'])
        assert {entry['path']: entry['sha256'] for entry in record['files']}[
            source if name == 'day2' else f'{source}/day1.mcap'] == expected['files'][0]['sha256']
        for output, size in record['outputs'].items():
            assert bucket.size(f'robots/out/{name}/{output}') == size
    assert list(Path('tmp').iterdir()) == []


def test_the_same_command_skips_what_is_complete(bucket, capfd):
    arguments = ('s3://robots/in/day1', 's3://robots/in/day2.mcap', '--output', 's3://robots/out', '--formats', 'json')
    run(capfd, *arguments)
    before = content(bucket, 'robots/out')
    assert all('already annotated' in line for line in run(capfd, *arguments)[1])
    assert content(bucket, 'robots/out') == before
    # Without the record, or with an output that is missing, it is not complete; nor with other settings or content.
    bucket.rm_file('robots/out/day1/annotation.json')
    bucket.rm_file('robots/out/day2/results.jsonl')
    assert not any('already' in line for line in run(capfd, *arguments)[1])
    assert content(bucket, 'robots/out') == before
    assert not any('already' in line for line in run(capfd, *arguments, '--score', '0.7')[1])
    run(capfd, *arguments)
    bucket.put('day2/day2.mcap', 'robots/in/day1/day1.mcap')
    _, [second, first], _ = run(capfd, *arguments)
    assert 'day1: 4 images' in first and 'day2.mcap: already annotated' in second


def test_old_outputs_of_other_formats_are_removed(bucket, capfd):
    run(capfd, 's3://robots/in/day1', '--output', 's3://robots/out')
    run(capfd, 's3://robots/in/day1', '--output', 's3://robots/out', '--formats', 'json')
    assert sorted(path.rpartition('/')[2] for path in bucket.find('robots/out')) == ['annotation.json', 'results.jsonl']


def test_local_bags_and_results_in_s3_and_the_other_way(bucket, capfd):
    assert run(capfd, 'day1', '--output', 's3://robots/out')[0] == 0
    assert json.loads(bucket.cat_file('robots/out/day1/annotation.json'))['bag'] == 'day1'
    assert run(capfd, 's3://robots/in/day1', '--output', 'here')[0] == 0
    assert json.loads(Path('here/day1/annotation.json').read_text())['counts']['images'] == 6


def test_with_ray(bucket, capfd, monkeypatch):
    pytest.importorskip('ray', reason='needs Ray: pip install ray')
    # The paths of its sockets may have 107 bytes.
    monkeypatch.setenv('RAY_TMPDIR', '/tmp')
    run(capfd, 's3://robots/in/day1', '--output', 's3://robots/one', '--threads', '1')
    code, out, errors = run(
        capfd, 's3://robots/in/day1', 's3://robots/in/day2.mcap', '--output', 's3://robots/out', '--threads', '1',
        '--ray', '--ray-workers', '2')
    assert (code, errors) == (0, []) and '2 bags (0 already annotated, 0 not annotated), 10 images' in out[2]
    assert {path.replace('robots/one', 'robots/out'): data for path, data in content(bucket, 'robots/one').items()} == (
        content(bucket, 'robots/out/day1'))


def test_errors_are_one_line(bucket, capfd, monkeypatch):
    code, out, errors = run(capfd, 's3://robots/in/none', 's3://robots/in/day1', '--output', 's3://robots/out')
    assert code == 1 and errors == ['trt_perception: s3://robots/in/none: no such file or folder']
    assert out[0] == 's3://robots/in/none: not annotated' and '6 images' in out[1]
    bucket.pipe_file('robots/in/bad.mcap', b'no bag')
    code, out, errors = run(capfd, 's3://robots/in/bad.mcap', '--output', 's3://robots/out')
    assert code == 1 and len(errors) == 1 and errors[0].startswith('trt_perception: s3://robots/in/bad.mcap: ')
    code, out, errors = run(capfd, 's3://robots/in/day1', '--output', 's3://robots/in/day1/out')
    assert code == 1 and 'is in the bag' in errors[0]
    code, out, errors = run(capfd, 's3://robots/in/day1', '--output', 's3://nowhere/out')
    assert code == 1 and len(errors) == 1 and '--output s3://nowhere/out: cannot be used: ' in errors[0]


def test_a_kill_leaves_nothing_that_counts_as_complete(bucket, capfd):
    """Killed while it uploads: what is there has no record, and the same command does the bag again."""
    arguments = ['s3://robots/in/day1', '--output', 's3://robots/out']
    process = subprocess.Popen(
        [sys.executable, '-m', 'trt_perception.cli.main', 'annotate', *arguments, '--model', 'm.onnx'],
        env=python_environment() | {name: os.environ[name] for name in os.environ if name.startswith(('AWS', 'TMP'))},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not bucket.find('robots/out', refresh=True):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=600)
    assert 'already' not in run(capfd, *arguments)[1][0] or bucket.exists('robots/out/day1/annotation.json')
    assert 'already annotated' in run(capfd, *arguments)[1][0]
    assert list(Path('tmp').iterdir()) == []
