# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`make setup` reports missing packages, resumes after an interruption and repeats incomplete steps."""

import fcntl
import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]

from scripts.environment import cmake_exports, project, system_packages, venv, vision_msgs
from scripts.environment.commands import clean_environment, run_logged
from scripts.environment.errors import SetupError
from scripts.environment.lock import held
from scripts.environment.plain_path import plain, replace_in_files
from scripts.environment.progress import Step
from scripts.environment.stamps import Stamps, content_key


def test_key_follows_content_name_and_order_of_parts(tmp_path):
    file = tmp_path / 'a.txt'
    file.write_text('one')
    key = content_key(['x', 'y'], [file])
    assert content_key(['x', 'y'], [file]) == key
    assert content_key(['xy'], [file]) != key
    assert content_key(['y', 'x'], [file]) != key
    file.write_text('two')
    assert content_key(['x', 'y'], [file]) != key
    file.write_text('one')
    assert content_key(['x', 'y'], [file.rename(tmp_path / 'b.txt')]) != key


def test_step_that_was_cut_off_is_not_current(tmp_path):
    stamps = Stamps(tmp_path / 'stamps')
    assert not stamps.is_current('packages', 'k1')
    stamps.complete('packages', 'k1')
    assert stamps.is_current('packages', 'k1')
    assert not stamps.is_current('packages', 'k2')
    stamps.begin('packages')
    assert not stamps.is_current('packages', 'k1')


def test_exports_name_this_machines_include_folders(tmp_path):
    export = tmp_path / 'share' / 'sensor_msgs' / 'cmake' / 'export_sensor_msgs__pyExport.cmake'
    export.parent.mkdir(parents=True)
    export.write_text(
        'INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp310-cp310/include/python3.10;'
        '/opt/python/cp310-cp310/lib/python3.10/site-packages/numpy/core/include;${_IMPORT_PREFIX}"')
    other = export.with_name('sensor_msgsConfig.cmake')
    other.write_text('/opt/python/cp310-cp310/include/python3.10')
    assert cmake_exports.mend_exports(tmp_path, '/py include', '/np') == 1
    assert export.read_text() == (
        'INTERFACE_INCLUDE_DIRECTORIES "/py include;/np;${_IMPORT_PREFIX}"')
    assert other.read_text() == '/opt/python/cp310-cp310/include/python3.10'
    assert cmake_exports.mend_exports(tmp_path, '/py include', '/np') == 0


def test_missing_compiler_is_named_with_one_apt_line(tmp_path, monkeypatch):
    (tmp_path / 'make').write_text('#!/bin/sh\n')
    (tmp_path / 'make').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    # The platform is checked first, and these tests run on ARM too.
    monkeypatch.setattr(platform, 'machine', lambda: 'x86_64')
    with pytest.raises(SetupError) as caught:
        system_packages.check_machine(tmp_path)
    message = str(caught.value)
    assert 'sudo apt-get install -y gcc g++' in message
    assert 'make' not in message.split('apt-get install -y')[1]
    assert message.count('apt-get install') == 1


def test_type_hash_mismatch_names_message_and_both_hashes():
    vision_msgs.verify({'A': 'RIHS01_1'}, {'A': 'RIHS01_1'})
    with pytest.raises(SetupError, match='A: expected RIHS01_1, found RIHS01_2'):
        vision_msgs.verify({'A': 'RIHS01_1'}, {'A': 'RIHS01_2'})
    with pytest.raises(SetupError, match='B: expected RIHS01_3, found no such message'):
        vision_msgs.verify({'A': 'RIHS01_1', 'B': 'RIHS01_3'}, {'A': 'RIHS01_1'})


def test_package_without_its_files_counts_as_half_installed(tmp_path):
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(tmp_path)], check=True)
    made = venv.Venv(tmp_path)
    site_packages = made.site_packages
    assert site_packages.is_relative_to(tmp_path)
    info = site_packages / 'ros_rclpy-7.1.6.dist-info'
    record = ('rclpy/__init__.py,sha256=x,10\nrclpy/__pycache__/__init__.cpython-311.pyc,,\n'
              '"share/a,b.txt",sha256=y,2\n')
    for files in ({'METADATA': 'Name: ros-rclpy\n'}, {'METADATA': 'Name: ros-rclpy\n', 'RECORD': record}):
        info.mkdir()
        for name, content in files.items():
            (info / name).write_text(content)
        assert made.forget_half_installed() == ['ros_rclpy']
        assert not info.exists()
    info.mkdir()
    (info / 'RECORD').write_text(record)
    for name in ('rclpy/__init__.py', 'share/a,b.txt'):
        (site_packages / name).parent.mkdir()
        (site_packages / name).touch()
    assert made.forget_half_installed() == []
    assert info.exists()


