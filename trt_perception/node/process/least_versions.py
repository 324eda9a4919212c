# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The least versions of ROS 2 packages, below which faults of others meet this node. Does not import ROS.

ROS 2 Lyrical: rmw_fastrtps forgets unread data between two waits before 9.4.9 (ros2/rmw_fastrtps#900) and has faults
of waiting before 9.4.10 (#895); rclpy keeps a destroyed node until the process ends before 10.0.11 (ros2/rclpy#1710).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

# package -> (the first version of the series, the least version in it, what is wrong before). Older series lack the
# code that has the fault.
_LEAST = {
    'rmw_fastrtps_cpp': (
        (9, 4, 0), (9, 4, 10), 'images may not arrive with older versions (ros2/rmw_fastrtps#900, #895)'),
    'rclpy': ((10, 0, 0), (10, 0, 11), 'older versions free memory in /dev/shm late (ros2/rclpy#1710)'),
}
_VERSION = re.compile(r'<version>\s*(\d+)\.(\d+)\.(\d+)\s*</version>')


def too_old(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each installed ROS package that is too old.

    environment: its AMENT_PREFIX_PATH names the folders of ROS packages; sys.prefix is searched too
    """
    prefixes = [*environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    found = []
    for package, (since, least, why) in _LEAST.items():
        version = _version(package, prefixes)
        if since <= version < least:
            found.append(f'{package} {_text(version)} is too old: expected {_text(least)} or newer, because {why}')
    return found


def _version(package: str, prefixes: list[str]) -> tuple[int, ...]:
    """Return the version of the first installed package.xml, () if there is none."""
    for prefix in filter(None, prefixes):
        try:
            text = Path(prefix, 'share', package, 'package.xml').read_text('utf-8', 'replace')
        except OSError:
            continue
        match = _VERSION.search(text)
        if match:
            return tuple(map(int, match.groups()))
    return ()


def _text(version: tuple[int, ...]) -> str:
    return '.'.join(map(str, version))
