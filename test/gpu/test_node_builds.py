# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node builds its engine in configure: in a child process, once, in the requested precision, and checked."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from support import harness_images as images
from support.harness_driver import wait_until
from support.node_models import TENSORRT, build_processes, change_sidecar, configure, detections_of, is_alive
from support.precision_models import color_frames
from support.tiny_models import CELL, COLORS

from trt_perception.cli.main import main

FP32 = {**TENSORRT, 'precision': 'fp32'}


def precision_of(node):
    """Return the diagnostics of the last configure."""
    return node.diagnosis(lambda _, values: values['state'] == 'inactive')[1]


def test_configure_builds_in_a_process_of_its_own_and_the_next_node_finds_it(start_node, color_models, new_cache):
    node = start_node(
        '--log-level', 'debug', **FP32, model_file=color_models(), timing_cache=False)
    since = node.driver.diagnostics.count()
    started = time.monotonic()
    configured = node.begin('configure')
    worker, = wait_until(lambda: build_processes(node), 'the process that builds')
    asked = 0
    while not configured.done():
        # The transition is pending, and the node answers.
        assert node.state() in ('configuring', 'inactive')
        assert node.parameters(['max_detections']) == [300]
        asked += 1
        time.sleep(0.1)
    assert configured.result().success, node.process.tail()
    print(f'built on configure in {time.monotonic() - started:.1f} s, asked {asked} times for its state')
    assert asked > 5
    assert not is_alive(worker)
    assert node.state() == 'inactive'

    # TensorRT's log, of a node with the log level debug.
    assert re.search(r'\[INFO\].*engine of .* MB built in', node.process.output)
    assert len(re.findall(r'\[DEBUG\] \[[\d.]+\] \[\S*perception_node\]: ', node.process.output)) > 100

    told = [
        status for message in node.driver.diagnostics.messages[since:] for status in message.status
        if status.name == f'{node.name[1:]}: perception' and status.message.startswith('configuring: ')]
    assert {status.level for status in told} == {DiagnosticStatus.WARN}
    assert {pair.value for status in told for pair in status.values if pair.key == 'state'} == {'configuring'}
    texts = list(dict.fromkeys(status.message for status in told))
    print('\n'.join(texts))
    assert any(re.search('building', text, re.IGNORECASE) for text in texts), texts
    seconds = [int(found[1]) for found in (re.search(r'\((\d+) s\)', text) for text in texts) if found]
    assert seconds == sorted(seconds) and len(set(seconds)) > 1, texts

    built = precision_of(node)
    assert built['engine_from'] == 'build (none was built before)'
    assert (built['backend'], built['pipeline'], built['precision_effective']) == ('tensorrt', 'device', 'fp32')
    assert not list(new_cache.root.glob('*.timings'))
    entry, = new_cache.entries()
    assert entry.problem == '' and entry.digest == built['engine']

    # The timing cache is not part of the key, and with a GPU `auto` uses TensorRT.
    other = start_node(**{**FP32, 'backend': 'auto'}, model_file=color_models(), timing_cache=True)
    started = time.monotonic()
    assert configure(other), other.process.tail()
    print(f'configured from the cache in {time.monotonic() - started:.2f} s')
    other.process.wait_for_line(r'engine for plain\.onnx found in the cache')
    assert not re.search('building it|building the engine', other.process.output)
    found = precision_of(other)
    assert (found['backend'], found['engine_from']) == ('tensorrt', 'cache')
    assert {key: found[key] for key in ('engine', 'engine_built')} == {
        key: built[key] for key in ('engine', 'engine_built')}


