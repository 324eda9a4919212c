# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How files of the repository become pages of the docs site. Needs no MkDocs."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / 'mkdocs.yml').is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)

from scripts.docs_site.links import linked_paths, rewritten
from scripts.docs_site.markdown import as_code, changelog, plain_fences
from scripts.docs_site.sources import page_name, pages_outside, shown_files


@pytest.mark.parametrize('path, name', [
    ('README.md', 'index.md'), ('README.zh-TW.md', 'zh-TW.md'), ('docs/topics.md', 'topics.md'),
    ('docs/how-to/own_yolov5.md', 'how-to/own_yolov5.md'), ('docs/images/demo.jpg', 'images/demo.jpg'),
    ('models/README.md', 'models/README.md'), ('CHANGELOG.rst', 'CHANGELOG.md'), ('LICENSE', 'LICENSE.md'),
    ('config/detect.yaml', 'config/detect.yaml.md')])
def test_the_name_of_a_page(path, name):
    assert page_name(path) == name


@pytest.mark.parametrize('page, link, expected', [
    ('README.md', 'docs/topics.md#republish', 'topics.md#republish'),
    ('README.md', 'docs/images/demo.jpg', 'images/demo.jpg'),
    ('README.md', 'README.zh-TW.md', 'zh-TW.md'),
    ('docs/topics.md', '../README.md#large-images', 'index.md#large-images'),
    ('docs/topics.md', 'images.md', 'images.md'),
    ('docs/how-to/own_yolov5.md', '../../models/README.md', '../models/README.md'),
    ('docs/how-to/own_yolov5.md', '../topics.md', '../topics.md'),
    ('docs/parameters.md', '../config/detect.yaml', 'config/detect.yaml.md'),
    ('models/README.md', '../docs/litert.md', '../litert.md'),
    ('models/README.md', '../docs/images/house.svg', '../images/house.svg')])
def test_a_link_leads_to_the_page_of_its_file(page, link, expected):
    assert rewritten(f'see [it]({link}), ![it]({link})', page, page_name) == f'see [it]({expected}), ![it]({expected})'


@pytest.mark.parametrize('text', [
    '[a](https://docs.ros.org/README.md)', '[a](#topics)', '[a](mailto:x@y.z)', '`[a](docs/topics.md)`',
    '``[a](docs/topics.md) ` ``', '```\n[a](docs/topics.md)\n```', '````\n```\n[a](docs/topics.md)\n````'])
def test_links_to_the_web_and_code_stay(text):
    assert rewritten(text, 'README.md', page_name) == text
    assert linked_paths(text, 'README.md') == set()


def test_links_after_code_are_found():
    text = 'a `x` [b](docs/a.md)\n```\n[c](docs/c.md)\n```\n[d](docs/d.md#e) `y`'
    assert linked_paths(text, 'README.md') == {'docs/a.md', 'docs/d.md'}
    assert rewritten(text, 'README.md', page_name).endswith('[d](d.md#e) `y`')


def test_files_that_a_page_links_to_are_shown():
    (ROOT / 'config' / 'detect.yaml').stat()
    outside = pages_outside(ROOT)
    assert {'README.md', 'README.zh-TW.md', 'CONTRIBUTING.md', 'models/README.md', 'CHANGELOG.rst'} <= set(outside)
    shown = shown_files(ROOT, ['docs/parameters.md', *outside])
    assert {'config/detect.yaml', 'config/classify.yaml'} <= set(shown)
    assert not {'CHANGELOG.rst', 'README.md'} & set(shown) and not any(path.startswith('docs/') for path in shown)


@pytest.mark.parametrize('line, expected', [
    ('```console needs-gpu', '```console'), ('    ````python listen.py', '    ````python'), ('```c++ x y', '```c++'),
    ('```', '```'), ('```python', '```python'), ('```yaml title="a"', '```yaml title="a"'),
    ('```{.yaml .x}', '```{.yaml .x}'), ('`a b`', '`a b`'), ('```a``` b', '```a``` b')])
def test_only_the_language_stands_after_a_fence(line, expected):
    assert plain_fences(f'x\n\n{line}\nprint(1)\n```\n') == f'x\n\n{expected}\nprint(1)\n```\n'


def test_the_changelog_as_markdown():
    text = '^^^^\nLog\n^^^^\n\nForthcoming\n-----------\n* ``a b``\n  and ``--c\n  d``.\n* e\n'
    assert changelog(text) == '# Log\n\n## Forthcoming\n\n- `a b`\n  and `--c\n  d`.\n- e\n'


def test_a_file_as_code_has_a_fence_that_the_file_does_not_end():
    assert as_code('a/b.yaml', 'x: 1\n').endswith('---\n\n# a/b.yaml\n\n```yaml\nx: 1\n```\n')
    assert as_code('b.txt', '```\nx\n```').endswith('# b.txt\n\n````text\n```\nx\n```\n````\n')
