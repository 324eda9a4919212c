# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of the setup, logs their output and explains a failure."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import SetupError

_LAST_LINES = 15

# Variables of a sourced ROS 2 or another venv must not affect this venv.
_FOREIGN_VARIABLES = (
    'AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH', 'COLCON_PREFIX_PATH', 'LD_LIBRARY_PATH',
    'PYTHONHOME', 'PYTHONPATH', 'ROS_DISTRO', '_ROS_WHEELS_BOOTSTRAP_COMPLETE',
    # Settings of pip and CMake that install into another folder, or less than was asked for. Those that say from where
    # (indexes, proxies, certificates, constraints) stay.
    'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PIP_PYTHON', 'PIP_DRY_RUN', 'PIP_NO_DEPS', 'PIP_QUIET', 'DESTDIR')
_OWN_VARIABLES = {
    # pip refuses `user` in a venv; the variable overrides pip's configuration files.
    'PIP_USER': '0',
    # Paths in other letters than ASCII, whatever the locale.
    'PYTHONUTF8': '1'}


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without variables of another ROS 2 or Python, plus extra."""
    environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN_VARIABLES}
    return {**environment, **_OWN_VARIABLES, **(extra or {})}


def run_logged(command: Sequence[str], log: Path, *, cwd: Path | None = None,
               environment: Mapping[str, str] | None = None, inherited: Sequence[int] = (),
               on_line: Callable[[str], None] | None = None, advice: str = '') -> None:
    """Run command, append its output to log and pass every line to on_line.

    inherited: open files that the command keeps open

    Raises SetupError with the last lines of the output if the command fails.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a', encoding='utf-8', errors='backslashreplace') as log_file:
        log_file.write(f'\n$ {shlex.join(command)}\n')
        log_file.flush()
        process = subprocess.Popen(
            list(command), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding='utf-8', errors='replace', pass_fds=inherited,
            env=dict(environment) if environment is not None else clean_environment())
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log_file.write(line)
                last.append(line.rstrip())
                if on_line is not None:
                    on_line(line.rstrip())
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if code in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    if code:
        shown = '\n  '.join(last)
        raise SetupError(
            f'{Path(command[0]).name} failed with exit code {code}:\n  {shown}\n'
            f'{advice + chr(10) if advice else ""}The full output is in {log}')


def capture(command: Sequence[str]) -> str:
    """Return the stdout of command. Raises SetupError if it fails."""
    done = subprocess.run(
        list(command), capture_output=True, text=True, env=clean_environment(), check=False)
    if done.returncode:
        raise SetupError(f'{shlex.join(command)} failed:\n{done.stderr.strip()}')
    return done.stdout.strip()