@pytest.mark.parametrize('precision', ['fp16', 'int8'])
def test_the_precision_asked_for_is_what_runs(start_node, color_models, kept_cache, precision):
    source = {'calibration_source': str(color_models.frames)} if precision == 'int8' else {}
    node = start_node(**TENSORRT, model_file=color_models(), precision=precision, strict_precision=True, **source)
    assert configure(node), node.process.tail()
    values = precision_of(node)
    assert (values['precision'], values['precision_effective']) == (precision, precision)
    assert 'was requested' not in node.process.output
    sidecar = next(entry.sidecar for entry in kept_cache.entries() if entry.digest == values['engine'])
    print(precision, sidecar['precision_shares'])
    assert sidecar['precision_shares'][precision]['share'] > 0.9


def test_int8_is_compared_with_fp32_and_the_report_kept(start_node, color_models, kept_cache):
    parameters = {
        **TENSORRT, 'model_file': color_models(), 'precision': 'int8', 'calibration_source': str(color_models.frames)}
    node = start_node(**parameters)
    assert configure(node), node.process.tail()
    values = precision_of(node)
    report = json.loads((kept_cache.root / f'{values["engine"]}.json').read_text())['agreement']
    print(report['summary'])
    assert report['summary'] == values['agreement']
    assert report['frames'] == 24 and report['matched'] >= 48
    assert report['value'] >= 0.98 and report['max_score_difference'] < 0.05
    # The second node measures nothing.
    other = start_node(**parameters)
    assert configure(other), other.process.tail()
    assert precision_of(other)['agreement'] == values['agreement']
    assert 'comparing with ONNX Runtime' not in other.process.output


def test_the_command_line_checks_what_the_node_would(start_node, color_models, kept_cache, capsys):
    frames = str(color_models.frames)
    arguments = ['build', color_models(), '--precision', 'int8', '--calibration', frames, '--optimization-level', '0']
    assert main(arguments) == 0
    digest = Path(capsys.readouterr().out.splitlines()[0]).stem
    change_sidecar(kept_cache, digest, agreement=None)
    assert main(arguments) == 0
    accuracy, = re.findall(r'(?m)^  accuracy:  (.+)', capsys.readouterr().out)
    with capsys.disabled():
        print(accuracy)
    assert 'boxes matched' in accuracy
    node = start_node(
        **TENSORRT, model_file=color_models(), precision='int8', calibration_source=frames)
    assert configure(node), node.process.tail()
    values = precision_of(node)
    assert (values['engine'], values['engine_from'], values['agreement']) == (digest, 'cache', accuracy)
    assert 'comparing with ONNX Runtime' not in node.process.output

    bad = [*arguments, '--precision', 'fp16', '--min-agreement', '0.95']
    bad[1] = color_models('nearly_singular')
    assert main(bad) == 1
    error = capsys.readouterr().err
    assert re.search(
        r'fp16 loses too much accuracy: expected an agreement of 0\.950 or more with ONNX Runtime fp32, found 0\.\d+ ',
        error), error


@pytest.mark.parametrize('check', ['0.9', '0'])
def test_the_command_line_says_once_that_the_precision_is_not_met(color_models, kept_cache, capsys, check):
    arguments = [
        'build', color_models('overflowing'), '--precision', 'fp16', '--calibration', str(color_models.frames),
        '--min-agreement', check, '--optimization-level', '0']
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err.count('fp16 was requested, but the engine runs mostly in fp32: fp32 (9') == 1, err
    assert ('  accuracy:  agreement ' in out) == (check != '0')
    assert main([*arguments, '--strict-precision']) == 1
    err = capsys.readouterr().err
    assert err.count('fp16 was requested, but the engine runs mostly in fp32: fp32 (9') == 1, err


