# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An addition that is forgotten in one of its places fails here: docs/architecture.md, "Where to add"."""

import ast
import re
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest

import trt_perception
from trt_perception.advice.packages import INSTALL
from trt_perception.backends.create import BACKENDS
from trt_perception.cli import main as command_line
from trt_perception.image.encodings import ENCODINGS
from trt_perception.model.heads.identify import HEADS, KNOWN_LAYOUTS
from trt_perception.model.thresholds import Thresholds
from trt_perception.parameters.settings import Settings
from trt_perception.parameters.table import PARAMETERS, Kind, as_yaml

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / 'README.md'
PACKAGE = ROOT / 'trt_perception'
if not README.is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)


def readme():
    return README.read_text()


# Subcommands


def test_every_file_with_a_subcommand_is_in_the_list():
    """A subcommand is a file in cli/ with add_arguments and run."""
    found = set()
    for path in (PACKAGE / 'cli').glob('*.py'):
        functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        if {'add_arguments', 'run'} <= functions:
            found.add(path.stem.replace('_', '-'))
    assert found == set(command_line.SUBCOMMANDS)


def test_a_dash_in_the_name_of_a_subcommand_is_an_underscore_in_its_file(monkeypatch, capsys):
    module = types.ModuleType('trt_perception.cli.say_hello', 'Say hello.')
    module.add_arguments = lambda parser: parser.add_argument('name')
    module.run = lambda options: print(f'hello {options.name}') or 0
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(command_line, 'SUBCOMMANDS', ('say-hello',))
    assert command_line.main(['say-hello', 'robot']) == 0
    assert capsys.readouterr().out == 'hello robot\n'


def test_the_readme_has_every_subcommand():
    rows = re.findall(r'^\| (`trt_perception .*?) \|', readme(), re.M)
    named = {name for row in rows for name in re.findall(r'`(?:trt_perception )?([a-z-]+)', row)}
    assert named == set(command_line.SUBCOMMANDS)


# Parameters


def another_value(row):
    """Return an allowed value that is not the default, as ROS has it."""
    special = {'roi': [1, 2, 3, 4], 'rotate': [90], 'ignore_areas': ['0,0 1,0 1,1']}
    if row.name in special:
        return special[row.name]
    if row.kind is Kind.BOOL:
        return not row.default
    if row.choices:
        return next(choice for choice in row.choices if choice != row.default)
    if row.limits:
        return next(type(row.default)(limit) for limit in row.limits if limit != row.default)
    return {Kind.TEXT: 'other', Kind.PATH: 'other.txt', Kind.NUMBERS: [0.5], Kind.TEXTS: ['red'],
            Kind.INTEGERS: [1, 2, 4][:len(row.default)] if row.kind is Kind.INTEGERS else None}[row.kind]


@pytest.mark.parametrize('name', PARAMETERS)
def test_a_parameter_has_an_effect(name):
    """It changes what the package is told, or the node reads it."""
    spec = SimpleNamespace(names=('red', 'green'), path=Path('m.onnx'), thresholds=Thresholds())

    def told(settings):
        return (
            settings.model_options(), settings.pipeline_options(), settings.postprocess(spec), settings.image_options())

    changed = Settings().changed({name: another_value(PARAMETERS[name])})
    assert changed != Settings()
    node = '\n'.join(path.read_text() for path in (PACKAGE / 'node').rglob('*.py'))
    assert told(changed) != told(Settings()) or re.search(rf'\bsettings\.{name}\b', node)


def test_the_parameters_in_the_readme_are_those_of_the_table():
    section = readme().partition('\n## Parameters\n')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| `(\w+)` \| `(.*?)` \| (.*?) \|$', section, re.M)
    assert len(rows) == section.count('\n| `') > 5
    for name, default, meaning in rows:
        row = PARAMETERS[name]
        assert default == as_yaml(row.default), name
        assert meaning.endswith('live') == row.live, name
        for choice in row.choices:
            assert f'`{choice}`' in meaning or choice == row.default, (name, choice)


# Backends, heads, encodings


def test_backends_are_named_where_users_look():
    for name in BACKENDS:
        assert re.search(rf'^ +backend: .*\b{name}\b', trt_perception.open.__doc__, re.M), name


def test_an_unknown_layout_is_answered_with_a_layout_of_each_head():
    assert KNOWN_LAYOUTS.count('[') >= len(set(HEADS) - {'auto'})


def test_the_readme_has_every_encoding():
    paragraph = re.search(r'^Image encodings: .*?\n\n', readme(), re.M | re.S).group()
    named = set(re.findall(r'`(\w+)\*?`', paragraph))
    for name in ENCODINGS:
        family = 'bayer_' if name.startswith('bayer_') else re.sub(r'(?<=[a-z])(8|16)$', '', name)
        assert family in named, name


# Python packages


def test_a_missing_package_is_named_with_its_install_command():
    """Of the packages that the package imports, apart from NumPy and those that only run inside ROS 2."""
    required = set()
    for source in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(source.read_text())):
            if (isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'require'
                    and isinstance(node.args[0], ast.Constant)):
                required.add(node.args[0].value.split('.')[0])
    assert {'cv2', 'onnxruntime', 'pycuda'} <= required
    assert required - set(INSTALL) == set()
