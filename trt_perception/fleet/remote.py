# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags and results in object storage such as S3, by URLs of fsspec.

Object storage cannot rename: a result is complete when its annotation.json is there, which is uploaded last.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..annotate.errors import AnnotateError
from ..annotate.sealing import RECORD
from ..dependencies import require
from ..errors import PerceptionError, SourceError, one_line


@dataclass(frozen=True)
class RemoteFile:
    """A file of a bag. mark: what changes with its content: the ETag, or the time of its change"""

    url: str
    size: int
    mark: str


@dataclass(frozen=True)
class RemoteBag:
    """A bag. name: of its folder, or of its file without the suffix"""

    url: str
    name: str
    files: tuple[RemoteFile, ...]
    is_file: bool

    @classmethod
    def of(cls, url: str) -> RemoteBag:
        """Look at a bag. Raises SourceError if it is not there."""
        with _reading(url):
            system, path = _opened(url)
            info = system.info(path)
            is_file = info['type'] == 'file'
            entries = [info] if is_file else [entry for entry in system.ls(path, True) if entry['type'] == 'file']
            files = tuple(sorted(
                (RemoteFile(system.unstrip_protocol(entry['name']), int(entry['size']), _mark(entry))
                 for entry in entries if entry['size']), key=lambda file: file.url))
        if not files:
            raise SourceError(f'{url}: expected a rosbag2, its folder, or an .mcap or .db3 file; found no file')
        last = url.rstrip('/').rpartition('/')[2]
        return cls(url, Path(last).stem if is_file else last, files, is_file)

    def fetched(self, folder: Path) -> Path:
        """Download it into an empty folder; returns the path of the bag. Raises SourceError."""
        last = folder / self.url.rstrip('/').rpartition('/')[2]
        if not self.is_file:
            last.mkdir()
        for file in self.files:
            with _reading(file.url):
                system, path = _opened(file.url)
                system.get_file(path, str(last if self.is_file else last / file.url.rpartition('/')[2]))
        return last

    def described(self, digests: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return what annotation.json says of its files. digests: SHA-256 by name, '' for metadata.yaml"""
        return [
            {'path': file.url, 'state': [file.size, file.mark], 'sha256': digests.get(file.url.rpartition('/')[2], '')}
            for file in self.files]


class RemoteResults:
    """The folder of --output."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip('/')

    def finished(self) -> dict[str, dict[str, Any]]:
        """Return the records of all complete results, by the names of their folders. Raises AnnotateError."""
        with self._writing():
            system, root = _opened(self._url)
            found: dict[str, dict[str, Any]] = {}
            sizes = {
                path[len(root):].strip('/'): info['size'] for path, info in system.find(root, detail=True).items()
            } if system.exists(root) else {}
            for path in sizes:
                name, _, file = path.partition('/')
                if file == RECORD:
                    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                        record = json.loads(system.cat_file(f'{root}/{path}'))
                        _ = record['bag'], record['settings'].items(), record['files'][0]['state']
                        if all(sizes.get(f'{name}/{output}') == size for output, size in record['outputs'].items()):
                            found[name] = record
        return found

    def put(self, folder: Path, name: str) -> str:
        """Upload a finished folder, instead of an older one; returns its URL. Raises AnnotateError."""
        with self._writing():
            system, root = _opened(self._url)
            target = f'{root}/{name}'
            # The record is removed first and written last, so nothing half-written has one.
            for path in sorted(system.find(target), key=lambda path: not path.endswith(f'/{RECORD}')):
                system.rm_file(path)
            files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
            for path in sorted(files, key=lambda path: path == folder / RECORD):
                remote = f'{target}/{path.relative_to(folder).as_posix()}'
                system.makedirs(remote.rpartition('/')[0], exist_ok=True)
                system.put_file(str(path), remote)
        return f'{self._url}/{name}'

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except PerceptionError:
            raise
        except Exception as error:  # Each storage has errors of its own.
            raise AnnotateError(
                f'--output {self._url}: cannot be used: {one_line(error, 300)}; finished bags are kept, and the same '
                'command continues with the others') from error


def is_url(text: object) -> bool:
    """Return whether a bag or an output is in object storage, such as s3://bucket/day1."""
    return '://' in str(text)


def _opened(url: str) -> tuple[Any, str]:
    system, path = require('fsspec').core.url_to_fs(url)
    # What it listed before could have changed.
    system.invalidate_cache()
    return system, path


def _mark(entry: Mapping[str, Any]) -> str:
    return str(entry.get('ETag') or entry.get('etag') or entry.get('LastModified') or entry.get('mtime') or '')


@contextlib.contextmanager
def _reading(url: str) -> Iterator[None]:
    try:
        yield
    except PerceptionError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f'{url}: no such file or folder') from error
    except Exception as error:  # Each storage has errors of its own.
        raise SourceError(f'{url}: cannot be read: {one_line(error, 300)}') from error
