# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which file of the repository is which page of the site. Paths are relative to the root, with `/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .links import linked_paths

# MkDocs reads this folder itself.
DOCS = 'docs/'
# In these folders, README.md is a page.
FOLDERS = ('models', 'docker')
CHINESE = 'README.zh-TW.md'
# The other names follow from the paths.
NAMES = {'README.md': 'index.md', CHINESE: 'zh-TW.md', 'CHANGELOG.rst': 'CHANGELOG.md'}


def page_name(path: str) -> str:
    """Return the name that the page has in the site, e.g. docs/topics.md: topics.md; models/README.md: itself.

    A file that is no Markdown page becomes one that shows it: config/detect.yaml: config/detect.yaml.md.
    """
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return NAMES.get(path, path if path.endswith('.md') else f'{path}.md')


def pages_outside(root: Path) -> list[str]:
    """Return the pages that do not lie in docs/."""
    folders = [f'{folder}/README.md' for folder in FOLDERS if (root / folder / 'README.md').is_file()]
    return [*sorted(path.name for path in root.glob('*.md')), *folders, 'CHANGELOG.rst']


def shown_files(root: Path, pages: Iterable[str]) -> list[str]:
    """Return the files outside docs/ that pages link to and that are no pages, e.g. config/detect.yaml."""
    pages = list(pages)
    linked = {
        target for page in pages if page.endswith('.md')
        for target in linked_paths((root / page).read_text(encoding='utf-8'), page)}
    return sorted(
        path for path in linked.difference(pages) if not path.startswith(DOCS) and (root / path).is_file())
