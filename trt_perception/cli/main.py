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

# Imported only when chosen or when help is asked for: `--help` works with NumPy alone.
SUBCOMMANDS = (
    'fetch', 'inspect', 'predict', 'quantize', 'build', 'cache', 'benchmark', 'play', 'demo')


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """End the process with code 2."""
        self.exit(2, f'{self.prog}: {one_line(message)} (see {self.prog} --help)\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns 0; 1 if it failed; exits with 2 for wrong usage, both with one line on stderr; 130 after Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except PerceptionError as error:
        print(f'trt_perception: {one_line(error)}', file=sys.stderr)
        return 1
    except BrokenPipeError:
        # `| head` closed the pipe: nothing more can be told, also not by the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A full disk, a file that vanished while it was read: nothing that a trace would explain.
        where = f'{printable(error.filename)}: ' if error.filename else ''
        print(f'trt_perception: {where}{error.strerror or error}', file=sys.stderr)
        return 1
    except MemoryError as error:
        # NumPy's says how much and for what shape: an --input-size or --size with digits too many.
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
        module = importlib.import_module(f'.{name}', __package__)
        text = module.__doc__ or ''
        sub = subparsers.add_parser(
            name, help=text.strip().splitlines()[0], description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


if __name__ == '__main__':
    sys.exit(main())
