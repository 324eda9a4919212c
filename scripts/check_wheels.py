# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints which packages have a wheel for which Python and machine. Nothing is downloaded or installed.

  python -m scripts.check_wheels                 # asks PyPI, or the index of pip's settings; takes minutes
  python -m scripts.check_wheels onnx 'numpy<2'  # these requirements only

Without arguments: the packages of requirements/runtime.txt, of the extras of setup.py, and MORE. The table in
docs/install.md is a run of this script.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Named in docs/install.md, and no extra has them. NumPy below 2 is that of a robot with ROS 2 from apt.
MORE = ('numpy<2', 'pycuda', 'tensorrt', 'tensorrt-rtx-cu13', 'onnxruntime-gpu')
MACHINES = ('x86_64', 'aarch64')


@dataclass(frozen=True)
class Target:
    """A Python on a Linux machine."""

    python: str
    # Newest glibc whose wheels it can load, as (2, 35).
    glibc: tuple[int, int]
    machine: str

    @property
    def platforms(self) -> list[str]:
        """All platform tags of wheels for this machine. pip tries only those that it is given."""
        major, newest = self.glibc
        names = [f'manylinux_{major}_{minor}' for minor in range(5, newest + 1)]
        return [f'{name}_{self.machine}' for name in (*names, 'manylinux1', 'manylinux2010', 'manylinux2014', 'linux')]


# Ubuntu 22.04, 24.04 and 26.04, with the Python and the glibc of each.
TARGETS = tuple(
    Target(python, glibc, machine)
    for python, glibc in (('3.10', (2, 35)), ('3.12', (2, 39)), ('3.14', (2, 42))) for machine in MACHINES)


class IndexAnswerError(Exception):
    """pip did not answer as expected."""


def requirement_lines(text: str) -> list[str]:
    """Return the requirements of a requirements file, without comments and environment markers."""
    lines = (line.split('#')[0].split(';')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def project_requirements(root: Path = ROOT) -> list[str]:
    """Return the requirements of runtime.txt, of the extras of setup.py and MORE, one of each package, sorted.

    A package of runtime.txt keeps its limits of versions. 'numpy<2' is a row beside numpy.
    """
    runtime = requirement_lines((root / 'requirements' / 'runtime.txt').read_text())
    extras = re.search(r'extras_require=\{(.*?)\n    \},', (root / 'setup.py').read_text(), re.S)
    if extras is None:
        raise IndexAnswerError('setup.py: expected extras_require={...}')
    code = '\n'.join(line.split('#')[0] for line in extras.group(1).splitlines())
    lists = re.findall(r"'[\w-]+': \[(.*?)\]", code, re.S)
    packages = [name for names in lists for name in re.findall(r"'([^']+)'", names)]
    found = {name_of(requirement): requirement for requirement in (*packages, *runtime)}
    found.update({requirement: requirement for requirement in MORE})
    return [found[name] for name in sorted(found)]


def name_of(requirement: str) -> str:
    """Return the name of the package in a requirement."""
    return re.split(r'[\[<>=!~;\s]', requirement, maxsplit=1)[0]


def wheel_versions(requirement: str, target: Target | None, options: Sequence[str] = ()) -> list[str]:
    """Return the versions on the index that fit, the newest first.

    target: only versions with a wheel for it; None: no such limit
    options: further options of `pip index versions`, such as --index-url

    Raises IndexAnswerError if pip fails for another reason than that there are none.
    """
    # In the environment of `make setup`; not needed for `--help`.
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    command = [sys.executable, '-m', 'pip', 'index', 'versions', parsed.name, '--json', *options]
    if target is not None:
        command += ['--only-binary=:all:', '--python-version', target.python]
        for platform in target.platforms:
            command += ['--platform', platform]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, 'log')
        # In a folder of its own: in the checkout `python -m pip` would find the modules of the current folder.
        done = subprocess.run([*command, '--log', str(log)], capture_output=True, text=True, check=False, cwd=folder)
        said = log.read_text() if log.exists() else done.stderr
    # pip says nothing else about an index that it cannot reach, and that is no package without wheels.
    unreachable = [line for line in said.splitlines() if 'Could not fetch URL' in line and '404' not in line]
    if unreachable or (done.returncode != 0 and 'No matching distribution found' not in done.stderr):
        reason = (unreachable or done.stderr.strip().splitlines() or ['no output'])[-1]
        raise IndexAnswerError(f'pip index versions {parsed.name}: {reason}')
    if done.returncode != 0:
        return []
    return [version for version in json.loads(done.stdout)['versions'] if parsed.specifier.contains(version)]


def cell(requirement: str, target: Target, options: Sequence[str] = ()) -> str:
    """Return the newest version with a wheel for the target, or 'none'."""
    return next(iter(wheel_versions(requirement, target, options)), 'none')


def row(requirement: str, options: Sequence[str] = ()) -> list[str]:
    """Return the cells of a requirement, one for each of TARGETS.

    Without a wheel a cell says 'source' if the index has sources, which pip would compile, otherwise 'none'.
    """
    cells = [cell(requirement, target, options) for target in TARGETS]
    if 'none' in cells and wheel_versions(requirement, None, [*options, '--no-binary=:all:']):
        cells = ['source' if found == 'none' else found for found in cells]
    return cells


def table(rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return a Markdown table."""
    heads = [f'{target.python} {target.machine}' for target in TARGETS]
    lines = ['| package | ' + ' | '.join(heads) + ' |', '|---' * (len(heads) + 1) + '|']
    # A < would begin a tag of HTML on some pages; in code it does not.
    lines += [f'| `{requirement}` | ' + ' | '.join(cells) + ' |' for requirement, cells in rows]
    return '\n'.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns 1 if pip failed."""
    parser = argparse.ArgumentParser(prog='check_wheels', description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('requirements', nargs='*', help='packages; default: those of the project')
    parser.add_argument('--index-url', help="ask this index, without pip's settings; default: that of pip's settings")
    options = parser.parse_args(arguments)
    pip_options = ['--isolated', '--index-url', options.index_url] if options.index_url else []
    requirements = options.requirements or project_requirements()
    print(f'Newest versions with a wheel, {date.today().isoformat()}:\n', flush=True)
    try:
        # Most of the time goes into the starts of pip.
        with ThreadPoolExecutor(2) as pool:
            rows = list(zip(requirements, pool.map(lambda requirement: row(requirement, pip_options), requirements)))
    except IndexAnswerError as error:
        print(f'check_wheels: {error}', file=sys.stderr)
        return 1
    print(table(rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
