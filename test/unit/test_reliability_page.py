# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""docs/reliability.md names tests and scripts that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'reliability.md'
if not PAGE.is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)
TEXT = PAGE.read_text()


def test_every_row_has_a_test_that_exists():
    rows = [line for line in TEXT.split('## Measured')[0].splitlines() if line.startswith('| ')]
    rows = [row for row in rows if not row.startswith('| fault |')]
    assert len(rows) > 60
    for row in rows:
        fault, _, tests = (cell.strip() for cell in row.strip('|').split(' | '))
        assert re.findall('`(test_[^`]+)`', tests), fault


def test_every_test_exists():
    named = re.findall(r'`(test_\w+\.py)(?:::(\w+))?`', TEXT)
    assert len(named) > 80
    missing = []
    for file, name in named:
        found = [path for path in ROOT.glob(f'test/*/{file}') if f'def {name}(' in path.read_text() or not name]
        missing += [] if len(found) == 1 else [f'{file}::{name}']
    assert missing == []


def test_every_command_names_a_script_and_its_options():
    commands = re.findall(r'python (test/reliability/\w+\.py)([^`\n]*)', TEXT)
    assert {script for script, _ in commands} == {
        f'test/reliability/{name}.py' for name in (
            'fuzz_images', 'fuzz_messages', 'kill_annotate', 'kill_builds', 'respawn', 'signals', 'soak')}
    for script, arguments in commands:
        source = (ROOT / script).read_text()
        for option in re.findall(r'--[\w-]+', arguments):
            assert f"'{option}'" in source, (script, option)
