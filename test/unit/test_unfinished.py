# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that killed processes left are removed by the next process; those of running processes are not."""

import contextlib
import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.other_users import give_away
from support.subprocesses import python_environment

from trt_perception.backends.tensorrt.cache.engine_cache import BuiltEngine, EngineCache
from trt_perception.backends.tensorrt.cache.engine_key import EngineKey
from trt_perception.backends.tensorrt.cache.private_files import make_private_folder, replace_private
from trt_perception.cli.main import main
from trt_perception.errors import FetchError
from trt_perception.file_cache import replace_file, scratch_folder, store
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.unfinished import part_folder, remove_leftovers, temporary_folder

KEY = EngineKey('a' * 64, 'tensorrt 8.6.0', 'Orin', '8.7', 16, 30720, BuildOptions())
OLD = (1, 1)


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith('.') and path.suffix != '.lock')


# Each writes something and stops in the middle, at `print('now')`.
_PREAMBLE = """
import sys, time
from pathlib import Path
target = Path(sys.argv[1])
def stop(*_):
    print('now', flush=True)
    time.sleep(60)
"""
WRITERS = {
    'replace_file': """
from trt_perception.file_cache import replace_file
replace_file(target, lambda part: (part.write_bytes(b'half'), stop()))
""",
    'scratch_folder': """
from trt_perception.file_cache import scratch_folder
with scratch_folder(target) as folder:
    (folder / 'wheel').mkdir()
    (folder / 'wheel' / 'half').write_bytes(b'half')
    stop()
""",
    'replace_private': """
import os
from trt_perception.backends.tensorrt.cache.private_files import replace_private
os.fsync = stop
replace_private(target, b'half')
""",
    'nested': """
from trt_perception.file_cache import replace_file
replace_file(target, lambda part: replace_file(part, lambda inner: (inner.write_bytes(b'half'), stop())))
""",
}
REPLACERS = {
    'replace_file': lambda target: replace_file(target, lambda part: part.write_bytes(b'new')),
    'scratch_folder': lambda target: _through_scratch(target),
    'replace_private': lambda target: replace_private(target, b'new'),
    'nested': lambda target: replace_file(target, lambda part: store(part, b'new', 'recipe')),
}


def _through_scratch(target):
    with scratch_folder(target) as folder:
        (folder / 'x').write_bytes(b'new')
        (folder / 'x').replace(target)


@contextlib.contextmanager
def writing(kind, target):
    """Yield a process that is in the middle of writing `target`."""
    with subprocess.Popen(
            [sys.executable, '-c', _PREAMBLE + WRITERS[kind], str(target)], stdout=subprocess.PIPE, text=True,
            env=python_environment()) as process:
        try:
            assert process.stdout.readline() == 'now\n'
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize('kind', WRITERS)
def test_the_next_writer_removes_what_a_killed_one_left_but_not_what_a_running_one_writes(tmp_path, kind):
    target = tmp_path / 'model[1] ä.onnx'
    with writing(kind, target):
        with writing(kind, target):
            assert len(hidden(tmp_path)) == 2
            REPLACERS[kind](target)
            assert len(hidden(tmp_path)) == 2
        # One of them was killed.
        REPLACERS[kind](target)
        assert len(hidden(tmp_path)) == 1
    REPLACERS[kind](target)
    assert hidden(tmp_path) == []
    assert target.read_bytes() == b'new'


@pytest.mark.parametrize('kind', WRITERS)
def test_a_target_in_a_users_folder_removes_only_its_own_left_overs(tmp_path, kind):
    """`.film.mp4.part` may be another program's."""
    others = [tmp_path / '.film.mp4.abc.part', tmp_path / '.model.onnx.part', tmp_path / '.model.txt.1.part']
    for other in others:
        other.write_bytes(b'x')
        os.utime(other, OLD)
    REPLACERS[kind](tmp_path / 'model.onnx')
    assert all(other.exists() for other in others)


def test_a_file_of_an_older_version_is_left_over_after_a_day(tmp_path):
    fresh, old, folder = (tmp_path / f'.m.onnx.{number}.part' for number in (11, 12, 13))
    for path in (fresh, old):
        path.write_bytes(b'x')
    folder.mkdir()
    (folder / 'half').write_bytes(b'x')
    for path in (old, folder):
        os.utime(path, OLD)
    (tmp_path / '.m.onnx.14.part').symlink_to(tmp_path)
    replace_file(tmp_path / 'm.onnx', lambda part: part.write_bytes(b'new'))
    assert hidden(tmp_path) == ['.m.onnx.11.part', '.m.onnx.14.part']
    assert (tmp_path / 'm.onnx').read_bytes() == b'new'


