# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile that lets large images through, and what the user must know about it."""

from __future__ import annotations

from collections.abc import Mapping

# Fast DDS 2 (Humble, Jazzy) reads the first, Fast DDS 3 (Kilted and later) the second.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
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
    return dict.fromkeys(PROFILE_VARIABLES, profile), (
        'large_images: the node gets 64 MiB of shared memory for images. It belongs to the sender: where images are '
        "missing, start the camera's process with the same profile: "
        f'export {" ".join(f"{name}={profile}" for name in _variables(environment))}')


def _variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    distro = environment.get('ROS_DISTRO')
    if not distro:
        return PROFILE_VARIABLES
    return PROFILE_VARIABLES[:1] if distro in ('humble', 'iron', 'jazzy') else PROFILE_VARIABLES[1:]
