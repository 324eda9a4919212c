# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Environment of the demo's processes: a separate DDS domain, only this machine, shared memory for large images."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping
from pathlib import Path

from ..launching.large_images import PROFILE_VARIABLES, profile_variables
from .errors import DemoError

# The highest domain whose ports are below Linux's ephemeral ports (7400 + 250 * 101 = 32650).
HIGHEST_DOMAIN = 101
# These variables could connect the processes to a ROS graph that is already running.
_FOREIGN = (
    'ROS_DISCOVERY_SERVER', 'ROS_SUPER_CLIENT', 'ROS_STATIC_PEERS', 'ROS_NAMESPACE', 'FASTDDS_BUILTIN_TRANSPORTS',
    'FASTDDS_ENVIRONMENT_FILE', *PROFILE_VARIABLES)


def demo_environment(domain_id: int, profile: Path) -> dict[str, str]:
    """Return this process's environment with the DDS settings replaced.

    ROS_AUTOMATIC_DISCOVERY_RANGE limits discovery to this machine (Iron and later). On Humble this is
    ROS_LOCALHOST_ONLY; later distributions warn about that variable.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    environment.update({
        'ROS_DOMAIN_ID': str(domain_id),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        **({'ROS_LOCALHOST_ONLY': '1'} if environment.get('ROS_DISTRO') == 'humble' else {}),
        **dict.fromkeys(profile_variables(environment), str(profile)),
        'RCUTILS_COLORIZED_OUTPUT': '0',
        'PYTHONUNBUFFERED': '1'})
    return environment


def free_domain_id(environment: Mapping[str, str] = os.environ) -> int:
    """Return a domain that is free on this machine, and is neither 0 nor the user's ROS_DOMAIN_ID.

    Raises DemoError if all are in use.
    """
    domains = list(range(1, HIGHEST_DOMAIN + 1))
    random.shuffle(domains)
    for domain in domains:
        if str(domain) != environment.get('ROS_DOMAIN_ID', '').strip() and not _in_use(domain):
            return domain
    raise DemoError(
        f'every ROS_DOMAIN_ID from 1 to {HIGHEST_DOMAIN} is in use on this machine: choose one with --domain-id')


def _in_use(domain: int) -> bool:
    # Ports of the RTPS standard, 9.6.1: discovery by multicast, and unicast of the first two participants.
    base = 7400 + 250 * domain
    for port in (base, base + 10, base + 11, base + 12, base + 13):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('0.0.0.0', port))
            except OSError:
                return True
    return False
