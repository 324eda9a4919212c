# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""python -m scripts.environment --distro jazzy --venv .venv: creates or completes the environment."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from .errors import SetupError
from .lock import held
from .setup import DISTROS, set_up
from .system_packages import missing_packages
from .venv import Venv


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make setup', description=__doc__)
    parser.add_argument('--distro', choices=DISTROS, default='jazzy')
    parser.add_argument('--venv', type=Path, default=Path('.venv'))
    parser.add_argument('--list-missing', action='store_true',
                        help='print the missing system packages and exit')
    parser.add_argument('--without-tests', action='store_true',
                        help='leave out what only tests and linters need')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if the environment is complete, 1 after an error message, 130 if a signal such as Ctrl-C ended it."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    if options.list_missing:
        print(*missing_packages(), sep='\n')
        return 0
    root = Path(__file__).resolve().parents[2]
    prefix = options.venv.absolute()
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As after Ctrl-C, the running command must end too: it would change the environment below the next setup.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        with held(prefix) as lock:
            made = set_up(root, Venv(prefix, lock), options.distro, not options.without_tests)
    except SetupError as error:
        print(f'make setup: {error}', file=sys.stderr)
        return 1
    except OSError as error:
        # Such as a full disk.
        place = f'{error.filename}: ' if error.filename else ''
        print(f'make setup: {place}{error.strerror or error}. Solve this, then run it again to continue',
              file=sys.stderr)
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
