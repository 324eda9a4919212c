# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The arguments and environment of a node's process: --help, --version, and checks before ROS starts."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ParameterError, one_line, printable

if TYPE_CHECKING:
    from ...parameters.table import Row

# The ports of DDS follow from the domain: above this number they would be higher than 65535.
_LAST_DOMAIN = 232
ROS_ARGS = '--ros-args'


def answer_to(arguments: Sequence[str], help_text: Callable[[], str]) -> str:
    """Return the text for --help or --version, '' without these options."""
    for argument in _before_ros(arguments):
        if argument in ('-h', '--help'):
            return help_text()
        if argument == '--version':
            from ... import __version__

            return f'trt_perception {__version__}'
    return ''


def ignored(arguments: Sequence[str], program: str, example: str) -> str:
    """Return a warning about arguments that are not for ROS, '' without any. example: a remapping of the program."""
    others = [printable(argument) for argument in _before_ros(arguments)]
    if not others:
        return ''
    return (
        f'{" ".join(others)}: ignored; parameters are given as --ros-args -p NAME:=VALUE, topics as '
        f'--ros-args -r {example} ({program} --help)')


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Raise ParameterError for settings with which ROS fails without a reason, or ends the process itself."""
    domain = environment.get('ROS_DOMAIN_ID', '')
    zenoh = 'zenoh' in environment.get('RMW_IMPLEMENTATION', '')
    if domain and not (domain.strip().isdecimal() and (zenoh or int(domain) <= _LAST_DOMAIN)):
        raise ParameterError(f"ROS_DOMAIN_ID is '{printable(domain)}': expected a number from 0 to {_LAST_DOMAIN}")
    _check_middleware(environment)
    _check_security(environment)


def explained(error: Exception) -> str:
    """Return an error of rclpy.init as one line, without places in its source code, and with what was expected."""
    text = re.sub(r',? at /[^ ,]+:\d+', '', one_line(error)).removesuffix(' Error: error not set')
    if type(error).__name__ == 'UnknownROSArgsError':
        return f'unknown ROS arguments {text}: expected -p, -r, --params-file, --log-level, ...'
    # Of a folder that cannot be made, and of one that is there, such as root's after sudo.
    if 'log directory' in text or 'logging directory' in text or text.startswith('Failed opening file'):
        return f'{text}. Set ROS_LOG_DIR to a folder that can be written'
    if 'remap rule' in text:
        return (
            f'{text.rstrip(".")}. Expected -r FROM:=TO; a name has letters, digits, _ and /, and no part begins with a '
            'digit; a namespace (__ns) begins with /')
    return text


def _check_middleware(environment: Mapping[str, str]) -> None:
    wanted = environment.get('RMW_IMPLEMENTATION', '')
    folders = [*environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    installed = {
        path.name for folder in folders if folder
        for path in Path(folder, 'share', 'ament_index', 'resource_index', 'rmw_typesupport').glob('rmw_*')}
    installed.discard('rmw_implementation')
    # Without an index nothing is known; rcl reports what it finds.
    if wanted and installed and wanted not in installed:
        raise ParameterError(
            f"RMW_IMPLEMENTATION is '{printable(wanted)}', which is not installed: expected one of "
            f'{", ".join(sorted(installed))}, or install ros-$ROS_DISTRO-{printable(wanted).replace("_", "-")}')


def _check_security(environment: Mapping[str, str]) -> None:
    # rcl compares these words exactly. With another strategy it continues without security.
    if environment.get('ROS_SECURITY_ENABLE') != 'true' or environment.get('ROS_SECURITY_STRATEGY') != 'Enforce':
        return
    keystore = environment.get('ROS_SECURITY_KEYSTORE', '')
    remedy = 'create one with ros2 security create_keystore, or unset ROS_SECURITY_ENABLE'
    if not keystore:
        raise ParameterError(
            'ROS_SECURITY_ENABLE is true and ROS_SECURITY_STRATEGY is Enforce, but ROS_SECURITY_KEYSTORE is not set: '
            f'set it to the folder of your keystore; {remedy}')
    if not Path(keystore, 'enclaves').is_dir():
        raise ParameterError(
            f'ROS_SECURITY_KEYSTORE is {printable(keystore)}: expected a keystore, which is a folder with a folder '
            f'enclaves; {remedy}')


def _before_ros(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are not for ROS: those before --ros-args, and those after --."""
    own: list[str] = []
    of_ros = False
    for argument in arguments:
        if argument == ROS_ARGS:
            of_ros = True
        elif of_ros and argument == '--':
            of_ros = False
        elif not of_ros:
            own.append(argument)
    return own


def parameter_list(table: Mapping[str, Row]) -> str:
    """Return the parameters with their defaults and meanings, as a help text has them."""
    from ...parameters.table import as_yaml

    lines = []
    for name, row in table.items():
        live = ', live' if row.live else ''
        lines.append(f'  {name} ({as_yaml(row.default)}{live})')
        lines += textwrap.wrap(
            f'{row.explanation} {row.constraint}'.strip(), 110, initial_indent=' ' * 6, subsequent_indent=' ' * 6)
    return '\n'.join(lines)
