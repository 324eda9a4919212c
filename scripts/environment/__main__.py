# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""python -m scripts.environment --distro jazzy --venv .venv: creates or completes the environment."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from pathlib import Path

from .errors import SetupError
from .setup import DISTROS, set_up
from .system_packages import missing_packages


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make setup', description=__doc__)
    parser.add_argument('--distro', choices=DISTROS, default='jazzy')
    parser.add_argument('--venv', type=Path, default=Path('.venv'))
    parser.add_argument('--list-missing', action='store_true',
                        help='print the missing system packages and exit')
    parser.add_argument('--without-tests', action='store_true',
                        help='leave out what only tests and linters need')
    return parser.parse_args(arguments)


def _lock(folder: Path) -> int:
    """Make a second setup of the same environment wait; the kernel releases the lock after a crash."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f'waiting for another setup of {folder} to end', flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if the environment is complete, 1 after an error message, 130 after Ctrl-C."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    if options.list_missing:
        print(*missing_packages(), sep='\n')
        return 0
    root = Path(__file__).resolve().parents[2]
    venv = options.venv.absolute()
    started = time.monotonic()
    try:
        existed = venv.exists()
        handle = _lock(venv)
        try:
            made = set_up(root, venv, options.distro, not options.without_tests)
        except SetupError:
            if not existed and not any(venv.iterdir()):
                venv.rmdir()
            raise
        finally:
            os.close(handle)
    except SetupError as error:
        print(f'make setup: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('make setup: interrupted; run it again to continue', file=sys.stderr)
        return 130
    if made:
        print(f'{options.venv} is ready ({time.monotonic() - started:.0f} s): '
              f'ROS 2 {options.distro} and {options.venv}/bin/trt_perception')
    return 0


if __name__ == '__main__':
    sys.exit(main())
