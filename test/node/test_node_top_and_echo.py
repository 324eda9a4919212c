# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception top and echo, as processes, over DDS with a real node."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import QoSProfile, ReliabilityPolicy
from support import harness_images as images
from support.harness_process import ROOT
from support.node_session import in_thread
from support.subprocesses import without_middleware
from vision_msgs.msg import Classification, Detection2DArray, ObjectHypothesis


def command(*arguments):
    return [sys.executable, '-m', 'trt_perception.cli.main', *arguments]


def run(*arguments, **environment):
    """Run the command to its end. Its output is without the lines of Fast DDS, which come beside paused processes."""
    done = subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, **environment})
    done.stdout, done.stderr = map(without_middleware, (done.stdout, done.stderr))
    return done


def start(*arguments, **options):
    return subprocess.Popen(
        command(*arguments), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def said_by(process):
    """Wait for the end of the process; return what it printed to stdout and to stderr."""
    return tuple(map(without_middleware, process.communicate(timeout=600)))


def red(node):
    return images.image(
        images.picture(640, 640, {'red': (80, 160, 160, 240)}), images.header('optical', node.driver.now_ns()))


def run_for(arguments, part, *seconds):
    """Run until the error has this part, each time for longer: a busy machine is slow to discover other nodes."""
    for wait in seconds:
        done = run(*arguments, '--wait', str(wait))
        if part in done.stderr:
            return done, wait
    raise AssertionError(done)


# top


def test_top_once(node):
    node.bring_to('active')
    camera = node.camera()
    node.answer_to(camera, red(node))

    def images_come(ended):
        while not ended.wait(0.1):
            camera.publish(red(node))

    # The times are those of the last ten seconds; on a busy machine the command takes as long to start.
    with in_thread(images_come):
        done = run('top', '--once', '--json', '--wait', '600')
    assert (done.returncode, done.stderr) == (0, '')
    reports = {report['node']: report for report in map(json.loads, done.stdout.splitlines())}
    report = reports[node.name[1:]]
    assert report['level'] in ('OK', 'WARN')
    assert report['values']['state'] == 'active' and report['values']['backend'] == 'onnxruntime'
    assert report['ms']['total']['p50'] > 0
    assert report['dropped'] == sum(int(report['values'][name]) for name in ('replaced', 'stale', 'bad', 'failed'))
    table = run('top', '--once', '--wait', '600')
    assert (table.returncode, table.stderr) == (0, '')
    heading, names, *lines = table.stdout.splitlines()
    assert re.fullmatch(r'\d\d:\d\d:\d\d  \d+ perception nodes?', heading)
    assert names.split()[:5] == ['node', 'level', 'state', 'in/s', 'out/s']
    line, = (line for line in lines if line.startswith(f'{node.name[1:]} '))
    # A camera that sends nothing more becomes a warning after some seconds.
    assert line.split()[1] in ('OK', 'WARN') and line.split()[2] == 'active'


def test_top_counts_nodes_and_not_their_cameras(node):
    node.bring_to('active', image_topics=['front/image', 'rear/image'])
    done = run('top', '--once', '--wait', '600')
    heading, _, *lines = done.stdout.splitlines()
    # Names have no blanks; that of a camera follows the name of its node after one.
    names = [line.split('  ')[0] for line in lines]
    cameras = [f'{node.name[1:]} {node.topic(camera)}' for camera in ('front', 'rear')]
    assert [name for name in names if name.startswith(node.name[1:])] == [node.name[1:], *cameras]
    assert heading.split()[1] == str(sum(' ' not in name for name in names))


def test_top_shows_a_reason_and_a_silent_node(driver):
    publisher = driver.node.create_publisher(
        DiagnosticArray, '/diagnostics', QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    top = start('top', '--json', '--every', '0.5')
    try:
        status = DiagnosticStatus(
            level=DiagnosticStatus.ERROR, name='odd/detector: perception', message='bad \x1b[2J images',
            values=[
                KeyValue(key='state', value='active'), KeyValue(key='rate_out_hz', value='nan'),
                KeyValue(key='bad', value='3')])
        other = DiagnosticStatus(name='motor: temperature', values=[KeyValue(key='celsius', value='50')])
        seen = []
        deadline = time.monotonic() + 600

        def wait_for(level):
            while time.monotonic() < deadline:
                if not (seen and seen[-1]['level'] == 'ERROR'):
                    publisher.publish(DiagnosticArray(status=[status, other]))
                if select.select([top.stdout], [], [], 0.2)[0] and (line := without_middleware(top.stdout.readline())):
                    report = json.loads(line)
                    assert report['node'] != 'motor'
                    if report['node'] == 'odd/detector':
                        seen.append(report)
                        if report['level'] == level:
                            return report
            raise AssertionError(f'{level} never came: {seen}')

        error = wait_for('ERROR')
        assert (error['rate_out_hz'], error['dropped'], error['reason']) == (None, 3, 'bad \x1b[2J images')
        stale = wait_for('STALE')
        assert stale['silent_s'] > 5 and 'the last was ERROR: bad' in stale['reason']
    finally:
        top.send_signal(signal.SIGINT)
        _, said = said_by(top)
        driver.node.destroy_publisher(publisher)
    assert (top.returncode, said) == (130, 'trt_perception: interrupted\n')


@pytest.mark.parametrize('with_rich', [True, False])
def test_top_on_a_terminal(node, tmp_path, with_rich):
    if with_rich:
        pytest.importorskip('rich')
    else:
        (tmp_path / 'rich').mkdir()
        (tmp_path / 'rich' / '__init__.py').write_text('raise ImportError("hidden")\n')
    node.bring_to('active')
    main, terminal = pty.openpty()
    path = os.pathsep.join([*([] if with_rich else [str(tmp_path)]), os.environ.get('PYTHONPATH', '')])
    top = subprocess.Popen(
        command('top', '--every', '0.2'), cwd=ROOT, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
        env={**os.environ, 'COLUMNS': '200', 'LINES': '40', 'TERM': 'xterm', 'PYTHONPATH': path})
    os.close(terminal)
    shown = b''
    try:
        deadline = time.monotonic() + 600
        while node.name[1:].encode() not in shown or b'active' not in shown:
            assert time.monotonic() < deadline, shown[-2000:]
            if select.select([main], [], [], 0.5)[0]:
                shown += os.read(main, 65536)
    finally:
        top.send_signal(signal.SIGINT)
        # Until its end something must read what it writes.
        while top.poll() is None:
            if select.select([main], [], [], 0.1)[0]:
                try:
                    os.read(main, 65536)
                except OSError:
                    break
        said = without_middleware(top.stderr.read().decode())
        top.wait(600)
        os.close(main)
    assert (top.returncode, said) == (130, 'trt_perception: interrupted\n')
    # rich draws lines; the plain table goes back to the first line of the screen.
    assert ('━'.encode() in shown) == with_rich
    assert (b'\x1b[H\x1b[J' in shown) == (not with_rich)


def test_top_without_any_node(ros_environment):
    done = run('top', '--once', '--wait', '0.5', ROS_DOMAIN_ID='101')
    assert (done.returncode, done.stdout, done.stderr.count('\n')) == (1, '', 1)
    assert 'no perception node was heard on /diagnostics within 0.5 s' in done.stderr
    assert 'ROS_DOMAIN_ID 101' in done.stderr


# echo


def test_echo_detections_of_a_node(node):
    node.bring_to('active')
    topic = node.topic('detections')
    node.wait_for_outputs('detections')
    camera = node.camera()
    for options, check in ((), check_line), (('--json',), check_record):
        echo = start('echo', topic, '--once', '--wait', '600', *options)
        deadline = time.monotonic() + 600
        while echo.poll() is None and time.monotonic() < deadline:
            node.answer_to(camera, red(node))
        out, said = said_by(echo)
        assert (echo.returncode, said, out.count('\n')) == (0, '', 1)
        check(out)


def check_line(text):
    found = re.fullmatch(r'(\d+\.\d{3}) (optical_\d+)  1 object: red (\d\.\d\d) \[80 160 160 240\]\n', text)
    assert found, text
    assert 0.5 < float(found[3]) <= 1


def check_record(text):
    record = json.loads(text)
    detection, = record['detections']
    assert detection['class_id'] == 'red' and detection['bbox'] == pytest.approx([80, 160, 160, 240], abs=0.5)
    assert record['stamp_ns'] > 1e18 and record['frame_id'].startswith('optical')


def test_echo_the_class_names_that_were_published_before(node):
    """label_info is transient local: one message, before anybody subscribes."""
    node.bring_to('active')
    done = run('echo', node.topic('label_info'), '--once', '--wait', '600')
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.endswith(': red, green, blue\n')


@pytest.mark.parametrize('reliability', ['RELIABLE', 'BEST_EFFORT'])
def test_echo_matches_every_publisher(driver, reliability):
    topic = f'/someone/{reliability.lower()}/classifications'
    publisher = driver.node.create_publisher(
        Classification, topic, QoSProfile(depth=5, reliability=getattr(ReliabilityPolicy, reliability)))
    echo = start('echo', topic[1:], '--count', '2', '--wait', '600')
    message = Classification(header=images.header('front', 1_500_000_000), results=[
        ObjectHypothesis(class_id='cat', score=0.75), ObjectHypothesis(class_id='dog\n', score=0.125)])
    deadline = time.monotonic() + 600
    while echo.poll() is None and time.monotonic() < deadline:
        publisher.publish(message)
        time.sleep(0.1)
    out, said = said_by(echo)
    driver.node.destroy_publisher(publisher)
    assert (echo.returncode, said) == (0, '')
    assert out == '1.500 front  cat 0.75, dog\\n 0.12\n' * 2


def test_echo_diagnostics(node):
    node.bring_to('inactive')
    done = run('echo', '/diagnostics', '--count', '5', '--wait', '600')
    assert done.returncode == 0
    assert f'WARN  {node.name[1:]}: perception: inactive: no images are processed' in done.stdout


def test_echo_a_topic_that_is_not_there(node, driver):
    node.bring_to('active')
    node.wait_for_outputs('detections')
    wrong, seconds = run_for(['echo', 'detections'], ': did you mean ', 4, 20, 120)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count('\n')) == (1, '', 1)
    assert f'no node publishes /detections within {seconds} s: did you mean ' in wrong.stderr
    assert node.topic('detections') in wrong.stderr
    bad = run('echo', '/no//name', '--wait', '0')
    assert (bad.returncode, bad.stderr.count('\n')) == (1, 1)
    other = run('echo', '/rosout', '--wait', '600')
    assert other.returncode == 1 and 'has the type rcl_interfaces/msg/Log: expected one of' in other.stderr


def test_echo_that_waits_in_vain(driver):
    publisher = driver.node.create_publisher(Detection2DArray, '/silent/detections', 5)
    try:
        done, seconds = run_for(['echo', '/silent/detections', '--once'], 'received 0 of 1 messages', 4, 20, 120)
    finally:
        driver.node.destroy_publisher(publisher)
    assert (done.returncode, done.stderr) == (
        1, f'trt_perception: received 0 of 1 messages of /silent/detections: nothing was published for {seconds} s; '
        'check that the publisher is active, or raise --wait\n')


@pytest.mark.parametrize('topic', ['no such/topic!!', '/a//b', '/9cameras', 'image{'])
def test_echo_a_name_that_is_no_topic(topic):
    """rclpy rejects some names, rcl others, each with lines and places of its own."""
    done = run('echo', topic, '--wait', '5')
    assert (done.returncode, done.stdout) == (1, '')
    [line] = done.stderr.splitlines()
    assert line.startswith('trt_perception: TOPIC ') and line.endswith('; expected a name such as /camera/image_raw')
    assert 'unexpected' not in line and '.c:' not in line
