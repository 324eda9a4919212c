# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile that lets large images through, and what the user must know about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# Fast DDS 2 (Humble, Jazzy) reads the first alone, Fast DDS 3 (Kilted and later) the second alone; rmw_fastrtps of
# Kilted reads the first too, with a warning in each process.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# Folders that the two install below share/.
_FAST_DDS_2, _FAST_DDS_3 = 'fastrtps', 'fastdds'
_WITH_FAST_DDS_2 = ('humble', 'iron', 'jazzy')
# Whoever sets one of these has chosen the transports.
_OWN_CHOICE = (*PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')


def profile_environment(profile: str, environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the variables to add for a process that sends or receives images, and what to log ('' for nothing).

    profile: absolute path of the Fast DDS profile
    environment: the variables as they are

    Nothing is added where the user has chosen transports, or a middleware other than Fast DDS.
    """
    if 'fastrtps' not in (environment.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp'):
        return {}, ''
    for name in _OWN_CHOICE:
        if environment.get(name):
            return {}, f'large_images: {name} is set to {environment[name]} and stays as it is'
    variables = profile_variables(environment)
    return dict.fromkeys(variables, profile), (
        'large_images: the node gets 64 MiB of shared memory for images. It belongs to the sender: where images are '
        "missing, start the camera's process with the same profile: "
        f'export {" ".join(f"{name}={profile}" for name in variables)}')


def profile_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables of PROFILE_VARIABLES that the Fast DDS here reads; both where it is not known.

    environment: the variables of the process that is to read them
    """
    # What is installed tells more than ROS_DISTRO, which no wheel from PyPI sets.
    for prefix in (*environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix):
        for folder, variable in zip((_FAST_DDS_2, _FAST_DDS_3), PROFILE_VARIABLES):
            if prefix and (Path(prefix) / 'share' / folder).is_dir():
                return (variable,)
    distro = environment.get('ROS_DISTRO')
    if not distro:
        return PROFILE_VARIABLES
    return PROFILE_VARIABLES[:1] if distro in _WITH_FAST_DDS_2 else PROFILE_VARIABLES[1:]
