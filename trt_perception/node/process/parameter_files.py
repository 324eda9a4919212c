# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds parameters in files and in arguments that are for other nodes: ROS ignores them without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import MissingDependencyError, printable
from ...user_files import load_yaml, read_whole
from .command_line import ROS_ARGS

_FILES = ('--params-file',)
_PARAMETER = ('-p', '--param')
_FOR_A_NODE = re.compile(r'([^:=]+):[^:=]+:=')
_PARAMETERS = 'ros__parameters'
# rcl has read the whole file already.
_MOST_BYTES = 10_000_000
_MOST_NAMES = 5
# launch_ros writes the parameters of a launch file, and files with substitutions, to files of this name.
_OF_LAUNCH = 'launch_params_'


def without_effect(arguments: Sequence[str], full_name: str) -> list[str]:
    """Return a warning for each parameter file, and each -p NODE:NAME:=VALUE, whose names all fit other nodes.

    arguments: of the process; full_name: of the node, with its namespace
    """
    warnings = []
    for option, value in _options(arguments):
        if option in _FILES:
            path = Path(value)
            names = sorted(set(_node_names(_content(path), '')))
            what = f'parameter file {printable(value)}'
            if path.name.startswith(_OF_LAUNCH):
                what = f'a parameter file of the launch file ({printable(value)})'
            remedy = f'write {full_name} or /** above {_PARAMETERS}'
        else:
            names = [f'/{match[1].strip("/")}' for match in [_FOR_A_NODE.match(value)] if match]
            what, remedy = f'-p {printable(value)}', f'write {full_name}, or leave out the name of the node'
        if names and not any(fits(name, full_name) for name in names):
            shown = ', '.join(printable(name) for name in names[:_MOST_NAMES])
            more = f' and {len(names) - _MOST_NAMES} more' if len(names) > _MOST_NAMES else ''
            warnings.append(f'{what} has no effect: it is for {shown}{more}, but this node is {full_name}; {remedy}')
    return warnings


def fits(pattern: str, full_name: str) -> bool:
    """Return whether a name of a parameter file is that of the node: * is one part of a name, ** any number of them."""
    parts = (r'(/\w+)*' if part == '**' else r'/\w+' if part == '*' else re.escape(f'/{part}')
             for part in pattern.split('/') if part)
    return re.fullmatch(''.join(parts), full_name) is not None


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return the options that set parameters, with their values."""
    of_ros = False
    for argument, following in zip(arguments, [*arguments[1:], '']):
        if argument == ROS_ARGS:
            of_ros = True
        elif argument == '--':
            of_ros = False
        elif of_ros and argument in (*_FILES, *_PARAMETER):
            yield argument, following


def _content(path: Path) -> Any:
    """Return the file as YAML, None if it cannot be read: rcl has accepted it, so that is not the user's concern."""
    try:
        return load_yaml(read_whole(path, _MOST_BYTES).decode())
    except (OSError, ValueError, MissingDependencyError):
        return None


def _node_names(value: Any, name: str) -> Iterator[str]:
    """Return the names above ros__parameters, with their namespaces; rcl joins nested names."""
    if not isinstance(value, dict):
        return
    for key, below in value.items():
        if key == _PARAMETERS:
            yield name
        else:
            yield from _node_names(below, f'{name}/{str(key).strip("/")}'.rstrip('/'))
