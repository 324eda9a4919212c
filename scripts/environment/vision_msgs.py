# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds the packages of interfaces/ into the venv and checks that vision_msgs equals the released one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from .commands import clean_environment
from .errors import SetupError
from .plain_path import plain, replace_in_files
from .progress import Step
from .venv import Venv

_NINJA_COUNT = re.compile(r'^\[(\d+)/(\d+)\]')


def build(source: Path, venv: Venv, log: Path, step: Step) -> None:
    """Configure, build and install the package at source into the venv's prefix."""
    with plain(source) as source_path, plain(venv.prefix) as prefix:
        _build(source_path, source.name, prefix, venv, log, step)
        replace_in_files(venv.prefix / 'share' / source.name, prefix, venv.prefix)


def _build(source: Path, name: str, prefix: Path, venv: Venv, log: Path, step: Step) -> None:
    build_folder = prefix / 'build' / name
    # An old build folder may be incomplete, or built with other wheels.
    shutil.rmtree(build_folder, ignore_errors=True)
    environment = clean_environment({
        'AMENT_PREFIX_PATH': str(prefix),
        'CMAKE_PREFIX_PATH': str(prefix),
        'LD_LIBRARY_PATH': str(prefix / 'lib'),
    })
    tools = prefix / 'bin'
    environment['PATH'] = f'{tools}:{environment.get("PATH", "")}'
    step.update('configuring')
    venv.run(
        [str(tools / 'cmake'), '-G', 'Ninja', '-S', str(source), '-B', str(build_folder),
         f'-DCMAKE_INSTALL_PREFIX={prefix}', f'-DPython3_EXECUTABLE={tools / "python"}',
         f'-DCMAKE_MAKE_PROGRAM={tools / "ninja"}', '-DBUILD_TESTING=OFF',
         '-DCMAKE_BUILD_TYPE=Release'],
        log, environment=environment)

    def show(line: str) -> None:
        match = _NINJA_COUNT.match(line)
        if match:
            done, total = int(match[1]), int(match[2])
            step.update(f'{done} of {total}', done / total)

    venv.run([str(tools / 'ninja'), '-C', str(build_folder), 'install'], log,
             environment=environment, on_line=show)
    shutil.rmtree(build_folder, ignore_errors=True)


def read_expected_hashes(path: Path) -> dict[str, str]:
    """Return message name -> RIHS01 hash from a table with one message per line."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: line[1] for line in lines if line and not line[0].startswith('#')}


def read_installed_hashes(prefix: Path) -> dict[str, str]:
    """Return message name -> RIHS01 hash of the vision_msgs installed at prefix."""
    hashes = {}
    for path in sorted((prefix / 'share' / 'vision_msgs' / 'msg').glob('*.json')):
        for entry in json.loads(path.read_text())['type_hashes']:
            if entry['type_name'] == f'vision_msgs/msg/{path.stem}':
                hashes[path.stem] = entry['hash_string']
    return hashes


def verify(expected: dict[str, str], found: dict[str, str]) -> None:
    """Raise SetupError unless both tables are equal: different hashes mean different bytes on the wire."""
    wrong = [
        f'{name}: expected {expected.get(name, "no such message")}, '
        f'found {found.get(name, "no such message")}'
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)]
    if wrong:
        listed = '\n  '.join(wrong)
        raise SetupError(
            f'the vision_msgs built here is not compatible with vision_msgs 4.1.1:\n  {listed}\n'
            'Compare interfaces/vision_msgs/msg with the released definitions')
