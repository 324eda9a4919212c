# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The options of `trt_perception benchmark` for a comparison.

The comparison itself is in comparison.py, which is imported only if it runs: `trt_perception --help` imports this file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..measure.variant import NAMES
from .suggestions import closest

# The files of --report.
TEXT, JSON, PLOT, LOG = 'report.md', 'comparison.json', 'comparison.png', 'log.txt'


def add_comparison_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for a comparison."""
    group = parser.add_argument_group(
        'comparison', 'Each backend and precision runs in a child process, in turns on the same frames.')
    group.add_argument(
        '--against', type=backend_names, metavar='BACKEND[,...]',
        help=f'compare these backends: {", ".join(NAMES)}. Those that are not installed are named and left out')
    group.add_argument(
        '--pytorch', type=Path, metavar='FILE', help='the same model as TorchScript, for the backend pytorch')
    group.add_argument(
        '--file', type=_backend_file, action='append', default=[], metavar='BACKEND=FILE',
        help='the same model in the format of this backend, such as litert=model.tflite')
    group.add_argument('--plot', type=Path, metavar='FILE', help='draw the comparison (needs matplotlib)')
    group.add_argument(
        '--report', type=Path, metavar='FOLDER',
        help=f'write {TEXT}, {JSON}, {PLOT} and {LOG} into this folder, to send to others')


def is_comparison(options: argparse.Namespace) -> bool:
    """Return whether the options ask for a comparison; without --against it has every backend."""
    return bool(
        options.against or options.plot or options.report or options.pytorch or options.file
        or len(options.precision or ()) > 1)


def backend_names(text: str) -> tuple[str, ...]:
    """Parse names of backends separated by commas, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(',')))
    for name in names:
        if name not in NAMES:
            near = closest(name, NAMES)
            raise argparse.ArgumentTypeError(
                f"'{name}': expected names from {', '.join(NAMES)}{f'; did you mean {near}?' if near else ''}")
    return names


def _backend_file(text: str) -> tuple[str, Path]:
    name, _, file = text.partition('=')
    if name not in NAMES or not file:
        raise argparse.ArgumentTypeError(f'{text}: expected BACKEND=FILE, such as litert=model.tflite')
    return name, Path(file)
