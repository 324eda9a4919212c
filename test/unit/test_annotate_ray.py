# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""annotate --ray on a cluster of several nodes, as processes of this machine."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
pytest.importorskip('ray', reason='needs Ray: pip install ray')
from support.bags import write_bag
from support.precision_models import color_folder, conv_detector
from support.shared_build import BUILDS, BUILT, WAITS, events, program
from support.subprocesses import python_environment
from support.tiny_models import color_detector
from test_annotate import images

_NODE = {'num_cpus': 1, 'object_store_memory': 80_000_000}


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """The cache of all workers of the cluster, as on shared storage."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='module')
def cluster(cache):
    """A cluster of four nodes: the head has no room for a worker, the others have one CPU each."""
    from ray.cluster_utils import Cluster

    # Workers have the variables of their node.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(cache))
        patch.setenv('PYTHONPATH', python_environment()['PYTHONPATH'])
        found = Cluster(initialize_head=True, head_node_args={**_NODE, 'num_cpus': 0, 'include_dashboard': False})
        for _ in range(3):
            found.add_node(**_NODE)
    found.wait_for_nodes()
    yield found
    found.shutdown()


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with a model, a long bag and two short ones, and the results of one process."""
    folder = tmp_path_factory.mktemp('fleet')
    color_detector(folder / 'm.onnx')
    write_bag(folder / 'long', {'/image': list(images('coffee', 30)) * 20})
    for number in range(2):
        write_bag(folder / f'short{number}', {'/image': list(images('rocket', 4 + number))})
    process = start(folder, 'one')
    assert process.wait(600) == 0
    return folder


def start(folder, output, *arguments):
    return subprocess.Popen(
        [sys.executable, '-m', 'trt_perception.cli.main', 'annotate', 'long', 'short0', 'short1', '--model', 'm.onnx',
         '--threads', '1', '--output', output, '--formats', 'bag,json,coco', *arguments],
        cwd=folder, env=python_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*') if path.is_file()}


def part_in_work(output, process):
    """The process id of a worker that writes the results of a part, and the name of that file."""
    while True:
        assert process.poll() is None, process.communicate()
        for path in output.glob('.long.*.part/*.jsonl.*'):
            return int(path.name.rpartition('.')[2]), path.name.partition('.')[0]
        time.sleep(0.002)


def test_one_worker_builds_and_the_other_waits_for_it(cluster, place, cache):
    """Two workers on two nodes quantise the model once; a worker that is started later takes it from the cache."""
    log = place / 'int8.log'
    conv_detector(place / 'int8.onnx')
    color_folder(place / 'frames', 16)

    def annotate(output, *arguments, **variables):
        process = subprocess.run(
            program(log, 2 if '--ray' in arguments else 1, [
                'annotate', 'short0', 'short1', '--model', 'int8.onnx', '--backend', 'onnxruntime', '--threads', '1',
                '--precision', 'int8', '--calibration', 'frames', '--score', '0.2', '--output', output, *arguments]),
            cwd=place, env={**python_environment(), **variables}, capture_output=True, text=True, timeout=600)
        assert process.returncode == 0, process.stderr
        return process.stdout

    annotate('int8-one', XDG_CACHE_HOME=str(place / 'own'))
    log.unlink()
    out = annotate('int8-two', '--ray', cluster.address, '--ray-workers', '2')
    assert '2 bags (0 already annotated, 0 not annotated), 9 images' in out
    *before, (last, builder) = events(log)
    assert last == BUILT
    [waiting] = {process for _, process in before} - {builder}
    assert sorted(before) == [(BUILDS, builder), (WAITS, waiting)]
    [made] = (cache / 'trt_perception' / 'quantized').glob('*.onnx')
    [own] = (place / 'own' / 'trt_perception' / 'quantized').glob('*.onnx')
    assert (made.name, made.read_bytes()) == (own.name, own.read_bytes())
    assert content(place / 'int8-two') == content(place / 'int8-one')

    log.unlink()
    before = made.stat()
    annotate('int8-three', '--ray', cluster.address, '--ray-workers', '1')
    assert events(log) == [] and (made.stat().st_ino, made.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert content(place / 'int8-three') == content(place / 'int8-one')


@pytest.mark.parametrize('kill', ['worker', 'node'])
def test_a_kill_costs_a_part_and_changes_nothing(cluster, place, kill):
    output = place / f'killed-{kill}'
    process = start(place, output.name, '--ray', cluster.address, '--ray-images', '40', '--ray-workers', '2')
    number, _ = part_in_work(output, process)
    done_before = {path.name for path in output.glob('.long.*.part/*.jsonl')}
    if kill == 'worker':
        os.kill(number, signal.SIGKILL)
    else:
        # The raylet of the worker is its parent; the worker ends with it. The head node ends with its cluster.
        raylet = int(Path(f'/proc/{number}/stat').read_text().rpartition(')')[2].split()[1])
        [node] = [node for node in cluster.list_all_nodes() if raylet in {
            entry.process.pid for entry in node.all_processes['raylet']}]
        cluster.remove_node(node, allow_graceful=False)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert 'died: ' in err and 'its task is done again' in err and 'Traceback' not in err
    assert '; retries: 1' in out and '3 bags (0 already annotated, 0 not annotated), 609 images' in out
    assert content(output) == content(place / 'one')
    assert len(done_before) < 15


def test_the_same_command_goes_on_after_its_own_end(cluster, place):
    output = place / 'again'
    process = start(place, output.name, '--ray', cluster.address, '--ray-images', '40')
    part_in_work(output, process)
    process.kill()
    process.communicate(timeout=600)
    assert list(output.glob('.long.*.part'))
    out, err = start(place, output.name, '--ray', cluster.address, '--ray-images', '100').communicate(timeout=600)
    assert 'long: 600 images' in out, err
    assert content(output) == content(place / 'one') and not list(output.glob('.long.*.part'))


def test_no_cluster_is_one_line(place):
    out, err = start(place, 'none', '--ray', '127.0.0.1:9').communicate(timeout=600)
    assert 'Traceback' not in err and out == ''
    assert err.splitlines()[-1].startswith(
        'trt_perception: --ray 127.0.0.1:9: expected a Ray cluster that answers at host:port: ')
