# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands in the pages are commands of this version: options, launch arguments and parameters exist.

Links between the pages: test_repository_files.py.
"""

import re
import shlex
from pathlib import Path

import pytest

from trt_perception.cli.main import SUBCOMMANDS
from trt_perception.cli.parser import make_parser
from trt_perception.parameters.table import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]

# The quickstart of README.zh-TW.md is compared with that of README.md.
PAGES = [
    ROOT / 'README.md', *(path for path in sorted(ROOT.glob('*.md')) if not path.name.startswith('README')),
    ROOT / 'docker' / 'README.md', ROOT / 'models' / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted((ROOT / '.github').rglob('*.yml')), *sorted((ROOT / '.github').glob('*.md'))]
if not PAGES[0].is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)
page_of = pytest.mark.parametrize('page', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
# Words before a command that do not belong to it.
_BEFORE = re.compile(r'^(?:\$ |sudo (?:-\w+ \w+ )?|time |nice |taskset -c [\d,-]+ |[A-Z_]+=\S* )+')
_OURS = re.compile(r'^(?:\.venv/bin/|ros2 run trt_perception )?trt_perception +(?=\S)')


# A fence may stand in a list, so it may be indented.
_FENCED = re.compile(r'^( *)```[^\n]*\n(.*?)^\1```', re.M | re.S)


def code_lines(text):
    """Return the lines of the code blocks, fenced or indented, with continued lines joined and without comments."""
    blocks = [block for _, block in _FENCED.findall(text)]
    blocks.append('\n'.join(re.findall(r'^ {4}(.*)', _FENCED.sub('', text), re.M)))
    for line in '\n'.join(blocks).replace('\\\n', ' ').splitlines():
        yield re.sub(r'(?:^|\s+)#.*', '', line).strip()


def commands(page, in_sentences=True):
    """Return each command of the page: a line of a code block, or a part of it between && and |.

    in_sentences: also code in sentences and tables
    """
    text = page.read_text()
    lines = list(code_lines(text))
    if in_sentences:
        lines += [' '.join(code.split()) for code in re.findall(r'`([^`]+)`', _FENCED.sub('', text))]
    for line in lines:
        for part in re.split(r' && | \|\|? | > |; ', line):
            yield _BEFORE.sub('', part.strip())


def our_commands(page, in_sentences=True):
    """Return the arguments of each `trt_perception ...` of the page."""
    for command in commands(page, in_sentences):
        start = _OURS.match(command)
        # "trt_perception: ..." is the output of a command.
        if start and re.match(r'[a-z-]', command[start.end():]):
            yield command[start.end():]


def refusal(command, capsys):
    """Return what the parser says against a command, '' if nothing."""
    # [--option] and ... stand for what a user adds.
    words = shlex.split(re.sub(r'\[[^]]*\]|\.\.\.', '', command))
    try:
        make_parser(SUBCOMMANDS).parse_args(words)
    except SystemExit as end:
        return '' if end.code == 0 else capsys.readouterr().err
    return ''


@page_of
def test_each_command_line_parses(page, capsys):
    for command in our_commands(page, in_sentences=False):
        assert refusal(command, capsys) == '', command
    for command in our_commands(page):
        said = refusal(command, capsys)
        # A sentence may name a command or an option without the rest: `build`, `--against`.
        assert said == '' or 'are required' in said or 'expected one argument' in said, (command, said)


def launch_arguments(name):
    """Return the arguments of a launch file, as its source and that of launching/arguments.py declare them."""
    source = (ROOT / 'launch' / name).read_text()
    declared = set(re.findall(r"DeclareLaunchArgument\(\s*'(\w+)'", source))
    shared = (ROOT / 'trt_perception' / 'launching' / 'arguments.py').read_text()
    declared |= set(re.findall(r"DeclareLaunchArgument\(\s*'(\w+)'", shared))
    for one, other in re.findall(r"[^n]_argument\('(\w+)'|\bParameterArgument\('(\w+)'", shared):
        declared.add(one or other)
    return declared


def test_arguments_of_a_launch_file_are_found():
    found = launch_arguments('detect.launch.py')
    # A parameter's own name, a name of its own, one of the process, one of the file.
    assert {'precision', 'model', 'use_sim_time', 'namespace', 'params_file', 'image_topic', 'respawn'} <= found
    assert 'model_file' not in found


@page_of
def test_each_launch_line_has_arguments_that_exist(page):
    for command in commands(page):
        found = re.match(r'ros2 launch trt_perception (\S+\.launch\.py)(.*)', command)
        if found:
            name, rest = found.groups()
            given = {word.partition(':=')[0] for word in shlex.split(rest) if ':=' in word}
            assert given <= launch_arguments(name), command


@page_of
def test_each_parameter_that_is_set_exists(page):
    for command in commands(page):
        found = re.match(r'ros2 param set /(?:\w+/)*(?:detector|classifier) (\w+)', command)
        if found:
            assert found.group(1) in PARAMETERS, command
    for block in re.findall(r'^ *ros__parameters:\n((?: {4,}\S.*\n)+)', page.read_text(), re.M):
        assert set(re.findall(r'^ +(\w+):', block, re.M)) <= set(PARAMETERS), block


@page_of
def test_parameter_files_of_a_page_can_be_read(page):
    """YAML of a code block that has parameters: a node name, then ros__parameters."""
    yaml = pytest.importorskip('yaml')
    for block in re.findall(r'^```yaml\n(.*?)^```', page.read_text(), re.M | re.S):
        for content in yaml.safe_load(block).values():
            assert list(content) == ['ros__parameters'] and content['ros__parameters'], block


@page_of
def test_no_page_installs_this_package_from_an_index(page):
    """It is not on PyPI, and the name could be that of another package there: only ./trt_perception."""
    assert not re.findall(r'(?<!\./)trt_perception\[', page.read_text())


@page_of
def test_a_node_that_is_started_directly_gets_a_model_and_starts_to_work(page):
    """Without a launch file it has no model, and waits for somebody who configures it."""
    for command in commands(page, in_sentences=False):
        if re.match(r'(?:ros2 run trt_perception )?perception_node --ros-args', command):
            assert 'model_file:=' in command and 'autostart:=true' in command, command


@page_of
def test_the_parameter_file_of_a_command_is_on_the_page(page):
    text = page.read_text()
    for command in commands(page, in_sentences=False):
        for name in re.findall(r'\bparams_file:=([\w-]+\.yaml)', command):
            assert f'`{name}`' in text and 'ros__parameters:' in text, command


@page_of
def test_an_environment_that_a_block_makes_has_this_package_if_the_block_runs_it(page):
    for _, block in _FENCED.findall(page.read_text()):
        made = re.search(r'-m venv (\S+)', block)
        if made and f'. {made.group(1)}/bin/activate' in block and any(
                _OURS.match(part.strip()) for part in re.split(r'[\n&|]|\$\(', block)):
            assert './trt_perception' in block, block


@page_of
def test_equations_have_a_line_each(page):
    """A reflow of the text can join two lines of code."""
    for line in code_lines(page.read_text()):
        assert not re.match(r'\w+ = \w+ \+ ', line) or line.count(' = ') == 1, line


def test_the_quickstarts_of_the_readme_have_the_lines_of_the_install_page():
    """The install page is the long form; a package that is added there must not be missing in the README."""
    long_form = list(code_lines((ROOT / 'docs' / 'install.md').read_text()))
    quickstart = (ROOT / 'README.md').read_text().partition('### Robot')[2].partition('## What you get')[0]
    checked = [line for line in code_lines(quickstart) if re.match('pip|sudo|rosdep|colcon|mkdir|export|git', line)]
    assert len(checked) >= 10
    for line in checked:
        assert line in long_form, line


def test_the_commands_are_found():
    """A pattern that matches nothing would pass on every page."""
    readme = list(our_commands(ROOT / 'README.md'))
    assert 'fetch nanodet-g' in readme and any(command.startswith('predict nanodet-g') for command in readme)
    assert sum(len(list(our_commands(page))) for page in PAGES) > 80


def test_a_wrong_option_fails(tmp_path, capsys):
    page = tmp_path / 'page.md'
    page.write_text('    sudo -u robot X=1 trt_perception build m.onnx --precison fp16  # a comment\n')
    command, = our_commands(page)
    assert command == 'build m.onnx --precison fp16'
    assert 'unknown option --precison' in refusal(command, capsys)
