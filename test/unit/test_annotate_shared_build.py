# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a model needs on a kind of machine is built once: other processes wait for it and take it from the cache.

test_annotate_ray.py has the same for workers of Ray, test_engine_cache.py for TensorRT's engines.
"""

import subprocess

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bags import write_bag
from support.precision_models import color_folder, conv_detector
from support.shared_build import BUILDS, BUILT, WAITS, events, program
from support.subprocesses import python_environment
from test_annotate import images

PROCESSES = 3
INT8 = ('--backend', 'onnxruntime', '--precision', 'int8', '--calibration', 'frames')


def start(folder, cache, processes, bag, *arguments):
    return subprocess.Popen(
        program(folder / f'{cache}.log', processes, [
            'annotate', bag, '--model', 'm.onnx', '--threads', '1', '--score', '0.2', '--output', f'{cache}-{bag}',
            *arguments]),
        cwd=folder, env={**python_environment(), 'XDG_CACHE_HOME': str(folder / cache)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(cache, ending):
    """The files of the cache with what was built: content by path."""
    return {path.relative_to(cache): path.read_bytes() for path in cache.rglob(f'*{ending}')}


@pytest.mark.parametrize('ending, arguments', [
    ('.onnx', INT8), ('.blob', ('--backend', 'openvino'))], ids=['int8', 'openvino'])
def test_one_process_builds_and_the_others_wait_for_it(tmp_path, ending, arguments):
    if ending == '.blob':
        pytest.importorskip('openvino', reason='needs openvino: pip install openvino')
    conv_detector(tmp_path / 'm.onnx')
    color_folder(tmp_path / 'frames', 16)
    bags = [f'bag{number}' for number in range(PROCESSES)]
    for number, bag in enumerate(bags):
        write_bag(tmp_path / bag, {'/image': list(images('coffee', 2 + number))})
    running = [start(tmp_path, 'shared', PROCESSES, bag, *arguments) for bag in bags]
    for process in running:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    *before, (last, builder) = events(tmp_path / 'shared.log')
    assert last == BUILT
    assert sorted(before) == [
        (BUILDS, builder), *sorted((WAITS, process.pid) for process in running if process.pid != builder)]
    # The others use that file: they wrote none of their own, and their results are those of a cache of their own.
    assert len(stored(tmp_path / 'shared', ending)) == 1
    bag = next(bag for bag, process in zip(bags, running) if process.pid != builder)
    alone = start(tmp_path, 'own', 1, bag, *arguments)
    _, err = alone.communicate(timeout=600)
    assert events(tmp_path / 'own.log') == [(BUILDS, alone.pid), (BUILT, alone.pid)], err
    results = (tmp_path / f'shared-{bag}' / bag / 'results.jsonl').read_text()
    assert results == (tmp_path / f'own-{bag}' / bag / 'results.jsonl').read_text()
    assert results.count('"score"') >= 3
    if ending == '.onnx':
        assert stored(tmp_path / 'own', ending) == stored(tmp_path / 'shared', ending)
