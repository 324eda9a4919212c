# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line as a process: signals, closed pipes, unexpected errors, and output line by line."""

import importlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
import numpy as np
from support.subprocesses import without_progress
from support.tiny_models import color_detector

import trt_perception
from trt_perception.cli.main import SUBCOMMANDS, main

runs_a_model = pytest.mark.skipif(find_spec('onnxruntime') is None, reason='needs onnxruntime: make setup')
ROOT = Path(trt_perception.__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))}
COMMAND = (sys.executable, '-m', 'trt_perception.cli.main')


def start(*arguments, **options):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**ENVIRONMENT, **options.pop('env', {})}, **options)


def finish(process):
    """(exit code, stdout, stderr)."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out, without_progress(err)


@pytest.fixture
def model(tmp_path):
    return color_detector(tmp_path / 'm.onnx')


@pytest.fixture
def long_video(tmp_path):
    """More frames than a test waits for."""
    path = tmp_path / 'long.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, (640, 480))
    for index in range(1500):
        writer.write(np.full((480, 640, 3), 90 + index % 150, np.uint8))
    writer.release()
    return path


def wait_for_lines(path, count):
    for _ in range(2400):
        if path.exists() and path.read_text().count('\n') >= count:
            return
        time.sleep(0.05)
    pytest.fail(f'{path} has no {count} lines')


# Signals


@runs_a_model
@pytest.mark.parametrize('number, code, word', [
    (signal.SIGTERM, 143, 'terminated'), (signal.SIGINT, 130, 'interrupted'),
    (signal.SIGHUP, 129, 'the terminal was closed')])
def test_json_lines_are_on_disk_when_the_run_is_ended(tmp_path, model, long_video, number, code, word):
    lines = tmp_path / 'out.jsonl'
    process = start('predict', model, long_video, '--json', lines)
    wait_for_lines(lines, 16)
    process.send_signal(number)
    found, out, err = finish(process)
    assert (found, err) == (code, f'trt_perception: {word}\n')
    text = lines.read_text()
    assert text.endswith('\n')
    records = [json.loads(line) for line in text.splitlines()]
    assert [record['frame'] for record in records] == list(range(len(records)))
    assert 16 <= len(records) < 1500
    assert len(out.splitlines()) in (len(records), len(records) - 1)


@runs_a_model
def test_a_killed_run_leaves_the_lines_of_all_its_frames(tmp_path, model, long_video):
    lines = tmp_path / 'out.jsonl'
    process = start('predict', model, long_video, '--json', lines)
    wait_for_lines(lines, 16)
    process.kill()
    finish(process)
    assert all(json.loads(line) for line in lines.read_text().splitlines())


@runs_a_model
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_older_file_stays_if_the_run_is_ended(tmp_path, model, long_video, number):
    lines = tmp_path / 'out.jsonl'
    lines.write_text('the older one')
    process = start('predict', model, long_video, '--json', lines)
    # A line on standard output follows the one in the file.
    assert process.stdout.readline()
    process.send_signal(number)
    _, _, err = finish(process)
    assert lines.read_text() == 'the older one'
    assert ('the older file stays, because this run is incomplete' in err) == (number != signal.SIGKILL)
    # What a killed run leaves is removed by the next one.
    code, _, err = finish(start('predict', model, long_video, '--json', lines, '--max-frames', '3'))
    assert (code, err) == (0, '')
    assert [json.loads(line)['frame'] for line in lines.read_text().splitlines()] == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['long.avi', 'm.onnx', 'out.jsonl']


def test_ctrl_c_while_modules_are_imported_is_one_line(tmp_path):
    """At every moment after Python itself has started."""
    # Each import of the program is a place: at the Nth one the process sends itself the signal.
    (tmp_path / 'sitecustomize.py').write_text(
        'import os, signal, sys\n'
        'class Finder:\n'
        '    left = None\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        '        if name == "trt_perception.cli.parser":\n'
        '            Finder.left = int(os.environ["AT"])\n'
        '        if Finder.left is not None:\n'
        '            Finder.left -= 1\n'
        '            if Finder.left < 0:\n'
        '                Finder.left = None\n'
        '                sys.meta_path.remove(finder)\n'
        '                os.kill(os.getpid(), signal.SIGINT)\n'
        'finder = Finder()\n'
        'sys.meta_path.insert(0, finder)\n')
    places = (0, 1, 2, 5, 10, 20, 40, 80, 160)
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT['PYTHONPATH']])
    for place in places:
        code, out, err = finish(start('inspect', 'none.onnx', env={'AT': str(place), 'PYTHONPATH': path}))
        assert (code, out, err) == (130, '', 'trt_perception: interrupted\n'), place


def test_an_error_that_an_interrupted_import_becomes_is_the_interruption(tmp_path):
    """NumPy's C code, for example, reports an ImportError."""
    code = (
        'import os, signal, sys\n'
        'from trt_perception.cli import main as program, fetch\n'
        'def run(options):\n'
        '    try:\n'
        '        os.kill(os.getpid(), signal.SIGINT)\n'
        '        while True: pass\n'
        '    except BaseException:\n'
        '        raise ImportError("numpy.core.multiarray failed to import") from None\n'
        'fetch.run = run\n'
        'sys.argv = ["trt_perception", "fetch", "--list"]\n'
        'sys.exit(program.main())\n')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (130, 'trt_perception: interrupted\n')


