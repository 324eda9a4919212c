# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.other_users import give_away
from support.recording_monitor import Told
from support.subprocesses import python_environment

from trt_perception.backends.tensorrt.cache import engine_cache as cache_module
from trt_perception.backends.tensorrt.cache.engine_cache import BuiltEngine, EngineCache, sealed_json
from trt_perception.backends.tensorrt.cache.engine_key import EngineKey, differences
from trt_perception.backends.tensorrt.cache.private_files import replace_private
from trt_perception.backends.tensorrt.cache.timings import prune_timings, timing_cache_path, timing_caches
from trt_perception.cli.main import main
from trt_perception.errors import EngineError, FetchError
from trt_perception.file_cache import replace_file
from trt_perception.pipeline.tensorrt_options import BuildOptions

KEY = EngineKey(
    'a' * 64, 'tensorrt 8.6.0', 'Orin', '8.7', 16, 30720, BuildOptions(precision='fp16'))
PLAN = bytes(range(256)) * 400


class Builds:
    """Counts builds."""

    def __init__(self, plan: bytes = PLAN) -> None:
        self.count = 0
        self.plan = plan

    def __call__(self) -> BuiltEngine:
        self.count += 1
        return BuiltEngine(self.plan, {'build_seconds': 1.5, 'precision_effective': 'fp16'})


def unexpected() -> BuiltEngine:
    raise AssertionError('must not be built')


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / 'cache' / 'engines')


def test_a_second_call_is_a_hit_with_the_same_content(cache: EngineCache) -> None:
    build, told = Builds(), Told()
    first = cache.get_or_build(KEY, 'm.onnx', build, told.monitor)
    second = cache.get_or_build(KEY, 'm.onnx', build, told.monitor)
    assert (build.count, first.hit, second.hit) == (1, False, True)
    assert first.plan == second.plan == PLAN
    assert second.sidecar['precision_effective'] == 'fp16'
    assert second.sidecar['key']['compute_capability'] == '8.7'
    assert told.log == [
        ('info', 'no engine in the cache for m.onnx: none was built before; building it'),
        ('info', f'engine for m.onnx found in the cache ({first.digest}, built {first.sidecar["built"]})')]
    assert told.progress == []


def test_folder_and_files_are_private(cache: EngineCache) -> None:
    old = os.umask(0)
    try:
        entry = cache.get_or_build(KEY, 'm.onnx', Builds())
    finally:
        os.umask(old)
    assert cache.root.stat().st_mode & 0o777 == 0o700
    assert entry.plan_path.stat().st_mode & 0o777 == 0o600
    assert entry.plan_path.with_suffix('.json').stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('change', [
    {'model_sha256': 'b' * 64}, {'tensorrt': 'tensorrt 10.3.0'}, {'gpu': 'Thor'}, {'compute_capability': '11.0'},
    {'multiprocessors': 20}, {'memory_mib': 15360}, {'calibration_sha256': 'c' * 64},
    {'options': BuildOptions(precision='fp32')}, {'options': BuildOptions(precision='fp16', optimization_level=5)},
    {'options': BuildOptions(precision='fp16', input_size=(640, 640))},
    {'options': BuildOptions(precision='fp16', batch=(1, 2, 4))},
    {'options': BuildOptions(precision='fp16', dla_core=0)},
    {'options': BuildOptions(precision='fp16', hardware_compatibility='ampere_plus')},
    {'options': BuildOptions(precision='fp16', workspace_mib=512)}])
def test_every_part_of_the_key_counts(cache: EngineCache, change: dict) -> None:
    cache.get_or_build(KEY, 'm.onnx', Builds())
    build, told = Builds(b'other'), Told()
    entry = cache.get_or_build(replace(KEY, **change), 'm.onnx', build, told.monitor)
    assert build.count == 1
    assert entry.plan == b'other'
    assert 'changed since the last build' in told.log[0][1]
    assert cache.get_or_build(KEY, 'm.onnx', unexpected).plan == PLAN


