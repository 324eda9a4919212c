# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The virtual environment: its folders and Python packages."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .commands import capture, run_logged
from .errors import SetupError
from .progress import Step

# The setup may run inside a venv, even this one: the new one is created from that venv's base.
BASE_PYTHON = os.path.realpath(getattr(sys, '_base_executable', sys.executable))

_QUESTION = """
import json, sysconfig
paths = sysconfig.get_paths()
print(json.dumps([paths['purelib'], paths['include']]))
"""
# The folder of the stamps and of the log. It is there before anything else, so it shows who made the environment.
STAMPS = '.setup'
_NETWORK_ADVICE = 'This step needs access to PyPI; earlier downloads are kept.'


@dataclass(frozen=True)
class Venv:
    """A venv with ROS 2 in it: the venv's folder is the ament prefix.

    lock: the open file of the lock that whoever changes the venv holds, if there is one
    """

    prefix: Path
    lock: int | None = None

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.prefix / 'bin' / 'python'

    @property
    def site_packages(self) -> Path:
        """Where Python packages are installed."""
        return Path(self._ask()[0])

    @property
    def python_include(self) -> str:
        """The folder of Python.h."""
        return self._ask()[1]

    def create(self, log: Path, prompt: str) -> None:
        """Create it with a current pip; everything of an older one is deleted first.

        Raises SetupError if the folder has files of others.
        """
        mark = self.prefix / STAMPS
        children = [child for child in self.prefix.iterdir() if child != mark]
        if children and not mark.exists():
            raise SetupError(
                f'{self.prefix} was not made by make setup, which would delete all files in it. Remove it yourself, or '
                'choose another folder: make setup VENV=FOLDER')
        # The mark last: this may be interrupted.
        for child in [*children, *([mark] if mark.exists() else [])]:
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
        self.run([BASE_PYTHON, '-m', 'venv', '--prompt', prompt, str(self.prefix)], log)
        self.pip(['install', '--upgrade', 'pip'], log)

    def run(self, command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None,
            on_line: Callable[[str], None] | None = None, advice: str = '') -> None:
        """Run a command that changes the venv. It holds the lock until it ends, also if the setup is killed."""
        run_logged(command, log, environment=environment, on_line=on_line, advice=advice,
                   inherited=() if self.lock is None else (self.lock,))

    def pip(self, arguments: Sequence[str], log: Path, step: Step | None = None) -> None:
        """Run pip in the venv; step shows its progress."""
        watch = _PipWatcher(step).on_line if step else None
        self.run(
            [str(self.python), '-m', 'pip', '--disable-pip-version-check', '--no-input',
             *arguments, '--progress-bar', 'off'],
            log, on_line=watch, advice=_NETWORK_ADVICE)

    def forget_half_installed(self) -> list[str]:
        """Make pip forget packages whose installation was interrupted; return their names.

        pip treats a package as installed as soon as METADATA exists, but writes RECORD last.
        """
        forgotten = []
        site_packages = self.site_packages
        for info in site_packages.glob('*.dist-info'):
            if info.name.startswith('trt_perception-') or _is_complete(info, site_packages):
                continue
            shutil.rmtree(info)
            forgotten.append(info.name.split('-')[0])
        return forgotten

    def _ask(self) -> list[str]:
        answer: list[str] = json.loads(capture([str(self.python), '-c', _QUESTION]))
        return answer


def _is_complete(info: Path, site_packages: Path) -> bool:
    try:
        lines = (info / 'RECORD').read_text().splitlines()
    except OSError:
        return False
    names = [line.rsplit(',', 2)[0].strip('"') for line in lines if line]
    return all((site_packages / name).exists() for name in names if '__pycache__' not in name)


class _PipWatcher:
    """Turns pip's output into progress."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._collected = 0

    def on_line(self, line: str) -> None:
        if line.startswith('Collecting '):
            self._collected += 1
            self._step.update(f'{self._collected} packages, {line.split()[1]}')
        elif line.startswith('Installing collected packages'):
            self._step.update(f'unpacking {self._collected} packages')
