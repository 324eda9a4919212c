# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""scripts/check_wheels.py with an index of files: what pip finds for each Python and machine, and the table."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / 'scripts' / 'check_wheels.py').is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)
pytest.importorskip('packaging')

from scripts.check_wheels import (
    TARGETS,
    IndexAnswerError,
    Target,
    cell,
    main,
    name_of,
    project_requirements,
    requirement_lines,
    row,
    table,
    wheel_versions,
)

FILES = {
    'compiled': [
        'compiled-1.0-cp310-cp310-manylinux2014_x86_64.whl', 'compiled-1.2-cp310-cp310-manylinux_2_17_x86_64.whl',
        'compiled-1.1-cp312-cp312-manylinux_2_28_aarch64.whl', 'compiled-2.0-cp312-cp312-manylinux_2_35_x86_64.whl',
        'compiled-3.0-cp312-cp312-win_amd64.whl', 'compiled-4.0-cp314-cp314-manylinux_2_50_x86_64.whl'],
    'pure': ['pure-0.9-py3-none-any.whl', 'pure-0.10-py3-none-any.whl'],
    'sources': ['sources-1.0.tar.gz', 'sources-0.9-cp310-cp310-manylinux2014_x86_64.whl'],
}


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    """Options of pip for an index that is a folder."""
    done = subprocess.run([sys.executable, '-m', 'pip', '--version'], capture_output=True, text=True, check=False)
    if done.returncode or int(done.stdout.split()[1].split('.')[0]) < 25:
        pytest.skip('needs pip 25 or newer: `pip index versions --json`')
    index = tmp_path_factory.mktemp('index')
    for name, files in FILES.items():
        folder = index / name
        folder.mkdir()
        (folder / 'index.html').write_text(''.join(f'<a href="{file}">{file}</a>' for file in files))
        for file in files:
            (folder / file).touch()
    return ['--isolated', '--index-url', index.as_uri()]


def test_newest_wheel_for_each_python_and_machine(options):
    assert row('compiled', options) == ['1.2', 'none', '2.0', '1.1', 'none', 'none']


def test_limits_of_the_requirement_count(options):
    assert wheel_versions('compiled<1.2', TARGETS[0], options) == ['1.0']
    assert wheel_versions('pure', TARGETS[1], options) == ['0.10', '0.9']


def test_a_wheel_for_a_newer_glibc_does_not_count(options):
    assert cell('compiled', Target('3.12', (2, 34), 'x86_64'), options) == 'none'


def test_sources_and_missing_packages_differ(options, monkeypatch):
    monkeypatch.setattr('scripts.check_wheels.TARGETS', (TARGETS[0], TARGETS[2]))
    assert row('sources', options) == ['0.9', 'source']
    assert row('absent', options) == ['none', 'none']


def test_an_index_that_does_not_answer_is_an_error_and_not_a_missing_wheel(monkeypatch, capsys):
    monkeypatch.setattr('scripts.check_wheels.TARGETS', TARGETS[2:3])
    # Nothing listens on this port; pip itself only says that there is no such package.
    assert main(['pure', '--index-url', 'http://127.0.0.1:9/simple']) == 1
    assert 'check_wheels: pip index versions pure: ' in capsys.readouterr().err
    with pytest.raises(IndexAnswerError, match='no such option'):
        wheel_versions('pure', TARGETS[0], ['--no-such-option'])


def test_output(options, monkeypatch, capsys):
    monkeypatch.setattr('scripts.check_wheels.TARGETS', TARGETS[2:3])
    assert main(['pure', '--index-url', options[2]]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith('Newest versions with a wheel, 20')
    assert printed[2:] == ['| package | 3.12 x86_64 |', '|---|---|', '| `pure` | 0.10 |']


def test_requirements_of_the_project():
    found = project_requirements(ROOT)
    assert {'onnx>=1.16,<2', 'ai-edge-litert', 'torch', 'matplotlib', 'numpy<2', 'pycuda', 'tensorrt'} <= set(found)
    runtime = requirement_lines((ROOT / 'requirements' / 'runtime.txt').read_text())
    assert len(runtime) >= 7 and set(runtime) <= set(found)
    # One row of each package, and NumPy below 2 beside NumPy.
    names = [name_of(requirement) for requirement in found]
    assert [name for name in set(names) if names.count(name) > 1] == ['numpy']


def test_comments_and_markers_of_a_requirements_file():
    assert requirement_lines("# only\na>=1  # why\n\nb<2; python_version < '3'\n") == ['a>=1', 'b<2']


def test_table():
    lines = table([('numpy<2', ['1.26.4'] * 6)]).splitlines()
    assert lines[1] == '|---' * 7 + '|'
    assert lines[2] == '| `numpy<2` |' + ' 1.26.4 |' * 6
