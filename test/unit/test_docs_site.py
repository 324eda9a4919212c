# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The docs site: built without a warning, with all pages as GitHub shows them, and read in a real browser."""

import re
import shutil
from collections import Counter

import pytest
from support.browser import Browser, find_browser
from support.docs_site import MKDOCS, ROOT, build, served

if not MKDOCS.is_file():
    pytest.skip('needs MkDocs: make docs', allow_module_level=True)

from scripts.docs_site.sources import page_name, pages_outside

TAGS = ('li', 'ul', 'ol', 'pre', 'table', 'tr', 'td', 'h1', 'h2', 'h3', 'h4', 'blockquote', 'img', 'em', 'strong')
PAGES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / 'docs').rglob('*.md'))]
PAGES += [path for path in pages_outside(ROOT) if path.endswith('.md')]
needs_browser = pytest.mark.skipif(find_browser() is None, reason='needs Chromium: apt-get install chromium')
# Type into the search box as a person does; return the titles of the pages that are found.
SEARCH = """new Promise((resolve) => {
  const box = document.querySelector('[data-md-component=search-query]');
  box.focus();
  box.value = WORDS;
  box.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
  box.dispatchEvent(new Event('input', {bubbles: true}));
  const look = () => {
    const found = [...document.querySelectorAll('.md-search-result__item h1, .md-search-result__item h2')];
    if (found.length) resolve(found.map((title) => title.textContent)); else setTimeout(look, 50);
  };
  look();
})"""
# Elements of the text that reach beyond the window, apart from those in a box that scrolls.
TOO_WIDE = """[...document.querySelectorAll('.md-content *')].filter((part) =>
  part.getBoundingClientRect().right > innerWidth + 1 && !part.closest('pre, .md-typeset__scrollwrap')
).map((part) => part.outerHTML.slice(0, 80))"""


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    output = tmp_path_factory.mktemp('docs') / 'site'
    done = build(output)
    assert done.returncode == 0, done.stderr
    assert 'WARNING' not in done.stderr and 'ERROR' not in done.stderr
    return output


@pytest.fixture(scope='module')
def address(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope='module')
def browser():
    with Browser() as browser:
        yield browser


def html_of(site, page):
    name = re.sub(r'(^|/)README\.md$', r'\1index.md', page_name(page))
    return (site / name).with_suffix('.html').read_text(encoding='utf-8')


def counts(html):
    # A list that something has cut in two goes on with another number on GitHub, but not here.
    starts = re.findall(r'<ol start[^>]*>', html)
    return Counter([*starts, *(tag for tag in re.findall(r'<(\w+)[ >]', html) if tag in TAGS)])


@pytest.mark.parametrize('page', PAGES)
def test_a_page_has_the_lists_tables_and_code_that_github_shows(site, page):
    """Python-Markdown wants four spaces before what belongs to an item of a list; CommonMark is content with less."""
    markdown_it = pytest.importorskip('markdown_it')
    as_github = markdown_it.MarkdownIt('commonmark').enable('table').render((ROOT / page).read_text(encoding='utf-8'))
    article = re.search(r'<article.*?>(.*)</article>', html_of(site, page), re.S).group(1)
    assert counts(article) == counts(as_github)


def test_the_site_names_no_other_server_that_the_browser_would_ask(site):
    """Links may lead elsewhere; scripts, styles, fonts and pictures may not."""
    for path in site.rglob('*.html'):
        loaded = re.findall(r'<(?:script|img|link|source|iframe)\b[^>]*(?:src|href)="?(https?:)?//', path.read_text())
        assert loaded == [], path


def test_a_page_that_the_navigation_forgets_ends_the_build(tmp_path):
    for folder in ('docs', 'models', 'config', 'scripts/docs_site'):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for pattern in ('*.md', 'CHANGELOG.rst', 'LICENSE', 'NOTICE', 'package.xml', 'mkdocs.yml'):
        for path in ROOT.glob(pattern):
            shutil.copy(path, tmp_path)
    if (ROOT / 'docker').is_dir():
        shutil.copytree(ROOT / 'docker', tmp_path / 'docker')
    (tmp_path / 'docs' / 'forgotten.md').write_text('# Page\n\n[a](../NOTHING.md) [b](topics.md#no-such-heading)\n')
    done = build(tmp_path / 'site', tmp_path)
    assert done.returncode == 1
    warnings = done.stderr.split('WARNING')[1:]
    assert len(warnings) == 3 and 'forgotten.md' in warnings[0] and 'nav' in warnings[0]
    assert 'NOTHING.md' in warnings[1] and '#no-such-heading' in warnings[2]


@needs_browser
@pytest.mark.parametrize('width', [1280, 390], ids=['wide', 'phone'])
@pytest.mark.parametrize('name, title', [
    ('index.html', 'trt_perception'), ('zh-TW.html', 'trt_perception'), ('models/index.html', 'Models'),
    ('parameters.html', 'Parameters'), ('config/detect.yaml.html', 'config/detect.yaml')])
def test_a_page_in_a_browser(browser, address, name, title, width):
    browser.errors.clear()
    browser.requests.clear()
    browser.open(address + name, width=width)
    assert browser.evaluate("document.querySelector('h1').firstChild.textContent") == title
    assert browser.evaluate('document.documentElement.scrollWidth <= innerWidth')
    assert browser.evaluate(TOO_WIDE) == []
    assert browser.evaluate('[...document.images].every((image) => image.naturalWidth > 0)')
    assert browser.errors == []
    assert len(browser.requests) > 3
    assert [request for request in browser.requests if not request.startswith((address, 'data:'))] == []


@needs_browser
def test_the_language_of_the_page_and_the_link_between_the_two(browser, address):
    browser.open(f'{address}index.html')
    assert browser.evaluate('document.documentElement.lang') == 'en'
    link = "document.querySelector('article a[href$=\"zh-TW.html\"]')"
    assert browser.evaluate(f'{link}.textContent') == '繁體中文'
    browser.open(browser.evaluate(f'{link}.href'))
    assert browser.evaluate('document.documentElement.lang') == 'zh-Hant'
    assert browser.evaluate("document.querySelector('article a[href$=\"index.html\"]').textContent") == 'English'
    # The anchor of a Chinese heading.
    assert browser.evaluate(
        "document.getElementById(decodeURIComponent(document.querySelector('article td a[href^=\"#\"]').hash.slice(1)))"
        '.firstChild.textContent') == '大型影像'


@needs_browser
@pytest.mark.parametrize('words, expected', [
    ('calibration', 'Precision'), ('FASTRTPS_DEFAULT_PROFILES_FILE', 'Large images'), ('校正', '疑難排解')])
def test_the_search_box_finds(browser, address, words, expected):
    browser.errors.clear()
    browser.requests.clear()
    browser.open(f'{address}models/index.html')
    titles = browser.evaluate(SEARCH.replace('WORDS', repr(words)))
    assert any(expected in title for title in titles), titles
    assert not any(title.startswith('config/') for title in titles), titles
    assert browser.errors == []
    assert [request for request in browser.requests if not request.startswith((address, 'data:'))] == []