def test_whoever_holds_the_lock_of_an_engine_removes_all_of_its_unfinished_files(tmp_path):
    cache = EngineCache(tmp_path / 'engines')
    make_private_folder(cache.root)
    digest = KEY.digest()
    for name in (f'.{digest}.plan.123.part', f'.{digest}.json.4.part'):
        (cache.root / name).write_bytes(b'x')
    # Another engine's, which may be written at this moment by an older version of this package.
    other = cache.root / f'.{"b" * 32}.plan.5.part'
    other.write_bytes(b'x')
    cache.get_or_build(KEY, 'm.onnx', lambda: BuiltEngine(b'plan', {}))
    assert hidden(cache.root) == [other.name]
    os.utime(other, OLD)
    cache.prune(lambda entry: True)
    assert hidden(cache.root) == []
    assert cache.get_or_build(KEY, 'm.onnx', lambda: pytest.fail('built')).hit


def test_prune_removes_the_left_overs_of_every_kind(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    root = tmp_path / 'trt_perception'
    folders = [root / name for name in ('engines', 'kernels', 'quantized', 'models', 'downloads', 'videos')]
    for folder in folders:
        make_private_folder(folder)
        with writing('replace_file', folder / 'file'):
            assert main(['cache', 'prune']) == 0
            assert len(hidden(folder)) == 1
    assert main(['cache', 'prune']) == 0
    assert [hidden(folder) for folder in folders] == [[]] * 6


def test_a_folder_without_its_lock_is_being_made(tmp_path):
    """A process was just creating it; after a day it was killed."""
    (tmp_path / '.m.XXXXXXXX.part').mkdir()
    remove_leftovers(tmp_path)
    assert hidden(tmp_path) == ['.m.XXXXXXXX.part']
    os.utime(tmp_path / '.m.XXXXXXXX.part', OLD)
    remove_leftovers(tmp_path)
    assert hidden(tmp_path) == []


def test_a_folder_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    real, removed = fcntl.flock, []

    def flock(descriptor, operation):
        if not removed:
            removed.append(hidden(tmp_path))
            # What another process does that finds the lock file without a lock.
            folder, = tmp_path.glob('.m.*.part')
            (folder / '.part.lock').unlink()
            folder.rmdir()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, 'flock', flock)
    with part_folder(tmp_path, 'm') as folder:
        assert folder.is_dir() and [folder.name] != removed[0]
        remove_leftovers(tmp_path)
        assert folder.is_dir()
    assert hidden(tmp_path) == []