def test_the_reason_names_what_changed(cache: EngineCache) -> None:
    cache.get_or_build(KEY, 'm.onnx', Builds())
    entry = cache.get_or_build(replace(KEY, tensorrt='tensorrt 10.3.0'), 'm.onnx', Builds())
    assert entry.reason == 'changed since the last build: tensorrt was tensorrt 8.6.0, is tensorrt 10.3.0'


def test_differences_compare_with_what_json_gives_back() -> None:
    key = replace(KEY, options=BuildOptions(batch=(1, 2, 4)))
    assert differences(key, json.loads(json.dumps(key.as_dict()))) == []


@pytest.mark.parametrize('damage', ['truncate', 'flip', 'empty', 'no plan', 'no sidecar', 'sidecar'])
def test_a_damaged_engine_is_built_again(cache: EngineCache, damage: str) -> None:
    path = cache.get_or_build(KEY, 'm.onnx', Builds()).plan_path
    sidecar = path.with_suffix('.json')
    if damage == 'truncate':
        path.write_bytes(PLAN[:-1])
    elif damage == 'flip':
        path.write_bytes(PLAN[:-1] + b'\x00')
    elif damage == 'empty':
        path.write_bytes(b'')
    elif damage == 'no plan':
        path.unlink()
    elif damage == 'no sidecar':
        sidecar.unlink()
    else:
        sidecar.write_text('{"plan_sha256": "')
    build = Builds()
    entry = cache.get_or_build(KEY, 'm.onnx', build)
    assert build.count == 1
    assert entry.plan == PLAN
    assert entry.reason
    assert cache.get_or_build(KEY, 'm.onnx', unexpected).hit


def sealed(values: dict) -> str:
    return sealed_json(values).decode()


@pytest.mark.parametrize('change', [
    lambda values: '[]', lambda values: 'null', lambda values: '[' * 100_000, lambda values: '{}',
    # Edited by hand, and JSON that only looks like a sidecar.
    lambda values: json.dumps({**values, 'precision_effective': 'int8'}),
    lambda values: json.dumps({name: value for name, value in values.items() if name != 'sidecar_sha256'}),
    lambda values: sealed({**values, 'key': []}), lambda values: sealed({**values, 'key': {}}),
    lambda values: sealed({**values, 'key': {**values['key'], 'gpu': None}}),
    lambda values: sealed({**values, 'plan_bytes': 'many'}), lambda values: sealed({**values, 'model': ['m.onnx']}),
    # The sidecar of another engine.
    lambda values: sealed({**values, 'key': {**values['key'], 'gpu': 'Thor'}})])
def test_a_file_that_is_not_a_sidecar_harms_nothing(cache: EngineCache, change, monkeypatch, capsys) -> None:
    monkeypatch.setattr('trt_perception.cli.cache.EngineCache', lambda: cache)
    entry = cache.get_or_build(KEY, 'm.onnx', Builds())
    sidecar = entry.plan_path.with_suffix('.json')
    values = json.loads(sidecar.read_text())
    assert sealed({name: value for name, value in values.items() if name != 'sidecar_sha256'}) == sidecar.read_text()
    sidecar.write_text(change(values))
    # The search for another engine of this model reads the damaged sidecar for the reason.
    other = cache.get_or_build(replace(KEY, gpu='Nano'), 'm.onnx', Builds())
    assert other.reason == 'none was built before'
    assert main(['cache', 'list']) == 0
    assert f'{entry.digest}      0.1 MB' in (listed := capsys.readouterr().out)
    assert 'unusable: its sidecar is damaged' in listed and '2 engines' in listed
    # While its sidecar is damaged, annotate() does nothing.
    cache.annotate(entry, {'agreement': 1.0})
    build = Builds()
    again = cache.get_or_build(KEY, 'm.onnx', build)
    assert (build.count, again.reason) == (1, 'its sidecar is damaged')
    sidecar.write_text(change(values))
    assert main(['cache', 'prune']) == 0
    assert [entry.digest for entry in cache.entries()] == [other.digest]