def test_signals_that_the_parent_ignores_stay_ignored(tmp_path, model):
    code = (
        'import os, signal, subprocess, sys\n'
        'signal.signal(signal.SIGHUP, signal.SIG_IGN)\n'
        'from trt_perception.cli import main as program, fetch\n'
        'def run(options):\n'
        '    os.kill(os.getpid(), signal.SIGHUP)\n'
        '    print("goes on")\n'
        '    return 0\n'
        'fetch.run = run\n'
        'sys.argv = ["trt_perception", "fetch", "--list"]\n'
        'sys.exit(program.main())\n')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'goes on\n', '')


def test_a_call_from_python_leaves_signals_alone(capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(SystemExit):
        main(['--version'])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


# Closed pipes


@runs_a_model
@pytest.mark.parametrize('arguments', [
    ('--help',), ('--version',), ('predict', '--help'), ('fetch', '--list'), ('inspect', 'MODEL'),
    ('inspect', 'MODEL', '--json'), ('predict', 'MODEL', 'IMAGE'), ('predict', 'MODEL', 'IMAGE', '--json', '-')])
def test_output_that_nobody_reads_is_no_traceback(tmp_path, model, arguments):
    image = tmp_path / 'p.png'
    cv2.imwrite(str(image), np.full((64, 64, 3), 90, np.uint8))
    words = [{'MODEL': model, 'IMAGE': image}.get(word, word) for word in arguments]
    process = start(*words)
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait(600) in (0, 1)
    assert without_progress(error) == ''
    process.stderr.close()


def test_the_command_line_is_a_module_too():
    done = subprocess.run(
        [sys.executable, '-m', 'trt_perception', 'no-such-command'], capture_output=True, text=True, env=ENVIRONMENT,
        timeout=600)
    assert done.returncode == 2 and done.stderr.startswith('trt_perception: argument COMMAND')


def test_output_that_is_closed(model):
    for closing in ('>&-', '2>&-', '>&- 2>&-', '> /dev/full'):
        if '/dev/full' in closing and not Path('/dev/full').exists():
            continue
        done = subprocess.run(
            ['sh', '-c', f'"$@" {closing}', 'sh', *COMMAND, 'inspect', str(model)], capture_output=True, text=True,
            timeout=600, env=ENVIRONMENT)
        assert 'Traceback' not in done.stderr and 'Exception ignored' not in done.stderr
        assert done.returncode in (0, 1), closing


@runs_a_model
def test_each_line_of_json_reaches_the_reader_of_a_pipe_at_once(model, long_video):
    process = start('predict', model, long_video, '--json', '-')
    first = process.stdout.readline()
    assert json.loads(first)['frame'] == 0
    ready, _, _ = select.select([process.stdout], [], [], 30)
    assert ready
    process.terminate()
    finish(process)


def test_a_terminal_without_utf8_gets_escapes(tmp_path):
    model = color_detector(tmp_path / 'm.onnx', metadata={'names': {0: 'grün', 1: '型', 2: 'a'}})
    code, out, err = finish(start('inspect', model, env={'PYTHONIOENCODING': 'ascii', 'PYTHONUTF8': '0'}))
    assert (code, err) == (0, '')
    assert 'gr\\xfcn, \\u578b, a' in out


@runs_a_model
def test_a_name_in_utf8_in_a_locale_without_it(model, tmp_path):
    """The name is right: it must not be renamed."""
    name = os.fsdecode(os.fsencode(tmp_path) + '/mödel.onnx'.encode())
    shutil.copy(model, name)
    ascii_only = {'LC_ALL': 'POSIX', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
    code, out, err = finish(start('benchmark', name, '--frames', '1', env=ascii_only))
    assert (code, out) == (1, '')
    assert err.endswith(
        'del.onnx: the locale of this process is not UTF-8, but ONNX Runtime needs UTF-8: set LC_ALL=C.UTF-8 or '
        'PYTHONUTF8=1\n')
    for remedy in ({'LC_ALL': 'C.UTF-8'}, {'PYTHONUTF8': '1'}):
        assert finish(start('benchmark', name, '--frames', '1', env={**ascii_only, **remedy}))[0] == 0


# Unexpected errors


def failing(error, **environment):
    code = (
        'import sys\n'
        'from trt_perception.cli import main as program, fetch\n'
        f'def run(options): raise {error}\n'
        'fetch.run = run\n'
        'sys.argv = ["trt_perception", "fetch", "--list"]\n'
        'sys.exit(program.main())\n')
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=600, env={**ENVIRONMENT, **environment})


@pytest.mark.parametrize('error, says', [
    ('RecursionError("maximum recursion depth exceeded")', 'RecursionError'),
    ('TypeError("bad\\n\\x1b[31mtype")', r'bad \x1b[31mtype'),
    ('ValueError("x" * 5000)', 'ValueError'),
    ('UnicodeDecodeError("utf-8", b"\\xff", 0, 1, "invalid start byte")', 'invalid start byte'),
    ('__import__("struct").error("unpack requires 4 bytes")', 'unpack requires 4 bytes'), ('KeyError()', 'KeyError')])
def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(error, says):
    done = failing(error)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1 and len(done.stderr) < 700
    assert done.stderr.startswith('trt_perception: unexpected ')
    assert says in done.stderr
    assert 'TRT_PERCEPTION_TRACEBACK=1 shows the traceback' in done.stderr
    more = failing(error, TRT_PERCEPTION_TRACEBACK='1')
    assert more.returncode == 3
    assert 'Traceback (most recent call last):' in more.stderr
    assert re.search('in run', more.stderr)


def test_a_limit_of_processes_is_no_fault_of_the_program():
    """Python's error with `ulimit -u`, which does not bind root."""
    done = failing('RuntimeError("can\'t start new thread")')
    assert done.returncode == 1
    assert done.stderr == (
        'trt_perception: no new thread can be started: allow this user more processes (ulimit -u, or the limit of the '
        'container)\n')


def test_expected_errors_keep_their_exit_code():
    assert failing('OSError(28, "No space left on device", "a\\x1b.json")').stderr == (
        'trt_perception: a\\x1b.json: No space left on device\n')
    assert failing('MemoryError("cannot allocate")').stderr == 'trt_perception: out of memory: cannot allocate\n'
    assert failing('SystemExit(5)').returncode == 5


def printed_and_imported(*commands):
    """What the commands print in one process, and which libraries they import."""
    code = (
        'import sys\n'
        'from trt_perception.cli.main import main\n'
        f'for command in {commands!r}:\n'
        '    try:\n'
        '        main(command)\n'
        '    except SystemExit as end:\n'
        '        assert not end.code\n'
        'libraries = {"numpy", "cv2", "onnx", "onnxruntime", "yaml", "rosbags", "rclpy", "torch"}\n'
        'print(sorted(libraries & set(sys.modules)), file=sys.stderr)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    return done.stdout, done.stderr


def test_help_imports_no_library_and_no_subcommand():
    out, imported = printed_and_imported(['--help'])
    assert imported == '[]\n'
    listed = [line.split()[0] for line in out.splitlines() if re.match('    [a-z]', line)]
    assert listed == list(SUBCOMMANDS)


def test_help_of_a_subcommand_is_as_fast_as_its_imports():
    out, imported = printed_and_imported(*([name, '--help'] for name in SUBCOMMANDS))
    assert imported == "['numpy']\n"
    for name in SUBCOMMANDS:
        assert f'usage: trt_perception {name} ' in out


def test_help_shows_the_first_line_of_each_docstring():
    out, _ = printed_and_imported(['--help'])
    for name in SUBCOMMANDS:
        text = importlib.import_module(f'trt_perception.cli.{name}').__doc__.splitlines()[0]
        assert f'{name} {text}' in ' '.join(out.split())
