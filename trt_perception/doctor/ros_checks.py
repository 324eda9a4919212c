# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of ROS 2: the installation, the middleware and its settings, the domain, shared memory, socket buffers."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..advice.packages import install_line
from ..errors import ParameterError, one_line, printable
from ..launching.large_images import PROFILE_VARIABLES, profile_variables
from ..node.process.command_line import check_environment
from ..node.process.least_versions import too_old
from ..node.process.shared_memory import dead_segments
from .facts import Probe
from .finding import Finding, Level
from .platform_checks import can_be_written
from .system import System

_MIB = 1 << 20
# One process with the profile for large images: config/fastdds_large_images.xml.
_SEGMENT = 68 * _MIB
# docs/large_images.md: what Cyclone DDS needs.
_SOCKET_BUFFER = 10 * 1000 * 1000
# The ports of these domains lie in the range that Linux gives to clients (docs.ros.org, The ROS_DOMAIN_ID).
_UNSAFE_DOMAINS = range(102, 215)


def check_ros(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """ROS 2, its Python client and its messages."""
    rclpy, messages = facts.get('rclpy', Probe()), facts.get('messages', Probe())
    platform = system.platform
    if not rclpy.found:
        if _wrong_middleware(system):
            # rclpy ends the process with such a setting: check_middleware says which it is.
            return
        if rclpy.missing and not platform.sourced:
            what = (
                f'ROS 2 {platform.ros} is installed, but not sourced' if platform.ros else 'ROS 2 is not installed')
            yield Finding(
                'ros', Level.WARNING, f'{what}: the node cannot run; predict and the Python API can',
                install_line('rclpy', platform))
        else:
            text = re.sub('^it is', 'rclpy is', rclpy.error.partition('; ')[0])
            yield Finding(
                'ros', Level.ERROR, f'{text}: the node cannot run', install_line('rclpy', platform, again=True))
        return
    distro = f'{platform.ros}, ' if platform.ros else ''
    yield Finding('ros', Level.OK, f'{distro}rclpy {rclpy.version}')
    if not messages.found:
        text, _, advice = messages.error.partition('; ')
        yield Finding('ros', Level.ERROR, f'{text}: the node cannot run', advice)
    for text in too_old(system.environment):
        yield Finding(
            'ros', Level.WARNING, text, f"run sudo apt update && sudo apt upgrade 'ros-{platform.ros or 'lyrical'}-*'")


def check_middleware(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """The middleware, its profile, the domain and security."""
    rclpy, environment = facts.get('rclpy', Probe()), system.environment
    if rclpy.missing:
        return
    wrong = _wrong_middleware(system)
    if wrong:
        text, _, advice = wrong.partition(': expected ')
        yield Finding('middleware', Level.ERROR, text, f'expected {advice}' if advice else '')
    if not rclpy.found:
        return
    middleware = rclpy.get('middleware')
    yield Finding('middleware', Level.OK, middleware)
    if 'fastrtps' in middleware:
        yield from _profile(environment)
    domain = environment.get('ROS_DOMAIN_ID', '').strip() or '0'
    if domain.isdecimal() and int(domain) in _UNSAFE_DOMAINS:
        yield Finding(
            'domain', Level.WARNING, f'ROS_DOMAIN_ID {domain} uses ports that Linux gives to other programs',
            'set ROS_DOMAIN_ID to a number from 0 to 101')
    else:
        near = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '')
        only = near in ('LOCALHOST', 'OFF') or environment.get('ROS_LOCALHOST_ONLY') == '1'
        yield Finding('domain', Level.OK, printable(domain) + (', this machine only' if only else ''))


def _wrong_middleware(system: System) -> str:
    """Return what is wrong with the variables of the middleware, the domain and security; '' if nothing is."""
    try:
        check_environment(system.environment)
    except ParameterError as error:
        return one_line(error)
    return ''


def _profile(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in PROFILE_VARIABLES:
        value = environment.get(name, '')
        wrong = _why_no_profile(name, value, environment) if value else ''
        if wrong:
            yield Finding(
                'large images', Level.WARNING, f'{name} is {printable(value)}, which {wrong}: most images above '
                '0.5 MB are lost', f'run unset {name}; the launch files set it')
            return
        if value:
            yield Finding('large images', Level.OK, f'{name} is {printable(value)}')
            return
    if environment.get('FASTDDS_BUILTIN_TRANSPORTS'):
        return
    variable = profile_variables(environment)[-1]
    yield Finding(
        'large images', Level.NOTE, 'no Fast DDS profile is set in this shell: a camera started from it loses most '
        'images above 0.5 MB (the launch files give the node its profile)',
        f'run export {variable}=$(ros2 pkg prefix trt_perception)/share/trt_perception/config/'
        'fastdds_large_images.xml before the camera is started')


def _why_no_profile(name: str, value: str, environment: Mapping[str, str]) -> str:
    """Return why Fast DDS takes no profile from this variable, '' if it does."""
    read = profile_variables(environment)
    # Fast DDS 3 reads both.
    if read == PROFILE_VARIABLES[:1] != (name,):
        return f'this Fast DDS does not look at (it reads {read[0]})'
    try:
        ElementTree.parse(value)
    except OSError:
        return 'cannot be read'
    except ElementTree.ParseError:
        return 'is not XML'
    return ''


def check_log_folder(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """The folder of ROS's log files: without it no node starts."""
    if not facts.get('rclpy', Probe()).found:
        return
    variables = system.environment
    text = variables.get('ROS_LOG_DIR') or f'{variables.get("ROS_HOME") or "~/.ros"}/log'
    home = variables.get('HOME', '')
    if text.startswith('~') and not home:
        problem = 'HOME is not set, so ROS has no folder for its log files'
    elif not can_be_written(Path(text.replace('~', home, 1) if text.startswith('~') else text)):
        problem = f'{printable(text)} cannot be written'
    else:
        return
    yield Finding(
        'log folder', Level.ERROR, f'{problem}: no node starts', 'run export ROS_LOG_DIR=/a/folder/that/can/be/written')


def check_shared_memory(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """/dev/shm: room for the segments of Fast DDS, and what killed processes left there."""
    rclpy = facts.get('rclpy', Probe())
    if not rclpy.found or 'fastrtps' not in rclpy.get('middleware'):
        return
    yield from shared_memory_findings(system.path('dev/shm'), system.free_bytes(system.path('dev/shm')))


def shared_memory_findings(folder: Path, space: tuple[int, int] | None) -> Iterator[Finding]:
    """Yield the findings about the folder. space: its free and total bytes, None if unknown."""
    if not folder.is_dir():
        yield Finding('shared memory', Level.WARNING, '/dev/shm is missing: images are sent by UDP and are lost',
                      'mount a tmpfs on /dev/shm')
        return
    if not can_be_written(folder):
        yield Finding(
            'shared memory', Level.WARNING, '/dev/shm cannot be written: images are sent by UDP and are lost',
            'run sudo mount -o remount,rw,mode=1777 /dev/shm')
        return
    names, size = dead_segments(folder)
    if names:
        yield Finding(
            'shared memory', Level.NOTE, f'{len(names)} segments ({size / 1e6:.0f} MB) of killed processes are in '
            '/dev/shm', 'start the node, which removes them, or run fastdds shm clean')
    if space is not None and space[0] < _SEGMENT:
        yield Finding(
            'shared memory', Level.WARNING, f'/dev/shm has {space[0] / 1e6:.0f} of {space[1] / 1e6:.0f} MB free: each '
            'process with the profile for large images takes 68 MiB, and without them images are lost',
            'start the container with --shm-size=512m' if space[1] <= 64 * _MIB else
            'run sudo mount -o remount,size=2G /dev/shm')
    elif space is not None:
        yield Finding('shared memory', Level.OK, f'/dev/shm has {space[0] / 1e6:.0f} MB free')


def check_sockets(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """The receive buffer of sockets: Cyclone DDS sends images as UDP fragments."""
    size = system.number('proc/sys/net/core/rmem_max')
    middleware = facts.get('rclpy', Probe()).get('middleware')
    if size is None or not middleware:
        return
    if 'cyclonedds' in middleware and size < _SOCKET_BUFFER:
        yield Finding(
            'sockets', Level.WARNING, f'net.core.rmem_max is {size}: Cyclone DDS loses large images with it',
            'run sudo sysctl -w net.core.rmem_max=67108864, and set SocketReceiveBufferSize in the file of '
            'CYCLONEDDS_URI (docs/large_images.md)')
        return
    yield Finding('sockets', Level.OK, f'net.core.rmem_max is {size}')
    text = system.environment.get('CYCLONEDDS_URI', '')
    path = re.sub(r'^file://', '', text)
    if 'cyclonedds' in middleware and text and not text.lstrip().startswith('<') and not os.access(path, os.R_OK):
        yield Finding(
            'sockets', Level.WARNING, f'CYCLONEDDS_URI is {printable(text)}, which cannot be read', 'correct the path')
