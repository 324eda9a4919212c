# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The lock between processes, and its three users."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys

import pytest
from support.recording_monitor import Told
from support.subprocesses import python_environment

from trt_perception.backends.tensorrt.cache.engine_cache import BuiltEngine, EngineCache
from trt_perception.backends.tensorrt.cache.engine_key import EngineKey
from trt_perception.demo.folder_lock import locked_folder
from trt_perception.errors import EngineError, FetchError
from trt_perception.file_cache import locked
from trt_perception.file_lock import LockingError, hold_lock, try_lock
from trt_perception.pipeline.tensorrt_options import BuildOptions

_HOLDING = (
    'import sys, time\n'
    'from pathlib import Path\n'
    'from trt_perception.file_lock import hold_lock\n'
    'with hold_lock(Path(sys.argv[1])):\n'
    '    print("held", flush=True)\n'
    '    time.sleep(60)\n')


@contextlib.contextmanager
def held_elsewhere(path):
    """Hold the lock in another process; yields that process."""
    with subprocess.Popen(
            [sys.executable, '-c', _HOLDING, str(path)], stdout=subprocess.PIPE, text=True,
            env=python_environment()) as holder:
        assert holder.stdout.readline() == 'held\n'
        try:
            yield holder
        finally:
            holder.kill()


@pytest.fixture
def without_locks(monkeypatch):
    """Simulate a file system without locks, such as some network file systems."""
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', flock)


def test_one_process_has_it_until_it_ends_however_that_is(tmp_path):
    path = tmp_path / 'lock'
    with held_elsewhere(path) as holder:
        with try_lock(path) as file:
            assert file is None
        holder.kill()
        holder.wait()
        with try_lock(path) as file:
            assert os.path.samestat(os.fstat(file.fileno()), path.stat())
            # The same process cannot take the lock twice either.
            with try_lock(path) as second:
                assert second is None
    with try_lock(path) as file:
        assert file is not None


def test_who_holds_it_waits_for_the_other_and_can_give_up(tmp_path):
    path, waited = tmp_path / 'lock', []
    with held_elsewhere(path) as holder:
        def waiting(seconds):
            waited.append(seconds)
            if len(waited) == 3:
                holder.kill()

        with hold_lock(path, waiting), try_lock(path) as file:
            assert file is None
    assert len(waited) >= 3 and waited == sorted(waited) and waited[0] >= 0.0

    class Cancelled(Exception):
        pass

    def cancelled(seconds):
        raise Cancelled

    with held_elsewhere(path), pytest.raises(Cancelled), hold_lock(path, cancelled):
        pytest.fail('held twice')


def test_what_the_block_raises_comes_out_and_frees_it(tmp_path):
    for lock in (try_lock, hold_lock):
        with pytest.raises(OSError, match='mine'), lock(tmp_path / 'lock'):
            raise OSError('mine')
        with try_lock(tmp_path / 'lock') as file:
            assert file is not None


def test_a_new_file_has_the_permissions_asked_for(tmp_path):
    old = os.umask(0o022)
    try:
        for mode, expected in ((0o666, 0o644), (0o600, 0o600)):
            with try_lock(tmp_path / oct(mode), mode):
                assert (tmp_path / oct(mode)).stat().st_mode & 0o777 == expected
    finally:
        os.umask(old)


def test_a_link_or_a_folder_in_its_place_is_an_error(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'folder').mkdir()
    for name, reason in (('link', 'Too many levels of symbolic links'), ('folder', 'Is a directory')):
        with pytest.raises(OSError, match=reason) as found, hold_lock(tmp_path / name):
            pytest.fail('locked')
        assert not isinstance(found.value, LockingError)
    assert not (tmp_path / 'elsewhere').exists()


def test_without_locks_each_user_of_it_decides(tmp_path, without_locks):
    with pytest.raises(LockingError, match='No locks available'), try_lock(tmp_path / 'lock'):
        pytest.fail('locked')
    # Without locks a download may be done twice, and the demo runs without a lock.
    with locked(tmp_path / 'locks' / 'model.lock'):
        assert (tmp_path / 'locks').is_dir()
    with locked_folder(tmp_path):
        pass
    # Without a lock, one of two processes would remove the files that the other one builds.
    cache = EngineCache(tmp_path / 'engines')
    key = EngineKey('a' * 64, 'tensorrt 8.6.0', 'Orin', '8.7', 16, 30720, BuildOptions())
    with pytest.raises(EngineError, match=r'engines/\w+\.lock cannot be locked: No locks available'):
        cache.get_or_build(key, 'm.onnx', lambda: BuiltEngine(b'plan', {}))


def test_who_waits_for_a_download_says_so(tmp_path):
    path = tmp_path / 'locks' / 'model.lock'
    with locked(path):
        pass
    with held_elsewhere(path) as holder:
        told = Told(lambda text, done, total: holder.kill())
        with locked(path, told.monitor.progress):
            assert set(told.progress) == {('waiting for another process that makes the same file', 0, None)}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / 'file').touch()
    path = tmp_path / 'file' / 'locks' / 'model.lock'
    with pytest.raises(FetchError, match=r'cannot be written: .*; set XDG_CACHE_HOME to a folder that can') as found, \
            locked(path):
        pytest.fail('locked')
    assert str(found.value).startswith(f'{path.parent} cannot')
