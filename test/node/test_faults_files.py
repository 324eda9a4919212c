# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that change under a running node: the model is overwritten, cut or removed, the cache is read-only or full."""

import os
import shutil
import subprocess
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

import onnx
from support.frame_sum import counts_at_rest, frame_sum, stamp_ns
from support.harness_driver import boxes_of, wait_until
from support.precision_models import color_folder, conv_detector


def with_external_data(source, path):
    """Write the model again with its weights in another file, as PyTorch exports it. Returns that file."""
    onnx.save(
        onnx.load(source), str(path), save_as_external_data=True, location=f'{path.name}.data', size_threshold=0)
    return path.with_name(f'{path.name}.data')


def test_a_model_that_is_overwritten_cut_or_removed_while_it_runs(node, models, camera_process, tmp_path):
    path = tmp_path / 'deployed.onnx'
    data = with_external_data(models(), path)
    saved = [shutil.copy(file, tmp_path / f'saved_{file.name}') for file in (path, data)]
    # Before the node's publisher: no result is lost.
    results = node.detections
    node.bring_to('active', model_file=str(path))

    def seen(name, step):
        begun, since = time.time_ns(), results.count()
        for _ in range(3):
            # Not a result of an image before, which comes late.
            found = results.wait(
                lambda m: stamp_ns(m) > begun, since, what=f'results after {step}; it said:\n{node.process.tail()}')
            since = results.messages.index(found, since) + 1
            assert set(boxes_of(found)) == {name}, step

    since = results.count()
    camera = camera_process(node.topic('image'), rate=20)
    seen('red', 'the start')
    # Another model is copied over it. The old file is the same file with other bytes, or fewer.
    data.write_bytes(bytes(data.stat().st_size))
    seen('red', 'weights that are overwritten')
    os.truncate(data, 0)
    os.truncate(path, 0)
    seen('red', 'files that are cut')
    data.unlink()
    path.unlink()
    seen('red', 'files that are removed')
    camera.stop()
    counts = counts_at_rest(node)
    found = frame_sum(camera.sent(), counts, results.all_of(counts['processed'], since))
    print(found)
    assert found['bad'] == found['failed'] == found['stale'] == 0
    # The model stays loaded until cleanup.
    assert node.change_state('deactivate') and node.change_state('activate')
    again = camera_process(node.topic('image'), rate=20)
    seen('red', 'deactivate and activate')
    again.kill()
    assert node.change_state('deactivate') and node.change_state('cleanup')
    mark = node.process.mark()
    assert not node.change_state('configure')
    line = node.process.wait_for_line('configure failed', mark)
    assert str(path) in line and 'there is no such file' in line
    # The new model is there.
    with_external_data(models(names=('rouge', 'vert', 'bleu')), path)
    assert node.change_state('configure') and node.change_state('activate')
    camera_process(node.topic('image'), rate=20)
    seen('rouge', 'the new model')
    # Back to the old one: a copy has the same content, whatever its time.
    assert node.change_state('deactivate') and node.change_state('cleanup')
    for file, copy in zip((path, data), saved):
        shutil.copy(copy, file)
    assert node.change_state('configure') and node.change_state('activate')
    seen('red', 'the old model again')


# A file system of its own for the cache, which only the node sees.
MOUNT = {
    'read-only': 'mount -t tmpfs -o ro tmpfs "$0"',
    'full': 'mount -t tmpfs -o size=64k tmpfs "$0" && { head -c 1M /dev/zero > "$0/filled" 2> /dev/null || true; }',
}


@pytest.mark.parametrize('kind, said', [('read-only', 'Read-only file system'), ('full', 'No space left on device')])
def test_a_cache_that_cannot_be_written(start_node, camera_process, tmp_path, monkeypatch, kind, said):
    """int8 is stored there: configure fails in one line, and all that needs no cache works."""
    cache = tmp_path / 'cache'
    cache.mkdir()
    begin = ['unshare', '--map-root-user', '--mount', 'sh', '-c', MOUNT[kind] + ' && exec "$@"', str(cache)]
    if shutil.which('unshare') is None or subprocess.run([*begin, 'true'], check=False, capture_output=True).returncode:
        pytest.skip('this system does not let a user mount a file system for a process of its own')
    model = conv_detector(tmp_path / 'conv.onnx')
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    node = start_node(prefix=tuple(begin), model_file=str(model))
    # Before the node's publisher: no result is lost.
    results = node.detections
    assert node.set_parameters(precision='int8', calibration_source=str(color_folder(tmp_path / 'frames', 8)))[0]
    for _ in range(2):
        mark = node.process.mark()
        assert not node.change_state('configure')
        line = node.process.wait_for_line('configure failed', mark)
        assert said in line and 'XDG_CACHE_HOME' in line, line
        wait_until(lambda: node.state() == 'unconfigured', 'unconfigured')
    assert node.set_parameters(precision='fp32')[0]
    assert node.change_state('configure') and node.change_state('activate'), node.process.tail()
    camera = camera_process(node.topic('image'), rate=20, size='64x64')
    results.wait(since=3)
    camera.stop()
    counts = counts_at_rest(node)
    print(frame_sum(camera.sent(), counts, results.all_of(counts['processed'], 0)))
