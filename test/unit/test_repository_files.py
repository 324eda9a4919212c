# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Hooks, workflows, issue forms and release pages agree with the package."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from trt_perception.cli.comparison_options import is_comparison
from trt_perception.cli.main import SUBCOMMANDS
from trt_perception.cli.parser import make_parser

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / '.github'
PAGES = [
    *sorted(ROOT.glob('*.md')), ROOT / 'docker/README.md', ROOT / 'models/README.md',
    *sorted((ROOT / 'docs').rglob('*.md'))]
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
    """One calls .ci/run, one builds the docs, one tests with colcon; each has a limit and reads only, but one job."""
    workflows = {path.stem: document(path) for path in (GITHUB / 'workflows').glob('*.yml')}
    assert set(workflows) == {'arm', 'ci', 'docs', 'lyrical', 'ros'}
    for name, workflow in workflows.items():
        # YAML 1.1 reads the key `on` as true.
        assert {'pull_request', 'push'} <= set(workflow[True]), name
        assert workflow['permissions'] == {'contents': 'read'}, name
        for job_name, job in workflow['jobs'].items():
            assert job['timeout-minutes'] > 0
            assert 'permissions' not in job or (name, job_name) == ('docs', 'publish')
            actions = [step['uses'] for step in job['steps'] if 'uses' in step]
            # A tag can be moved to other code.
            assert all(re.fullmatch(r'[\w/-]+@[0-9a-f]{40}', action) for action in actions), actions
    commands = [step.get('run', '') for step in workflows['ci']['jobs']['ci-run']['steps']]
    assert '.ci/run' in commands
    assert 'make docs' in [step.get('run') for step in workflows['docs']['jobs']['build']['steps']]
    arm = workflows['arm']['jobs']['unit-tests']
    assert all(machine.endswith('-arm') for machine in arm['strategy']['matrix']['os'])
    commands = '\n'.join(step.get('run', '') for step in arm['steps'])
    assert '-m pytest' in commands and '-m scripts.arm.predict' in commands
    # A pull request publishes nothing.
    assert workflows['docs']['jobs']['publish']['if'].startswith("github.event_name == 'workflow_dispatch' && ")
    assert [step.get('run') for step in workflows['lyrical']['jobs']['tests-over-dds']['steps']][-1] == '.ci/lyrical'
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


def test_the_form_for_figures_has_a_command_that_exists():
    body = document(GITHUB / 'ISSUE_TEMPLATE' / 'benchmark.yml')['body']
    line, = re.findall(r'^ *(trt_perception benchmark .*)$', body[0]['attributes']['value'], re.M)
    options = make_parser(SUBCOMMANDS).parse_args(line.split()[1:])
    assert str(options.report) == 'report' and is_comparison(options)


def test_labels_of_the_issue_forms_exist_or_are_open_steps_of_the_release():
    """GitHub ignores a label that the repository does not have."""
    labels = {
        label for form in (GITHUB / 'ISSUE_TEMPLATE').glob('*.yml') for label in document(form).get('labels', [])}
    in_each_new_repository = {'bug', 'documentation', 'enhancement', 'question'}
    open_steps = (ROOT / 'RELEASING.md').read_text().partition('## The docs site')[0]
    assert labels and all(f'`{label}`' in open_steps for label in labels - in_each_new_repository)


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


@pytest.mark.parametrize('page', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page):
    for target, heading in re.findall(r'\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)', page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if heading:
            assert heading in headings(linked), (target, heading)


@pytest.mark.parametrize('page', ['docs/architecture.md', 'CONTRIBUTING.md'])
def test_files_that_the_map_names_exist(page):
    """As paths from the root or from any folder of the package or of the tests. NAME stands for a new file."""
    folders = ('trt_perception', 'test', 'scripts', 'docs', 'config', 'launch', 'models', 'requirements')
    files = [path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob('*.*')]
    files += [path.name for path in ROOT.iterdir()]
    for name in re.findall(r'[\w./-]*\w\.(?:py|h|cu|md|svg|txt|xml|toml|ini)\b', (ROOT / page).read_text()):
        name = name.removeprefix('../')
        assert 'NAME' in name or any(file == name or file.endswith(f'/{name}') for file in files), name


def headings(page):
    """Return the names that GitHub gives to the headings of a page."""
    titles = re.findall(r'^#+ (.*)$', page.read_text(), re.M)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}


def test_the_picture_of_the_house_has_the_floors_that_are_checked():
    layers = re.search(r'^layers =\n((?: +.*\n)+)', (ROOT / '.importlinter').read_text(), re.M).group(1).splitlines()
    rooms = {path.name for path in (ROOT / 'trt_perception').iterdir() if (path / '__init__.py').is_file()}
    floors = [{name.strip() for name in line.split('|')} for line in layers]
    picture = (ROOT / 'docs' / 'images' / 'house.svg').read_text()
    drawn = [set(text.split(' | ')) for text in re.findall(r'class="room"[^>]*>([^<]*)<', picture)]
    assert drawn == [*(floor for floor in floors if floor <= rooms), {'shared files'}]
    assert set().union(*drawn) - {'shared files'} == rooms
    listed = re.search(r'>shared files<.*?class="job"[^>]*>([^<]*)<', picture).group(1).split(', ')
    assert set(listed) == set().union(*floors) - rooms


def make_targets():
    return set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.M))


def test_no_two_test_files_have_the_same_name():
    """pytest imports each as a module of that name, and stops at the second one."""
    names = [path.name for path in (ROOT / 'test').rglob('test_*.py')]
    assert sorted(names) == sorted(set(names))


def test_make_help_lists_every_target():
    make = shutil.which('make')
    if make is None:
        pytest.skip('needs make')
    # A sourced ROS 2 would add a note.
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_DISTRO'}
    done = subprocess.run(
        [make, '--no-print-directory', 'help'], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == make_targets()


@pytest.mark.parametrize('page', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_make_targets_that_a_page_names_exist(page):
    # In code only, since a sentence may also say "make a": `make TARGET`, or a line of a block that begins with it.
    text = page.read_text()
    blocks = '\n'.join([*re.findall(r'^```\w*\n(.*?)^```', text, re.M | re.S), *re.findall(r'^ {4}(.*)', text, re.M)])
    named = {*re.findall(r'`make ([a-z][a-z-]*)', text), *re.findall(r'^make ([a-z][a-z-]*)', blocks, re.M)}
    assert named <= make_targets()


def test_contributing_names_every_make_target():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    assert {target for target in make_targets() if f'make {target}' not in text} == set()