def test_prune_goes_on_after_what_it_cannot_remove(cache: EngineCache, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr('trt_perception.cli.cache.EngineCache', lambda: cache)
    digests = [
        cache.get_or_build(replace(KEY, gpu=name), 'm.onnx', Builds()).digest for name in ('Nano', 'Orin', 'Thor')]
    # A folder instead of a plan, and a link instead of a lock.
    folder, lock = cache.root / f'{digests[0]}.plan', cache.root / f'{digests[1]}.lock'
    folder.unlink()
    folder.mkdir()
    (folder / 'note').touch()
    lock.unlink()
    lock.symlink_to(tmp_path / 'elsewhere')
    assert main(['cache', 'prune', '--all']) == 1
    out, error = capsys.readouterr()
    assert '1 engines removed' in out and digests[2] in out
    told, = error.splitlines()
    assert sorted(told.removeprefix('trt_perception: ').split('; ')) == sorted([
        f'{folder} cannot be removed (Directory not empty): remove it yourself',
        f'{lock} cannot be opened: Too many levels of symbolic links'])
    assert not (tmp_path / 'elsewhere').exists()
    assert {entry.digest for entry in cache.entries()} == set(digests[:2])
    # A build does not replace the folder either.
    with pytest.raises(EngineError, match=r'cannot be removed \(Directory not empty\): remove it yourself'):
        cache.get_or_build(replace(KEY, gpu='Nano'), 'm.onnx', Builds())
    (folder / 'note').unlink()
    assert main(['cache', 'prune']) == 0
    assert not folder.exists()
    assert cache.get_or_build(replace(KEY, gpu='Nano'), 'm.onnx', Builds()).plan == PLAN


@pytest.mark.parametrize('mode', [0o660, 0o602, 0o666])
def test_a_plan_that_others_may_write_is_not_used(cache: EngineCache, mode: int) -> None:
    path = cache.get_or_build(KEY, 'm.onnx', Builds()).plan_path
    path.chmod(mode)
    build = Builds()
    entry = cache.get_or_build(KEY, 'm.onnx', build)
    assert build.count == 1
    assert 'can be written by others' in entry.reason
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_the_plan_is_not_followed(cache: EngineCache, tmp_path: Path) -> None:
    path = cache.get_or_build(KEY, 'm.onnx', Builds()).plan_path
    elsewhere = tmp_path / 'elsewhere.plan'
    elsewhere.write_bytes(PLAN)
    path.unlink()
    path.symlink_to(elsewhere)
    build = Builds(b'new')
    entry = cache.get_or_build(KEY, 'm.onnx', build)
    assert entry.plan == b'new'
    assert f'{path.name} is a symbolic link' in entry.reason
    assert build.count == 1
    assert elsewhere.read_bytes() == PLAN


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file to somebody else')
def test_files_and_folders_of_somebody_else_are_refused(cache: EngineCache) -> None:
    path = cache.get_or_build(KEY, 'm.onnx', Builds()).plan_path
    give_away(path)
    entry = cache.get_or_build(KEY, 'm.onnx', Builds())
    assert 'belongs to user 12345' in entry.reason
    give_away(cache.root)
    with pytest.raises(EngineError, match='belongs to user 12345'):
        cache.get_or_build(KEY, 'm.onnx', unexpected)


def test_a_folder_that_others_may_enter_is_closed(cache: EngineCache) -> None:
    cache.root.mkdir(parents=True, mode=0o777)
    cache.root.chmod(0o777)
    cache.get_or_build(KEY, 'm.onnx', Builds())
    assert cache.root.stat().st_mode & 0o777 == 0o700


def test_a_failed_build_leaves_nothing(cache: EngineCache) -> None:
    def fail() -> BuiltEngine:
        raise EngineError('no memory')
    with pytest.raises(EngineError, match='no memory'):
        cache.get_or_build(KEY, 'm.onnx', fail)
    assert [path.suffix for path in cache.root.iterdir()] == ['.lock']
    assert cache.get_or_build(KEY, 'm.onnx', Builds()).plan == PLAN


def _build_slowly(root: Path, counter: Path) -> None:
    def build() -> BuiltEngine:
        with counter.open('a') as file:
            file.write('x')
        time.sleep(0.5)
        return BuiltEngine(PLAN, {})
    EngineCache(root).get_or_build(KEY, 'm.onnx', build)


def test_of_many_processes_one_builds(cache: EngineCache, tmp_path: Path) -> None:
    counter = tmp_path / 'builds'
    context = multiprocessing.get_context('spawn')
    processes = [context.Process(target=_build_slowly, args=(cache.root, counter)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
        assert process.exitcode == 0
    assert counter.read_text() == 'x'


_KILLED = """
import sys, time
from pathlib import Path
from trt_perception.backends.tensorrt.cache.engine_cache import BuiltEngine, EngineCache
from trt_perception.backends.tensorrt.cache import private_files
from test_engine_cache import KEY, PLAN
stop_at = int(sys.argv[2])
calls = 0
# Stop before each system call of the writing, one after the other.
for name in ('open', 'fsync', 'replace'):
    def traced(*args, _real=getattr(private_files.os, name), **kwargs):
        global calls
        if 'part' in ''.join(map(str, args)) or _real is private_files.os.fsync or len(args) == 2:
            calls += 1
            if calls == stop_at:
                print('now', flush=True)
                time.sleep(60)
        return _real(*args, **kwargs)
    setattr(private_files.os, name, traced)
EngineCache(Path(sys.argv[1])).get_or_build(KEY, 'm.onnx', lambda: BuiltEngine(PLAN, {}))
print('done', flush=True)
"""


@pytest.mark.parametrize('replacing', [False, True])
def test_kill_at_any_moment_leaves_the_old_state_or_the_new(cache: EngineCache, replacing: bool) -> None:
    finished = False
    moments = 0
    for moment in range(1, 30):
        if replacing:
            # A broken plan, so that the process has something to replace.
            cache.get_or_build(KEY, 'm.onnx', Builds()).plan_path.write_bytes(b'broken')
        process = subprocess.Popen(
            [sys.executable, '-c', _KILLED, str(cache.root), str(moment)],
            env=python_environment(Path(__file__).parent), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert line in ('now', 'done')
        build = Builds()
        entry = cache.get_or_build(KEY, 'm.onnx', build)
        assert entry.plan == PLAN
        cache.discard(entry)
        if line == 'done':
            finished = True
            break
        moments += 1
    assert finished
    assert moments >= 6


def begun_build(cache: EngineCache) -> tuple[threading.Thread, threading.Event]:
    """Return a thread that builds the engine of KEY now, and the event that lets it finish."""
    building, release = threading.Event(), threading.Event()

    def slow() -> BuiltEngine:
        building.set()
        release.wait(600)
        return BuiltEngine(PLAN, {})
    thread = threading.Thread(target=cache.get_or_build, args=(KEY, 'm.onnx', slow))
    thread.start()
    assert building.wait(600)
    return thread, release


def test_waiting_for_another_build_can_be_cancelled(cache: EngineCache) -> None:
    thread, release = begun_build(cache)
    what = 'waiting for another process that builds the same engine'
    told = Told(lambda text, done, total: None if '(0 s)' in text else told.cancel.set())
    with pytest.raises(EngineError, match=rf'^the engine build for m\.onnx was cancelled while {what}$'):
        cache.get_or_build(KEY, 'm.onnx', unexpected, told.monitor)
    # Once a second; a busy machine may leave some out.
    seconds = [int(re.search(r'\d+', text).group()) for text in told.texts]
    assert seconds[-1] >= 1 and seconds[:-1] in ([0], [])
    assert told.progress == [(f'{what} ({n} s)', 0, None) for n in seconds]
    assert told.log == [('info', what)]
    release.set()
    thread.join(600)
    assert cache.get_or_build(KEY, 'm.onnx', unexpected).hit


def test_list_and_prune(cache: EngineCache) -> None:
    kept = cache.get_or_build(KEY, 'm.onnx', Builds())
    old = cache.get_or_build(replace(KEY, gpu='Thor'), 'm.onnx', Builds())
    broken = cache.get_or_build(replace(KEY, gpu='Nano'), 'm.onnx', Builds())
    broken.plan_path.write_bytes(b'x')
    os.utime(old.plan_path.with_suffix('.json'), (1, 1))
    problems = {entry.digest: entry.problem for entry in cache.entries()}
    assert problems[kept.digest] == ''
    assert 'SHA-256' in problems[broken.digest]
    assert [entry.digest for entry in cache.entries()][-1] == old.digest
    removed = cache.prune(lambda entry: entry.last_used > 1000)
    assert {entry.digest for entry in removed} == {old.digest, broken.digest}
    assert [entry.digest for entry in cache.entries()] == [kept.digest]
    assert cache.get_or_build(KEY, 'm.onnx', unexpected).hit


def test_prune_leaves_an_engine_that_is_being_built(cache: EngineCache) -> None:
    kept = cache.get_or_build(KEY, 'm.onnx', Builds())
    kept.plan_path.write_bytes(b'broken')
    thread, release = begun_build(cache)
    # It is broken during its build, and another thread holds its lock.
    assert cache.prune(lambda entry: False) == []
    release.set()
    thread.join(600)
    assert cache.get_or_build(KEY, 'm.onnx', unexpected).hit
    assert [entry.digest for entry in cache.prune(lambda entry: False)] == [kept.digest]
    assert list(cache.root.iterdir()) == []


def test_a_lock_that_prune_removes_in_the_same_moment_is_taken_anew(cache: EngineCache, monkeypatch) -> None:
    """Otherwise two processes would build the same engine: one locks the removed file, one a new file."""
    lock = cache.root / f'{KEY.digest()}.lock'
    real, removed = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        if not removed:
            lock.unlink()
            removed.append(lock)
        real(descriptor, operation)

    def build() -> BuiltEngine:
        with lock.open() as file, pytest.raises(BlockingIOError):
            real(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return BuiltEngine(PLAN, {})

    monkeypatch.setattr(fcntl, 'flock', flock)
    assert not cache.get_or_build(KEY, 'm.onnx', build).hit
    assert removed == [lock]


def timings_of(cache: EngineCache, key: EngineKey) -> Path:
    """Write the timing cache that a build for this key leaves."""
    path = timing_cache_path(cache.root, key.tensorrt, key.gpu, key.compute_capability, key.model_sha256)
    path.write_bytes(bytes(1000))
    return path


def test_timings_go_with_the_last_engine_of_their_model_tensorrt_and_gpu(cache: EngineCache) -> None:
    updated = replace(KEY, tensorrt='tensorrt 10.3.0')
    other = replace(KEY, model_sha256='b' * 64)
    old = [
        cache.get_or_build(replace(KEY, multiprocessors=number), 'm.onnx', Builds()) for number in (8, 9)]
    cache.discard(cache.get_or_build(other, 'n.onnx', Builds()))
    of_other = timings_of(cache, other)
    new = cache.get_or_build(updated, 'm.onnx', Builds())
    kept = {key.tensorrt: timings_of(cache, key) for key in (KEY, updated)}
    assert len(set(kept.values())) == 2

    def prune() -> list[Path]:
        keys = [entry.sidecar['key'] for entry in cache.entries()]
        return [timing.path for timing in prune_timings(cache.root, keys)]
    assert prune() == [of_other]
    assert prune() == []
    cache.discard(old[0])
    assert prune() == []
    cache.discard(old[1])
    assert prune() == [kept['tensorrt 8.6.0']]
    assert [timing.path for timing in timing_caches(cache.root)] == [kept['tensorrt 10.3.0']]
    cache.discard(new)
    assert prune() == [kept['tensorrt 10.3.0']]


def test_names_of_timings_tell_tensorrts_and_gpus_apart(tmp_path: Path) -> None:
    names = {
        timing_cache_path(tmp_path, *words).name for words in (
            ('tensorrt 8.6.0', 'Orin', '8.7', 'a' * 64), ('tensorrt 8.6.1', 'Orin', '8.7', 'a' * 64),
            ('tensorrt 8.6.0', 'Orin NX', '8.7', 'a' * 64), ('tensorrt 8.6.0', 'Orin', '8.7', 'b' * 64),
            ('tensorrt_rtx 1.7.1', 'NVIDIA RTX / 4090', '8.9', 'a' * 64))}
    assert len(names) == 5
    assert f'tensorrt_rtx_1.7.1_NVIDIA_RTX___4090_8.9_{"a" * 16}.timings' in names


def test_what_is_learnt_later_is_kept(cache: EngineCache) -> None:
    entry = cache.get_or_build(KEY, 'm.onnx', Builds())
    cache.annotate(entry, {'agreement': 0.98})
    again = cache.get_or_build(KEY, 'm.onnx', unexpected)
    assert again.sidecar['agreement'] == 0.98
    assert again.plan == PLAN
    # Pruned during the measurement: no error, and no sidecar without a plan.
    cache.discard(entry)
    cache.annotate(entry, {'agreement': 0.5})
    assert cache.entries() == []


def test_only_the_plan_that_was_loaded_is_discarded_or_annotated(cache: EngineCache) -> None:
    """Two nodes find the same plan that cannot be loaded: one has built it again before the other one discards it."""
    bad = cache.get_or_build(KEY, 'm.onnx', Builds(b'bad plan'))
    late = EngineCache(cache.root).get_or_build(KEY, 'm.onnx', unexpected)
    cache.discard(bad)
    assert cache.entries() == []
    good = cache.get_or_build(KEY, 'm.onnx', Builds())
    EngineCache(cache.root).discard(late)
    cache.annotate(late, {'agreement': 0.1})
    again = cache.get_or_build(KEY, 'm.onnx', unexpected)
    assert (again.plan, again.sidecar) == (PLAN, good.sidecar)


def test_an_engine_that_is_being_stored_is_not_discarded(cache: EngineCache, monkeypatch) -> None:
    bad = cache.get_or_build(KEY, 'm.onnx', Builds(b'bad plan'))
    late = EngineCache(cache.root).get_or_build(KEY, 'm.onnx', unexpected)
    monkeypatch.setattr(cache_module, 'PATIENCE_S', 0.2)
    original, done = cache_module.replace_private, []

    def replacing(path: Path, content: bytes) -> None:
        original(path, content)
        if path.suffix == '.plan':
            # Between writing the plan and its sidecar.
            thread = threading.Thread(target=lambda: done.append(EngineCache(cache.root).discard(late)))
            thread.start()
            thread.join(600)

    cache.discard(bad)
    monkeypatch.setattr(cache_module, 'replace_private', replacing)
    assert cache.get_or_build(KEY, 'm.onnx', Builds()).plan == PLAN
    assert done == [None]
    assert cache.get_or_build(KEY, 'm.onnx', unexpected).hit


def test_a_folder_that_is_not_ones_own_is_neither_listed_nor_pruned(
    cache: EngineCache, tmp_path: Path, monkeypatch, capsys,
) -> None:
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    for name in (f'{"a" * 32}.plan', f'{"a" * 32}.json', f'{"a" * 32}.lock', 'net.timings'):
        (elsewhere / name).write_text("somebody else's")
    cache.root.parent.mkdir(parents=True)
    cache.root.symlink_to(elsewhere)
    monkeypatch.setattr('trt_perception.cli.cache.EngineCache', lambda: cache)
    for words in (['list'], ['prune'], ['prune', '--all']):
        assert main(['cache', *words]) == 1
        assert capsys.readouterr().err == (
            f'trt_perception: {cache.root} is not a folder, but engines are stored there: remove it\n')
    assert len(list(elsewhere.iterdir())) == 4


def test_other_files_in_the_folder_are_left_alone(cache: EngineCache) -> None:
    cache.get_or_build(KEY, 'm.onnx', Builds())
    others = [cache.root / name for name in ('note.json', 'mine.plan', f'{"A" * 32}.json', 'README')]
    for path in others:
        path.write_text('{}')
    assert len(cache.entries()) == 1
    cache.prune(lambda entry: False)
    assert all(path.exists() for path in others)
    assert cache.entries() == []


def test_the_command_line(cache: EngineCache, tmp_path: Path) -> None:
    environment = {**os.environ, 'XDG_CACHE_HOME': str(tmp_path)}
    cache = EngineCache(tmp_path / 'trt_perception' / 'engines')
    entry = cache.get_or_build(KEY, 'm.onnx', Builds())

    def run(*words: str) -> str:
        return subprocess.run(
            [sys.executable, '-m', 'trt_perception.cli.main', 'cache', *words], env=environment, check=True,
            capture_output=True, text=True).stdout
    timings_of(cache, KEY)
    timings_of(cache, replace(KEY, tensorrt='tensorrt 8.5.3'))
    listed = run('list')
    assert entry.digest in listed and 'm.onnx fp16 (runs in fp16), Orin' in listed and '1 engines' in listed
    assert 'tensorrt_8.5.3_Orin_8.7' in listed and 'and 2 timing caches, 0.0 MB' in listed
    pruned = run('prune')
    assert '0 engines removed, 1 timing caches removed, 0.0 MB freed' in pruned
    assert 'removed timing cache' in pruned and 'tensorrt_8.5.3_Orin_8.7' in pruned
    assert '0 engines removed, 0 timing caches removed' in run('prune')
    # The lock that the build left belongs to the engine.
    assert {path.suffix for path in cache.root.iterdir()} == {'.plan', '.json', '.lock', '.timings'}
    assert '1 engines removed, 1 timing caches removed, 0.1 MB freed' in run('prune', '--all')
    assert list(cache.root.iterdir()) == []
    assert '0 engines, 0.0 MB, and 0 timing caches' in run('list')


def test_timings_go_with_engines_that_were_not_used(cache: EngineCache, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    cache = EngineCache(tmp_path / 'home' / 'trt_perception' / 'engines')
    engine = cache.get_or_build(KEY, 'm.onnx', Builds())
    timings = timings_of(cache, KEY)
    assert main(['cache', 'prune', '--unused-for', '1']) == 0
    assert timings.exists()
    os.utime(engine.plan_path.with_suffix('.json'), (1, 1))
    assert main(['cache', 'prune', '--unused-for', '1']) == 0
    assert not timings.exists()


def test_help_says_what_is_removed(capsys) -> None:
    with pytest.raises(SystemExit):
        main(['cache', 'prune', '--help'])
    text = ' '.join(capsys.readouterr().out.split())
    assert 'removed with the last engine of the same model, TensorRT and GPU' in text
    assert 'remove all engines, timing caches and networks' in text


@pytest.mark.parametrize('write, error', [
    (lambda path: replace_private(path, b'x'), EngineError),
    (lambda path: replace_file(path, lambda part: part.write_bytes(b'x')), FetchError)])
def test_another_cache_is_advised_if_the_cache_cannot_be_written(tmp_path, monkeypatch, write, error) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    name = 256 * 'x'
    (tmp_path / 'cache' / 'trt_perception').mkdir(parents=True)
    with pytest.raises(error, match=r'cannot be written: File name too long; .* set XDG_CACHE_HOME to a folder'):
        write(tmp_path / 'cache' / 'trt_perception' / name)
    with pytest.raises(error, match='cannot be written: File name too long; free space, or choose another place'):
        write(tmp_path / name)
