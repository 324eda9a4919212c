# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine cache: plans named by the digest of their key, each with a readable sidecar.

The files are <cache>/engines/<digest>.plan and <digest>.json. The sidecar is written last and holds the plan's SHA-256.
A plan without a matching sidecar is not used, so a build that is killed at any moment leaves the old state or the new
one. The sidecar also holds a digest of itself, which detects damage and edits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ....errors import EngineError, reason
from ....file_cache import cache_root
from ....file_lock import LockingError, hold_lock, try_lock
from ....monitor import Monitor
from ....unfinished import remove_leftovers
from .engine_key import EngineKey, differences, digest_of
from .private_files import UntrustedFileError, has_private_folder, make_private_folder, read_private, replace_private

_POLL_S = 0.1
# A process that holds an engine's lock longer than this is building the engine.
PATIENCE_S = 1.0
_SEAL = 'sidecar_sha256'
# Permissions of a lock file.
_PRIVATE = 0o600
_NAME = re.compile('[0-9a-f]{32}')
# Fields of every sidecar, whichever version wrote it.
_SIDECAR_FIELDS = {'key': dict, 'plan_sha256': str, 'plan_bytes': int, 'built': str, 'model': str}
_KEY_FIELDS = ('model_sha256', 'tensorrt', 'gpu', 'compute_capability', 'precision')


@dataclass(frozen=True)
class BuiltEngine:
    """The result of a build; `report` (JSON values) is copied into the sidecar."""

    plan: bytes
    report: dict[str, Any]

    def sidecar(self, model: str, key: Mapping[str, Any]) -> dict[str, Any]:
        """Return the description that is stored beside the plan; model: name of the model file, key: see EngineKey."""
        return {
            'model': model, 'built': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
            'plan_sha256': hashlib.sha256(self.plan).hexdigest(), 'plan_bytes': len(self.plan),
            'key': dict(key), **self.report}


@dataclass(frozen=True)
class CachedEngine:
    """An engine in the cache.

    plan: the verified content; sidecar: the JSON beside it
    hit: whether it was in the cache already; reason: why it was built, '' for a hit
    """

    digest: str
    plan_path: Path
    plan: bytes
    sidecar: dict[str, Any]
    hit: bool
    reason: str


@dataclass(frozen=True)
class CacheEntry:
    """One line of `trt_perception cache list`; `problem` says why it cannot be used, '' if it can."""

    digest: str
    sidecar: dict[str, Any]
    plan_bytes: int
    last_used: float
    problem: str


