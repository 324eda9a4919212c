# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Hooks, workflows, issue forms and release pages agree with the package."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / '.github'
if not GITHUB.is_dir():
    pytest.skip('needs the whole checkout', allow_module_level=True)


def document(path):
    yaml = pytest.importorskip('yaml')
    return yaml.safe_load(path.read_text())


@pytest.fixture
def hooks():
    return {hook['id']: hook for hook in document(ROOT / '.pre-commit-config.yaml')['repos'][0]['hooks']}


def test_hooks_have_the_versions_of_make_lint(hooks):
    pinned = dict(re.findall(r'^([\w-]+)==([\w.]+)$', (ROOT / 'requirements' / 'test.txt').read_text(), re.M))
    for name in ('ruff', 'mypy', 'import-linter'):
        assert f'{name}=={pinned[name]}' in hooks[name]['additional_dependencies'], name


def test_hooks_run_the_commands_of_make_lint(hooks):
    recipe = re.search(r'^lint:.*\n((?:\t.*\n)+)', (ROOT / 'Makefile').read_text(), re.M).group(1)
    commands = [line.strip().replace("'$(VENV)/bin/", '').replace("'", '') for line in recipe.splitlines()]
    # pre-commit names the files that changed in place of the dot.
    assert commands[0] == hooks['ruff']['entry'].replace(' --force-exclude', ' .')
    assert commands[1:] == [hooks['mypy']['entry'], hooks['import-linter']['entry']]


def test_workflows():
    """One calls .ci/run, one builds and tests with colcon on each distribution; each has a limit and reads only."""
    workflows = {path.stem: document(path) for path in (GITHUB / 'workflows').glob('*.yml')}
    assert set(workflows) == {'ci', 'ros'}
    for name, workflow in workflows.items():
        # YAML 1.1 reads the key `on` as true.
        assert {'pull_request', 'push'} <= set(workflow[True]), name
        assert workflow['permissions'] == {'contents': 'read'}, name
        for job in workflow['jobs'].values():
            assert job['timeout-minutes'] > 0
            actions = [step['uses'] for step in job['steps'] if 'uses' in step]
            # A tag can be moved to other code.
            assert all(re.fullmatch(r'[\w/-]+@[0-9a-f]{40}', action) for action in actions), actions
    commands = [step.get('run', '') for step in workflows['ci']['jobs']['ci-run']['steps']]
    assert '.ci/run' in commands
    colcon = workflows['ros']['jobs']['colcon-test']
    assert {entry['distro'] for entry in colcon['strategy']['matrix']['include']} == {'humble', 'jazzy', 'lyrical'}
    commands = '\n'.join(step.get('run', '') for step in colcon['steps'])
    assert all(command in commands for command in ('rosdep install', 'colcon build', 'colcon test', 'test-result'))


@pytest.mark.parametrize('form', ['bug', 'model'])
def test_an_issue_form_asks_for_the_diagnostics(form):
    fields = document(GITHUB / 'ISSUE_TEMPLATE' / f'{form}.yml')['body']
    diagnostics = next(field for field in fields if field.get('id') == 'diagnostics')
    assert diagnostics['validations'] == {'required': True}
    assert 'ros2 topic echo --once /diagnostics' in ' '.join(diagnostics['attributes'].values())


def test_placeholders_are_open_steps_of_the_release():
    """Only the owner can replace `.invalid` addresses: both files have the same, and RELEASING.md names them."""
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    address, url = package.find('maintainer').get('email'), package.findtext('url')
    assert package.find('url').get('type') == 'repository'
    setup = (ROOT / 'setup.py').read_text()
    assert f"url='{url}'" in setup
    assert f"maintainer_email='{address}'" in setup
    releasing = (ROOT / 'RELEASING.md').read_text()
    for value in (address, url):
        assert ('.invalid' in value) == (value in releasing), value


def test_links_between_pages_lead_somewhere():
    for page in ('SECURITY.md', 'RELEASING.md', 'QUALITY_DECLARATION.md', 'docs/python.md'):
        for target in re.findall(r'\]\((?!https?:)([^)#]+)', (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), (page, target)