def test_too_little_agreement_fails_configure(start_node, color_models, kept_cache):
    node = start_node(
        **TENSORRT, model_file=color_models('nearly_singular'), precision='fp16', min_agreement=0.95,
        calibration_source=str(color_models.frames))
    assert not configure(node)
    assert node.state() == 'unconfigured'
    line = node.process.wait_for_line('configure failed')
    print(line)
    needed, measured = re.search(
        r'fp16 loses too much accuracy: expected an agreement of ([0-9.]+) or more with ONNX Runtime fp32, '
        r'found ([0-9.]+)', line).groups()
    assert float(measured) < 0.8 and float(needed) == 0.95
    matched, missing, extra = map(int, re.search(r'(\d+) boxes matched, (\d+) missing, (\d+) extra', line).groups())
    assert float(measured) == pytest.approx(2 * matched / (2 * matched + missing + extra), abs=0.001)
    status, _ = node.diagnosis(lambda status, _: status.level == DiagnosticStatus.ERROR)
    assert f'agreement {measured}' in status.message
    assert line.endswith('; use fp32, or lower min_agreement')
    # The engine and the measurement are kept: with a lower min_agreement the node need not wait.
    assert node.set_parameters(min_agreement=0.01)[0]
    assert configure(node), node.process.tail()
    values = precision_of(node)
    assert values['engine_from'] == 'cache'
    assert f'agreement {measured}' in values['agreement']


def test_a_precision_that_cannot_be_met_is_a_warning_or_a_failure(start_node, color_models, kept_cache):
    node = start_node(
        **TENSORRT, model_file=color_models('overflowing'), precision='fp16',
        calibration_source=str(color_models.frames))
    assert configure(node), node.process.tail()
    print(node.process.wait_for_line(r'WARN.*fp16 was requested, but the engine runs mostly in fp32: fp32'))
    assert precision_of(node)['precision_effective'] == 'fp32'
    assert node.change_state('activate')
    status, _ = node.diagnosis(lambda _, values: values['state'] == 'active')
    assert status.level == DiagnosticStatus.WARN
    assert status.message == 'precision fp16 was requested, but the network runs in fp32'
    assert node.change_state('deactivate') and node.change_state('cleanup')

    assert node.set_parameters(strict_precision=True)[0]
    assert not configure(node)
    line = node.process.wait_for_line('configure failed')
    print(line)
    assert re.search(r'fp16 was requested, but the engine runs mostly in fp32: fp32 \((9\d|100)', line)
    assert 'strict_precision' in line
    assert node.state() == 'unconfigured'


def test_two_nodes_that_need_the_same_engine_build_it_once(start_node, color_models, new_cache):
    nodes = [start_node(**FP32, model_file=color_models()) for _ in range(2)]
    begun = [node.begin('configure') for node in nodes]
    seen = set()
    while not all(future.done() for future in begun):
        seen |= {process.pid for node in nodes for process in build_processes(node)}
        time.sleep(0.05)
    assert all(future.result().success for future in begun), [node.process.tail() for node in nodes]
    assert len(seen) == 1
    values = [precision_of(node) for node in nodes]
    assert sorted(entry['engine_from'] for entry in values) == ['build (none was built before)', 'cache']
    assert values[0]['engine'] == values[1]['engine']
    waiting, = [node for node, entry in zip(nodes, values) if entry['engine_from'] == 'cache']
    waiting.process.wait_for_line('waiting for another process that builds the same engine')
    check_detections(nodes)


def check_detections(nodes):
    """Both run at once on one GPU and find each square in its place."""
    for node in nodes:
        assert node.change_state('activate')
    cameras = [node.camera() for node in nodes]
    for picture in color_frames(10, seed=3):
        for node, camera in zip(nodes, cameras):
            message = node.answer_to(camera, images.image(picture, images.header('', node.driver.now_ns())))
            found = detections_of(message, COLORS)
            # The channels are the classes, in the order blue, green, red.
            cells = picture.reshape(64 // CELL, CELL, 64 // CELL, CELL, 3)[:, 0, :, 0]
            rows, columns, channels = np.nonzero(cells > 100)
            expected = {
                (column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL, channel)
                for row, column, channel in zip(rows, columns, channels)}
            assert {(*np.rint(box), index) for box, index in zip(found.boxes, found.class_indices)} == expected
