# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Hooks of MkDocs (mkdocs.yml): add the pages outside docs/, and make links lead to pages of the site."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from mkdocs.utils.templates import TemplateContext

ROOT = Path(__file__).resolve().parents[2]
# MkDocs loads this file by its path, not as a module of a package.
sys.path.insert(0, str(ROOT))

from scripts.docs_site.links import rewritten  # noqa: E402
from scripts.docs_site.markdown import as_code, changelog, plain_fences  # noqa: E402
from scripts.docs_site.sources import CHINESE, DOCS, page_name, pages_outside, shown_files  # noqa: E402

STYLE = Path(__file__).with_name('site.css')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/, the files that a page links to, and the style."""
    inside = [DOCS + file.src_uri for file in files.documentation_pages()]
    outside = pages_outside(ROOT)
    for path in outside:
        files.append(File.generated(config, page_name(path), content=_content(path)))
    for path in shown_files(ROOT, [*inside, *outside]):
        # They are reached by the link, not by the navigation.
        files.append(File.generated(
            config, page_name(path), content=_content(path), inclusion=InclusionLevel.NOT_IN_NAV))
    files.append(File.generated(config, STYLE.name, abs_src_path=str(STYLE)))
    return files


def _content(path: str) -> str:
    text = (ROOT / path).read_text(encoding='utf-8')
    if path == 'CHANGELOG.rst':
        return changelog(text)
    return plain_fences(rewritten(text, path, page_name)) if path.endswith('.md') else as_code(path, text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change the links and blocks of a page in docs/; those of the others are changed already."""
    if page.file.generated_by is not None:
        return markdown
    return plain_fences(rewritten(markdown, DOCS + page.file.src_uri, page_name))


def on_page_context(
        context: TemplateContext, page: Page, config: MkDocsConfig, nav: Navigation) -> TemplateContext:
    """Set the language of the page: of its HTML, and of the theme's own words."""
    config.theme['language'] = 'zh-Hant' if page.file.src_uri == page_name(CHINESE) else 'en'
    return context
