# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception`: the command line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import PerceptionError, one_line, printable

# These modules import only NumPy at the top, so `--help` works without the other packages.
SUBCOMMANDS = (
    'fetch', 'inspect', 'predict', 'quantize', 'build', 'cache', 'benchmark', 'play', 'demo')


class OneLineParser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """End the process with code 2."""
        self.exit(2, f'{self.prog}: {one_line(message)} (see {self.prog} --help)\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns 0 for success, 1 for a failure (one line on stderr), 130 after Ctrl-C. Exits with 2 for wrong usage.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except PerceptionError as error:
        print(f'trt_perception: {one_line(error)}', file=sys.stderr)
        return 1
    except BrokenPipeError:
        # `| head` closed the pipe: no more output is possible, not even the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A full disk, or a file that was removed while it was read: a traceback would not help.
        where = f'{printable(error.filename)}: ' if error.filename else ''
        print(f'trt_perception: {where}{error.strerror or error}', file=sys.stderr)
        return 1
    except MemoryError as error:
        # NumPy's message has the amount and the shape: usually --input-size or --size is too large.
        print(f'trt_perception: out of memory: {one_line(error)}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('trt_perception: interrupted', file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog='trt_perception',
        description='Object detection and image classification for ROS 2 with TensorRT or ONNX Runtime.')
    parser.add_argument('--version', action='version', version=f'trt_perception {__version__}')
    subparsers = parser.add_subparsers(metavar='COMMAND', required=True)
    for name in SUBCOMMANDS:
        module = importlib.import_module(f'.{name.replace("-", "_")}', __package__)
        text = module.__doc__ or ''
        sub = subparsers.add_parser(
            name, help=text.strip().splitlines()[0], description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


if __name__ == '__main__':
    sys.exit(main())