def test_failed_command_shows_its_last_lines_and_the_log(tmp_path):
    log = tmp_path / 'setup.log'
    seen = []
    with pytest.raises(SetupError) as caught:
        run_logged(['/bin/sh', '-c', 'seq 1 40; echo "no space left" >&2; exit 3'], log,
                   on_line=seen.append)
    message = str(caught.value)
    assert 'exit code 3' in message and 'no space left' in message and str(log) in message
    assert '\n  5\n' not in message
    assert seen[:2] == ['1', '2']
    assert '\n5\n' in log.read_text()


def test_sourced_ros_does_not_leak(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', '/opt/ros/humble/lib/python3.10/site-packages')
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/opt/ros/humble')
    monkeypatch.setenv('LANG', 'C.UTF-8')
    environment = clean_environment({'AMENT_PREFIX_PATH': '/venv'})
    assert 'PYTHONPATH' not in environment
    assert environment['AMENT_PREFIX_PATH'] == '/venv'
    assert environment['LANG'] == 'C.UTF-8'


def test_settings_of_pip_that_install_elsewhere_do_not_count(monkeypatch):
    monkeypatch.setenv('PIP_TARGET', '/elsewhere')
    monkeypatch.setenv('PIP_USER', '1')
    monkeypatch.setenv('PIP_INDEX_URL', 'https://mirror.invalid/simple')
    environment = clean_environment()
    assert 'PIP_TARGET' not in environment
    # pip refuses `user` in a venv, from its configuration file too.
    assert environment['PIP_USER'] == '0'
    assert environment['PIP_INDEX_URL'] == 'https://mirror.invalid/simple'


def test_python_finds_the_scripts_with_a_safe_path():
    done = subprocess.run(
        ['make', '--no-print-directory', '-C', str(ROOT), '--eval', 'show: ; @env', 'show'], capture_output=True,
        text=True, check=True, env={**os.environ, 'PYTHONSAFEPATH': '1', 'OTHER': '1'})
    assert 'OTHER=1' in done.stdout.splitlines()
    assert 'PYTHONSAFEPATH' not in done.stdout


def test_names_that_are_not_utf8_are_logged_and_hashed(tmp_path):
    name = os.fsdecode(b'caf\xe9')
    assert content_key([name]) != content_key(['cafe'])
    run_logged(['/bin/echo', name], tmp_path / 'log')
    assert 'caf' in (tmp_path / 'log').read_text()


def test_cmake_gets_a_path_without_spaces(tmp_path):
    with plain(tmp_path) as path:
        assert path == tmp_path
    folder = tmp_path / 'mes rôbots'
    folder.mkdir()
    with plain(folder) as link:
        assert str(link).isascii() and ' ' not in str(link)
        (link / 'new.sh').write_text(f'prefix={link}\n')
        (link / 'new.txt').write_text(f'{link}\n')
    # What was written through the link must not name it.
    assert not link.exists()
    replace_in_files(folder, link, folder)
    assert (folder / 'new.sh').read_text() == f'prefix={folder}\n'
    assert (folder / 'new.txt').read_text() == f'{link}\n'


def started(program, *arguments):
    return subprocess.Popen(
        [sys.executable, '-c', program, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)


def writing_end(pipe, process):
    """Open a pipe as soon as a command of the process reads it."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)


def test_a_command_of_a_killed_setup_keeps_the_lock(tmp_path):
    folder, pipe = tmp_path / 'venv', tmp_path / 'pipe'
    os.mkfifo(pipe)
    setup = started(
        'import sys; from pathlib import Path; from scripts.environment.lock import held\n'
        'from scripts.environment.venv import Venv\n'
        'folder = Path(sys.argv[1])\n'
        'with held(folder) as lock:\n'
        '    Venv(folder, lock).run(["/bin/cat", sys.argv[2]], folder / "log")', folder, pipe)
    with os.fdopen(writing_end(pipe, setup), 'w'):
        setup.kill()
        setup.communicate()
        handle = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # The command has read everything and ends.
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.close(handle)


def test_a_setup_that_waited_has_a_folder_although_the_first_one_failed(tmp_path):
    folder = tmp_path / 'venv'
    with held(folder):
        second = started(
            'import sys; from pathlib import Path; from scripts.environment.lock import held\n'
            'with held(Path(sys.argv[1])): print(Path(sys.argv[1]).is_dir())', folder)
        assert second.stdout.readline().startswith('waiting for another setup')
    assert second.communicate() == ('True\n', '')


def test_a_terminated_setup_ends_like_an_interrupted_one(tmp_path):
    setup = started(
        'import signal, sys; from scripts.environment import __main__ as setup\n'
        'setup.set_up = lambda *_: (print("begun", flush=True), signal.pause())\n'
        'sys.exit(setup.main(["--venv", sys.argv[1]]))', tmp_path / 'venv')
    assert setup.stdout.readline() == 'begun\n'
    setup.send_signal(signal.SIGTERM)
    assert setup.communicate() == ('', 'make setup: interrupted; run it again to continue\n')
    assert setup.returncode == 130
    assert not (tmp_path / 'venv').exists()


def test_files_of_others_are_not_deleted(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(SetupError, match='was not made by make setup'):
        venv.Venv(tmp_path).create(tmp_path / '.setup' / 'setup.log', prompt='p')
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_a_full_disk_is_seen_before_the_download(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, 'machine', lambda: 'x86_64')
    monkeypatch.setattr(system_packages, 'missing_packages', list)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=1 << 30))
    with held(tmp_path / 'venv'), pytest.raises(SetupError, match='expected 3 GiB free'):
        system_packages.check_machine(tmp_path / 'venv')
    # What is there is completed.
    (tmp_path / 'bin').mkdir()
    system_packages.check_machine(tmp_path)


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / 'file').touch()
    (tmp_path / 'venv').mkdir()
    (tmp_path / 'venv' / '.setup').touch()
    for name, expected in (
            ('file', f'make setup: the folder {tmp_path}/file cannot be used: File exists. Choose another one: '),
            ('venv', f'make setup: {tmp_path}/venv/.setup/venv: Not a directory. Solve this, then run it again')):
        done = subprocess.run(
            [sys.executable, '-m', 'scripts.environment', '--venv', str(tmp_path / name)], cwd=ROOT,
            capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(expected), done.stderr
        assert done.stderr.count('\n') == 1


@pytest.mark.parametrize('failing, word', [(False, 'done'), (True, 'failed')])
def test_step_says_how_it_ended(failing, word):
    stream = io.StringIO()
    try:
        with Step('3/4 building', stream):
            if failing:
                raise SetupError('no')
    except SetupError:
        assert failing
    lines = stream.getvalue().splitlines()
    assert lines[0] == '3/4 building ...'
    assert lines[-1].startswith(f'3/4 building: {word} (')


def walked(share, name):
    """Return the paths that `ros2 launch PACKAGE NAME` finds: ros2launch walks the share folder like this."""
    return [Path(folder) / name for folder, _, files in os.walk(share) if name in files]


def test_ros2_launch_finds_the_launch_files_of_the_checkout(tmp_path):
    root, prefix = tmp_path / 'checkout', tmp_path / 'venv'
    for folder in ('launch', 'config', 'models', 'resource'):
        (root / folder).mkdir(parents=True)
    for name in ('package.xml', 'resource/trt_perception', 'launch/detect.launch.py', 'config/detect.yaml'):
        (root / name).write_text(name)
    share = prefix / 'share' / 'trt_perception'
    # Older setups linked the folder, which os.walk does not enter.
    share.mkdir(parents=True)
    (share / 'launch').symlink_to(root / 'launch')
    assert walked(share, 'detect.launch.py') == []
    project.link_shared(root, prefix)
    (found,) = walked(share, 'detect.launch.py')
    assert found.read_text() == 'launch/detect.launch.py'
    # An edit in the checkout takes effect at once, a new or removed file with the next setup.
    (root / 'launch' / 'detect.launch.py').write_text('edited')
    assert found.read_text() == 'edited'
    before = project.launch_files(root)
    (root / 'launch' / 'detect.launch.py').rename(root / 'launch' / 'other.launch.py')
    assert content_key(project.launch_files(root)) != content_key(before)
    project.link_shared(root, prefix)
    assert walked(share, 'detect.launch.py') == []
    assert walked(share, 'other.launch.py') == [share / 'launch' / 'other.launch.py']
    assert (share / 'config' / 'detect.yaml').read_text() == 'config/detect.yaml'
    assert (root / 'launch' / 'other.launch.py').read_text() == 'edited'


def test_the_launch_files_are_those_that_a_package_installs():
    assert project.launch_files(ROOT) == sorted(path.name for path in (ROOT / 'launch').iterdir() if path.is_file())


@pytest.mark.parametrize('python, expected', [
    ('no-such-python', 'PYTHON=no-such-python is not a program'),
    ('old-python', 'expected Python 3.10 to 3.14, found 3.8.10')])
def test_unusable_python_is_refused(tmp_path, python, expected):
    old = tmp_path / 'old-python'
    # Answers like an interpreter that is too old.
    old.write_text('#!/bin/sh\ncase "$2" in *platform*) echo 3.8.10 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / 'scripts' / 'find_python.sh')], capture_output=True, text=True, check=False,
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'PYTHON': python})
    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stdout == ''


def test_make_help_lists_the_targets():
    done = subprocess.run(['make', '--no-print-directory', '-C', str(ROOT)], capture_output=True,
                          text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith('  ')}
    assert {'setup', 'demo', 'test', 'benchmark', 'help'} <= listed
