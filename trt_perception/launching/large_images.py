# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile for large images, and the log text about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# Fast DDS 2 (Humble, Jazzy) reads only the first, Fast DDS 3 (Kilted and later) only the second. rmw_fastrtps of
# Kilted reads the first too, with a warning in each process.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# The folder of each version below share/.
_FAST_DDS_2, _FAST_DDS_3 = 'fastrtps', 'fastdds'
_WITH_FAST_DDS_2 = ('humble', 'iron', 'jazzy')
# If one of these is set, the user has chosen the transports.
_OWN_CHOICE = (*PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')


def profile_environment(profile: str, environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the variables to add for a process that sends or receives images, and the text to log, or ''.

    profile: absolute path of the Fast DDS profile
    environment: the current variables

    Returns no variables if the user has chosen the transports, or a middleware other than Fast DDS.
    """
    if 'fastrtps' not in (environment.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp'):
        return {}, ''
    for name in _OWN_CHOICE:
        if environment.get(name):
            return {}, f'large_images: {name} is already set to {environment[name]} and is not changed'
    variables = profile_variables(environment)
    return dict.fromkeys(variables, profile), (
        'large_images: the node has 64 MiB of shared memory for images. It belongs to the sender: if images are '
        "missing, start the camera's process with the same profile: "
        f'export {" ".join(f"{name}={profile}" for name in variables)}')


def profile_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in PROFILE_VARIABLES that the installed Fast DDS reads; both if its version is unknown.

    environment: the variables of the process that will read the profile
    """
    # The installed folders are more reliable than ROS_DISTRO, which PyPI wheels do not set.
    for prefix in (*environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix):
        for folder, variable in zip((_FAST_DDS_2, _FAST_DDS_3), PROFILE_VARIABLES):
            if prefix and (Path(prefix) / 'share' / folder).is_dir():
                return (variable,)
    distro = environment.get('ROS_DISTRO')
    if not distro:
        return PROFILE_VARIABLES
    return PROFILE_VARIABLES[:1] if distro in _WITH_FAST_DDS_2 else PROFILE_VARIABLES[1:]