def test_without_locks_unfinished_files_are_removed_after_a_day(tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', flock)
    with part_folder(tmp_path, 'm') as folder:
        remove_leftovers(tmp_path)
        remove_leftovers(tmp_path, 'm', locked=True)
        assert folder.is_dir()
        os.utime(folder, OLD)
        remove_leftovers(tmp_path)
        assert not folder.exists()


def test_names_of_any_length_have_unfinished_files(tmp_path):
    name = 'ä' * 127
    replace_file(tmp_path / name, lambda part: part.write_bytes(b'x'))
    with writing('replace_file', tmp_path / name):
        pass
    replace_file(tmp_path / name, lambda part: part.write_bytes(b'y'))
    assert (hidden(tmp_path), (tmp_path / name).read_bytes()) == ([], b'y')
    with pytest.raises(FetchError, match='File name too long'):
        replace_file(tmp_path / ('x' * 256), lambda part: part.write_bytes(b'x'))
    assert hidden(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file to somebody else')
def test_files_of_other_users_are_left_alone(tmp_path):
    other = tmp_path / '.trt_perception.12345678.part'
    other.mkdir()
    (other / '.part.lock').touch()
    give_away(other)
    os.utime(other, OLD)
    remove_leftovers(tmp_path)
    assert other.is_dir()


def test_the_next_temporary_folder_removes_those_of_killed_processes(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setattr('tempfile.tempdir', None)
    WRITERS['temporary_folder'] = (
        'from trt_perception.unfinished import temporary_folder\n'
        'with temporary_folder() as folder:\n'
        '    (folder / "folded.onnx").write_bytes(bytes(1000))\n'
        '    stop()\n')
    try:
        with writing('temporary_folder', tmp_path):
            with writing('temporary_folder', tmp_path), temporary_folder():
                assert len(hidden(tmp_path)) == 3
            with temporary_folder() as folder:
                assert len(hidden(tmp_path)) == 2 and folder.parent == tmp_path
            assert len(hidden(tmp_path)) == 1
    finally:
        del WRITERS['temporary_folder']


# -- real builds and conversions

_BUILD = """
import sys
from trt_perception.backends.tensorrt import engine_source
from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo
from trt_perception.backends.tensorrt.engine_source import EngineSource
from trt_perception.model.spec import load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions

# The engine is for a GPU that this machine does not have; everything else is as in the node.
engine_source.gpu_info = lambda index: GpuInfo('a card', '8.6', 28, 12288, integrated=False)
model, photos, precision = sys.argv[1:]
source = EngineSource(
    load_model(model),
    PipelineOptions('tensorrt', precision, calibration=CalibrationOptions(photos, samples=32, method='mse'),
                    build=BuildOptions(precision, compute_capabilities=('8.6',), optimization_level=0)),
    Monitor(lambda text, done, total: print(text, flush=True)))
source.engine(source.prepare())
print('done', flush=True)
"""


def run_build(tmp_path, precision, kill_at=None):
    """Build; kill -9 the process after this many lines of progress. Returns the lines until then.

    When it returns, the child processes have ended too.
    """
    temporary = tmp_path / 'temporary'
    temporary.mkdir(exist_ok=True)
    environment = {
        **python_environment(), 'XDG_CACHE_HOME': str(tmp_path / 'cache'), 'TMPDIR': str(temporary)}
    import psutil
    lines, children = [], []
    with subprocess.Popen(
            [sys.executable, '-c', _BUILD, str(tmp_path / 'model.onnx'), str(tmp_path / 'images'), precision],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        for line in process.stdout:
            lines.append(line.strip())
            if len(lines) == kill_at:
                # Stopped, it starts no child process after these.
                process.send_signal(signal.SIGSTOP)
                children = psutil.Process(process.pid).children(recursive=True)
                process.send_signal(signal.SIGKILL)
                break
    _, alive = psutil.wait_procs(children, 300)
    assert not alive, 'the worker of the build ends with its parent'
    assert kill_at is not None or lines[-1] == 'done', lines[-5:]
    return lines


def left_in(tmp_path):
    """Return the files that are neither results nor locks, in the cache and the folder for temporary files."""
    roots = [tmp_path / 'cache' / 'trt_perception', tmp_path / 'temporary']
    found = [path.relative_to(tmp_path) for root in roots for path in root.rglob('*') if path.is_file()]
    return [str(path) for path in found if not re.fullmatch(
        r'engines/([0-9a-f]{32}\.(plan|json|lock)|.*\.timings)|quantized/(model-.*\.onnx(\.json)?|\.model-.*\.lock)',
        '/'.join(path.parts[2:])) and path.name != '.ses']  # .ses: a file of ONNX Runtime itself


@pytest.mark.parametrize('precision', ['fp16', 'int8'])
def test_a_killed_build_leaves_nothing_after_the_next_one(tmp_path, precision):
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    pytest.importorskip('onnxruntime', reason='needs onnxruntime: make setup')
    from support.precision_models import color_folder, conv_detector
    color_folder(tmp_path / 'images', 48)
    conv_detector(tmp_path / 'model.onnx', batch_norm=True)
    whole = run_build(tmp_path, precision)
    assert left_in(tmp_path) == []
    steps = [index for index, line in enumerate(whole) if index == 0 or line != whole[index - 1]]
    for kill_at in {steps[len(steps) * part // 6] + 1 for part in range(1, 6)}:
        for path in (tmp_path / 'cache' / 'trt_perception').rglob('*'):
            if path.is_file():
                path.unlink()
        run_build(tmp_path, precision, kill_at)
        run_build(tmp_path, precision)
        assert left_in(tmp_path) == [], whole[kill_at - 1]


def test_every_temporary_folder_of_the_package_is_one_that_is_cleaned_up():
    """tempfile's own folders stay after SIGKILL. A bag's is removed by the demo; an anonymous file leaves nothing."""
    package = Path(__file__).parents[2] / 'trt_perception'
    users = {
        path.relative_to(package).as_posix() for path in package.rglob('*.py')
        if re.search(r'TemporaryDirectory|NamedTemporaryFile|mkdtemp|mkstemp', path.read_text())}
    assert users == {'unfinished.py', 'sources/bag_writer.py'}
