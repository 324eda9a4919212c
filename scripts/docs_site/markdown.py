# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Markdown as MkDocs reads it, and files of other kinds as pages."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_LANGUAGES = {'.yaml': 'yaml', '.yml': 'yaml', '.xml': 'xml', '.py': 'python', '.svg': 'xml'}


def plain_fences(text: str) -> str:
    """Leave the language alone after the first fence of a block.

    ```console needs-gpu is a block for GitHub, but not for MkDocs, which expects names with values there.
    """
    return re.sub(r'^( *`{3,}[\w+-]+) [^`={}\n]+$', r'\1', text, flags=re.M)


def changelog(text: str) -> str:
    """Return CHANGELOG.rst as Markdown. It has titles, lists and code alone, as catkin_prepare_release expects it."""
    text = re.sub(r'^\^+\n(.+)\n\^+$', r'# \1', text, flags=re.M)
    text = re.sub(r'^(.+)\n-{3,}$', r'## \1\n', text, flags=re.M)
    text = re.sub(r'^\* ', '- ', text, flags=re.M)
    return re.sub(r'``(.+?)``', r'`\1`', text, flags=re.S)


def as_code(path: str, text: str) -> str:
    """Return a page that shows a file of the repository.

    The search leaves it out: it would show the whole file before the page that explains it.
    """
    fence = '`' * max(3, *(len(ticks) + 1 for ticks in re.findall('`+', text) or ['']))
    language = _LANGUAGES.get(PurePosixPath(path).suffix, 'text')
    return f'---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n'
