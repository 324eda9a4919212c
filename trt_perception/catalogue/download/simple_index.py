# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds a file on a package index through the Simple API: JSON (PEP 691) or HTML (PEP 503)."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from .pip_config import IndexSettings
from .transport import BROKEN, TransportError, open_url, reason_of, without_credentials

_ACCEPT = (
    'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1')
# A project page lists a few thousand files at most.
_MAX_PAGE_BYTES = 64 << 20


@dataclass(frozen=True)
class IndexFile:
    """A file that an index offers; sha256 is '' where the index does not say it."""

    name: str
    url: str
    sha256: str


def project_url(index_url: str, package: str) -> str:
    """Return the page of a package; its name is normalised as PEP 503 says."""
    return f'{index_url.rstrip("/")}/{re.sub(r"[-_.]+", "-", package).lower()}/'


def list_files(index_url: str, package: str, settings: IndexSettings) -> list[IndexFile]:
    """Return the files of a package; raises TransportError, also where the index does not have it."""
    url = project_url(index_url, package)
    try:
        with open_url(url, settings, _ACCEPT) as response:
            page = response.read(_MAX_PAGE_BYTES)
            kind = response.headers.get_content_type()
            base = response.geturl()
    except BROKEN as error:
        raise TransportError(
            f'{without_credentials(url)}: the connection broke: {reason_of(error)}') from error
    # The address after redirects carries no credentials; links to the same host need them again.
    if urlsplit(base).hostname == urlsplit(url).hostname and '@' in urlsplit(url).netloc:
        base = url
    try:
        if kind.endswith('json'):
            return _from_json(json.loads(page), base)
        return _from_html(page.decode('utf-8'), base)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TransportError(
            f"{without_credentials(url)}: expected a package index's page, found something else") from error


def _from_json(document: Any, base: str) -> list[IndexFile]:
    return [
        IndexFile(entry['filename'], urljoin(base, entry['url']), entry['hashes'].get('sha256', ''))
        for entry in document['files']
    ]


def _from_html(page: str, base: str) -> list[IndexFile]:
    parser = _Links()
    parser.feed(page)
    if parser.base:
        base = urljoin(base, parser.base)
    files = []
    for link in parser.links:
        url, fragment = urldefrag(urljoin(base, link))
        name = unquote(posixpath.basename(urlsplit(url).path))
        kind, _, digest = fragment.partition('=')
        files.append(IndexFile(name, url, digest if kind == 'sha256' else ''))
    return files


class _Links(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ''

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get('href')
        if href and tag == 'a':
            self.links.append(href)
        elif href and tag == 'base' and not self.base:
            self.base = href
