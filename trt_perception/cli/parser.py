# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parser of the command line. A wrong argument gives one line that names the argument that was probably meant."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import one_line
from .suggestions import closest, foreign_assignment, foreign_command, foreign_option

# What an argument with this name is.
_PATHS = {'FILE': 'file', 'FILE.npz': 'file', 'DIR': 'folder', 'FOLDER': 'folder', 'BAG': 'bag'}


class OneLineParser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """End the process with code 2."""
        self.exit(2, f'{self.prog}: {one_line(message)} (see {self.prog} --help)\n')

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; refuse an unknown option before argparse reports a missing argument instead."""
        args = list(args or ())
        for word in self._own(args):
            if word.startswith('--'):
                self._require_known(word.partition('=')[0])
            else:
                remedy = foreign_assignment(word, self._option_string_actions)
                if remedy:
                    self.error(f"an option is written as --name value, found '{word}': {remedy}")
        return super().parse_known_args(args, namespace)

    def _own(self, args: Sequence[str]) -> Iterable[str]:
        """Yield the arguments of this parser; those after a subcommand belong to its parser."""
        has_commands = self._subparsers is not None
        for before, word in zip(('', *args), args):
            if word == '--' or (has_commands and not word.startswith('-')):
                return
            # A word after an option is probably its value.
            if word.startswith('--') or not before.startswith('-'):
                yield word

    def _require_known(self, option: str) -> None:
        own = self._option_string_actions
        if option in own:
            return
        remedy = foreign_option(option, own)
        # argparse accepts the beginning of an option.
        if not remedy and any(name.startswith(option) for name in own):
            return
        if not remedy:
            close = closest(option, own)
            remedy = f'did you mean {close}?' if close else ''
        self.error(f'unknown option {option}{": " if remedy else ""}{remedy}')

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        # A variable of a shell that is not set. Path('') would be the current folder. `--labels ''` is its default.
        if not arg_string and action.metavar in _PATHS and action.default != '':
            kind = _PATHS[action.metavar]
            raise argparse.ArgumentError(action, f'expected the name of a {kind}, found an empty text')
        return super()._get_value(action, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            close = closest(str(value), map(str, action.choices or ()))
            if isinstance(action, argparse._SubParsersAction):
                close = foreign_command(str(value)) or close
            if close:
                error.message += f'; did you mean {close}?'
            raise


class _CommandParser(OneLineParser):
    """The parser of a subcommand. Its module is imported when it is chosen, so `--help` imports none of them."""

    def __init__(self, module: str, **options: Any) -> None:
        """Create the parser without arguments; module: the full name of the subcommand's module."""
        super().__init__(**options, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._module = module

    def add_subparsers(self, **options: Any) -> Any:
        """Add commands below this one, such as `cache list`, which have no module of their own."""
        return super().add_subparsers(**{'parser_class': OneLineParser, **options})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the arguments of the module, then parse."""
        if self._module:
            module, self._module = importlib.import_module(self._module), ''
            self.description = module.__doc__
            module.add_arguments(self)
            self.set_defaults(run=module.run)
        return super().parse_known_args(args, namespace)


def make_parser(subcommands: Iterable[str]) -> argparse.ArgumentParser:
    """Return the parser with all subcommands. `run` of its result is the function of the chosen one."""
    parser = OneLineParser(
        prog='trt_perception',
        description='Object detection and image classification for ROS 2 with TensorRT or ONNX Runtime.')
    parser.add_argument('--version', action='version', version=f'trt_perception {__version__}')
    subparsers = parser.add_subparsers(metavar='COMMAND', required=True, parser_class=_CommandParser)
    for name in subcommands:
        module = name.replace('-', '_')
        subparsers.add_parser(name, help=_summary(module), module=f'{__package__}.{module}')
    return parser


def _summary(module: str) -> str:
    """Return the first line of a subcommand's docstring without importing its module."""
    try:
        text = Path(__file__).with_name(f'{module}.py').read_text(encoding='utf-8')
    except OSError:
        # Installed as compiled files only.
        return ''
    return text.partition('"""')[2].partition('\n')[0]