class EngineCache:
    """Plans in a folder that only this user can access. Several processes may use it at once."""

    def __init__(self, root: Path | None = None) -> None:
        """Use `root`, by default engines/ in the package's cache folder."""
        self._root = root

    @cached_property
    def root(self) -> Path:
        """The folder, which need not exist. Raises FetchError if the user has no home folder."""
        return self._root or cache_root() / 'engines'

    def get_or_build(
        self, key: EngineKey, model: str, build: Callable[[], BuiltEngine], monitor: Monitor | None = None,
    ) -> CachedEngine:
        """Return the engine for this key; build and store it if it is missing.

        model: name of the model file, for messages
        build: builds the engine; called while a lock stops other processes from building the same one. Nothing is
            stored if it raises an error
        monitor: logs a hit, or a miss with its reason; reports progress every second while waiting for another process
        Raises EngineError if it is cancelled while waiting.
        """
        monitor = monitor or Monitor()
        make_private_folder(self.root)
        digest = key.digest()
        found = self._load(digest)
        if isinstance(found, str):
            with self._locked(digest, model, monitor):
                # The process that held the lock may have built it.
                found = self._load(digest)
                if isinstance(found, str):
                    remove_leftovers(self.root)
                    remove_leftovers(self.root, digest, locked=True)
                    why = self._reason(key, model, found)
                    monitor.log('info', f'no engine in the cache for {model}: {why}; building it')
                    self._store(digest, key, model, build())
                    found = self._load(digest)
                    if isinstance(found, str):
                        raise EngineError(f'the new engine cannot be read from the cache: {found}')
                    plan, sidecar = found
                    return CachedEngine(digest, self._plan(digest), plan, sidecar, False, why)
        plan, sidecar = found
        with contextlib.suppress(OSError):
            os.utime(self._sidecar(digest))
        monitor.log('info', f'engine for {model} found in the cache ({digest}, built {sidecar["built"]})')
        return CachedEngine(digest, self._plan(digest), plan, sidecar, True, '')

    def annotate(self, engine: CachedEngine, values: dict[str, Any]) -> None:
        """Add values that were measured after the build, such as the accuracy, to the engine's sidecar.

        Does nothing if the plan was replaced or removed: a pipeline that has loaded it continues.
        """
        with self._same(engine) as sidecar:
            if sidecar is not None:
                replace_private(self._sidecar(engine.digest), sealed_json({**sidecar, **values}))

    def discard(self, engine: CachedEngine) -> None:
        """Remove an engine that cannot be used; do nothing if its plan was already replaced."""
        with self._same(engine) as sidecar:
            if sidecar is not None:
                self._remove(engine.digest)

    @contextlib.contextmanager
    def _same(self, engine: CachedEngine) -> Iterator[dict[str, Any] | None]:
        """Hold the engine's lock and yield its sidecar, or None if it no longer describes this plan."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with self._taken(self._lock(engine.digest)) as taken:
                if taken:
                    yield self._sidecar_of(engine)
                    return
            if time.monotonic() > deadline:
                # Only a build holds the lock this long, and it replaces the engine.
                yield None
                return
            time.sleep(_POLL_S)

    def _sidecar_of(self, engine: CachedEngine) -> dict[str, Any] | None:
        try:
            sidecar = unsealed_json(read_private(self._sidecar(engine.digest)))
        except (FileNotFoundError, UntrustedFileError):
            return None
        same = sidecar is not None and sidecar['plan_sha256'] == engine.sidecar['plan_sha256']
        return sidecar if same else None

    def _remove(self, digest: str) -> None:
        """Remove an engine, its sidecar first: a plan without a sidecar is not used."""
        for path in (self._sidecar(digest), self._plan(digest)):
            try:
                if path.is_dir() and not path.is_symlink():
                    # Not made by this package. An empty one is removed.
                    path.rmdir()
                else:
                    path.unlink()
            except FileNotFoundError:
                pass
            except OSError as error:
                raise EngineError(f'{path} cannot be removed ({reason(error)}): remove it yourself') from error

    def entries(self) -> list[CacheEntry]:
        """Return all entries, the last used first; broken entries too, with their problem.

        Raises EngineError if the folder belongs to another user or is a link.
        """
        if not has_private_folder(self.root):
            return []
        digests = {
            path.stem for path in self.root.iterdir()
            if path.suffix in ('.plan', '.json') and _NAME.fullmatch(path.stem)}
        return sorted(map(self._entry, digests), key=lambda entry: -entry.last_used)

    def prune(
        self, keep: Callable[[CacheEntry], bool], warn: Callable[[str], None] = lambda text: None,
    ) -> list[CacheEntry]:
        """Remove broken entries, those that `keep` rejects, and files of killed builds; return the removed entries.

        An engine that is being built stays.
        warn: called with an error text for each entry that cannot be removed
        """
        removed = []
        for entry in self.entries():
            if not entry.problem and keep(entry):
                continue
            try:
                with self._taken(self._lock(entry.digest)) as taken:
                    # It may have been built since entries() read it.
                    now = self._entry(entry.digest) if taken else entry
                    if taken and (now.problem or not keep(now)):
                        self._remove(entry.digest)
                        removed.append(entry)
            except EngineError as error:
                warn(str(error))
        if has_private_folder(self.root):
            self._remove_leftovers()
        return removed

    def _remove_leftovers(self) -> None:
        """Remove files of killed builds, and locks of engines that no longer exist."""
        remove_leftovers(self.root)
        for lock in self.root.glob('*.lock'):
            with contextlib.suppress(OSError, EngineError), self._taken(lock) as taken:
                if taken and not (self._plan(lock.stem).exists() or self._sidecar(lock.stem).exists()):
                    lock.unlink()

    def _entry(self, digest: str) -> CacheEntry:
        problem, sidecar, size, used = '', {}, 0, 0.0
        with contextlib.suppress(OSError):
            size = self._plan(digest).lstat().st_size
            used = self._plan(digest).lstat().st_mtime
        with contextlib.suppress(OSError):
            used = self._sidecar(digest).lstat().st_mtime
        found = self._load(digest)
        if isinstance(found, str):
            problem = found or 'it was removed'
        else:
            sidecar = found[1]
        return CacheEntry(digest, sidecar, size, used, problem)

    def _lock(self, digest: str) -> Path:
        return self.root / f'{digest}.lock'

    def _plan(self, digest: str) -> Path:
        return self.root / f'{digest}.plan'

    def _sidecar(self, digest: str) -> Path:
        return self.root / f'{digest}.json'

    def _load(self, digest: str) -> tuple[bytes, dict[str, Any]] | str:
        """Return plan and sidecar, or the reason why no engine can be used ('' if none was built)."""
        try:
            text = read_private(self._sidecar(digest))
        except FileNotFoundError:
            return 'its build was not finished' if self._plan(digest).exists() else ''
        except UntrustedFileError as error:
            return str(error)
        sidecar = unsealed_json(text)
        if sidecar is None or digest_of(sidecar['key']) != digest:
            return 'its sidecar is damaged'
        try:
            plan = read_private(self._plan(digest))
        except FileNotFoundError:
            return 'its plan is missing'
        except UntrustedFileError as error:
            return str(error)
        if hashlib.sha256(plan).hexdigest() != sidecar['plan_sha256']:
            return 'its plan is damaged (SHA-256 differs)'
        return plan, sidecar

    def _store(self, digest: str, key: EngineKey, model: str, built: BuiltEngine) -> None:
        self._remove(digest)
        replace_private(self._plan(digest), built.plan)
        replace_private(self._sidecar(digest), sealed_json(built.sidecar(model, key.as_dict())))

    def _reason(self, key: EngineKey, model: str, found: str) -> str:
        if found:
            return found
        others: list[list[str]] = [
            differences(key, entry.sidecar['key']) for entry in self.entries()
            if not entry.problem and entry.sidecar.get('model') == model]
        if not others:
            return 'none was built before'
        nearest = sorted(others, key=len)[0]
        return f'changed since the last build: {", ".join(nearest)}'

    @contextlib.contextmanager
    def _locked(self, digest: str, model: str, monitor: Monitor) -> Iterator[None]:
        """Hold the lock of one engine; wait while another process holds it."""
        what = 'waiting for another process that builds the same engine'
        told = -1

        def waiting(seconds: float) -> None:
            nonlocal told
            if told < 0:
                monitor.log('info', what)
            if int(seconds) > told:
                told = int(seconds)
                monitor.progress(f'{what} ({told} s)', 0, None)
            monitor.check(f'the engine build for {model}', what)

        path = self._lock(digest)
        with contextlib.ExitStack() as stack:
            with _locking_errors(path):
                stack.enter_context(hold_lock(path, waiting, _PRIVATE))
            yield

    @contextlib.contextmanager
    def _taken(self, path: Path) -> Iterator[bool]:
        """Try to take a lock; yield whether this process holds it during the block."""
        with contextlib.ExitStack() as stack:
            with _locking_errors(path):
                file = stack.enter_context(try_lock(path, _PRIVATE))
            yield file is not None


@contextlib.contextmanager
def _locking_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except LockingError as error:
        raise EngineError(f'{path} cannot be locked: {reason(error)}') from error
    except OSError as error:
        raise EngineError(f'{path} cannot be opened: {reason(error)}') from error


def unsealed_json(text: bytes) -> dict[str, Any] | None:
    """Return the values of a sidecar, whichever version wrote it; None if it is damaged or not a sidecar."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.pop(_SEAL, None) != _digest(found):
        return None
    if any(not isinstance(found.get(name), kind) for name, kind in _SIDECAR_FIELDS.items()):
        return None
    if any(not isinstance(found['key'].get(name), str) for name in _KEY_FIELDS):
        return None
    return found


def sealed_json(value: dict[str, Any]) -> bytes:
    """Return a sidecar's content: the values and a digest of them."""
    return (json.dumps({**value, _SEAL: _digest(value)}, indent=1) + '\n').encode()


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
