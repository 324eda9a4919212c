# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The package index that the user has configured for pip.

Read here rather than asked of pip, which a ROS 2 install need not have. Files and their order:
https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import FetchError

DEFAULT_INDEX = 'https://pypi.org/simple'
_DEFAULT_TIMEOUT = 15.0
# pip lets a command's section override [global].
_SECTIONS = ('global', 'download', 'install')
_TRUE = ('1', 'true', 'yes', 'on', 'y', 't')


@dataclass(frozen=True)
class IndexSettings:
    """Where to look for packages and how to get there, as pip would.

    index_urls: Simple API roots, in the order in which to ask
    find_links: local folders to look in before
    certificates: a CA bundle file, '' for the system's; proxy: a URL, '' for the environment's
    trusted_hosts: hosts (or host:port) whose certificate is not checked
    timeout: seconds without an answer
    """

    index_urls: tuple[str, ...] = (DEFAULT_INDEX,)
    find_links: tuple[Path, ...] = ()
    certificates: str = ''
    proxy: str = ''
    trusted_hosts: frozenset[str] = frozenset()
    timeout: float = _DEFAULT_TIMEOUT


def read_index_settings(
    environment: Mapping[str, str] | None = None, files: list[Path] | None = None,
) -> IndexSettings:
    """Read pip's configuration files and PIP_* variables, which win.

    environment: os.environ by default; files: lowest priority first, pip's usual ones by default. Raises FetchError
    for a file that cannot be parsed.
    """
    environment = os.environ if environment is None else environment
    values = _read_files(_config_files(environment) if files is None else files)
    for name, value in environment.items():
        if name.startswith('PIP_') and value:
            values[name[4:].lower().replace('_', '-')] = value

    urls: list[str] = []
    if values.get('no-index', '').lower() not in _TRUE:
        urls = [values.get('index-url', DEFAULT_INDEX), *values.get('extra-index-url', '').split()]
    links = []
    for link in values.get('find-links', '').split():
        # Pages of links on the web are pip's business; a folder is how files reach a machine without network.
        path = Path(link[len('file://'):] if link.startswith('file://') else link).expanduser()
        if '://' not in link or link.startswith('file://'):
            links.append(path)
    try:
        timeout = float(values.get('timeout') or values.get('default-timeout') or _DEFAULT_TIMEOUT)
    except ValueError:
        timeout = _DEFAULT_TIMEOUT
    return IndexSettings(
        index_urls=tuple(dict.fromkeys(_as_url(url) for url in urls)),
        find_links=tuple(links),
        certificates=values.get('cert', ''),
        proxy=values.get('proxy', ''),
        trusted_hosts=frozenset(values.get('trusted-host', '').split()),
        timeout=timeout,
    )


def _as_url(index: str) -> str:
    index = index.strip()
    return index if '://' in index else Path(index).expanduser().absolute().as_uri()


def _config_files(environment: Mapping[str, str]) -> list[Path]:
    own = environment.get('PIP_CONFIG_FILE', '')
    if own == os.devnull:
        return []
    home = Path(environment.get('HOME') or os.path.expanduser('~'))
    folders = environment.get('XDG_CONFIG_DIRS') or '/etc/xdg'
    config_home = Path(environment.get('XDG_CONFIG_HOME') or home / '.config')
    files = [Path(folder) / 'pip' / 'pip.conf' for folder in reversed(folders.split(':')) if folder]
    files += [
        Path('/etc/pip.conf'), home / '.pip' / 'pip.conf', config_home / 'pip' / 'pip.conf',
        Path(sys.prefix) / 'pip.conf',
    ]
    return [*files, Path(own)] if own else files


def _read_files(files: list[Path]) -> dict[str, str]:
    parsed = []
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text('utf-8'), str(path))
        except OSError:
            continue
        except (configparser.Error, UnicodeDecodeError) as error:
            raise FetchError(
                f'pip\'s configuration {path} cannot be read: {" ".join(str(error).split())}') from error
        parsed.append(parser)
    values: dict[str, str] = {}
    for section in _SECTIONS:
        for parser in parsed:
            if parser.has_section(section):
                for key, value in parser.items(section):
                    values[key.lower().replace('_', '-')] = value
    return values
