# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Links of a Markdown page: to files of the repository, as GitHub reads them, or to pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

# A fenced block, a code span or the target of a link. The first two are kept as they are.
_PART = re.compile(
    r'^ *(?P<fence>`{3,}).*?^ *(?P=fence)`*$|(?P<ticks>`+).+?(?P=ticks)|\]\((?P<target>[^)\s]+)\)', re.M | re.S)
_OUTSIDE = re.compile(r'[a-z][a-z0-9+.-]*:|//', re.I)


def linked_paths(text: str, page: str) -> set[str]:
    """Return the files and folders that `page` links to, from the root. Links to the web are left out."""
    targets = (match['target'] for match in _PART.finditer(text) if match['target'])
    return {_path(target, page) for target in targets if not _OUTSIDE.match(target) and not target.startswith('#')}


def rewritten(text: str, page: str, name_of: Callable[[str], str]) -> str:
    """Return the Markdown of `page` with links that fit the site.

    `name_of` returns the name in the site of a path from the root. Pictures are links too.
    """
    here = posixpath.dirname(name_of(page))

    def replaced(match: re.Match[str]) -> str:
        target = match['target']
        if target is None or _OUTSIDE.match(target) or target.startswith('#'):
            return match.group()
        _, hash_sign, heading = target.partition('#')
        name = posixpath.relpath(name_of(_path(target, page)), here or '.')
        return f']({name}{hash_sign}{heading})'

    return _PART.sub(replaced, text)


def _path(target: str, page: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition('#')[0]))
