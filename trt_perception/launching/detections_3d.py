# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node that gives detections a place in space, as launch actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .perception import node_actions, parameter_file
from .values import parse_bool

NODE_NAME = 'detections_3d'
# Names of the node's inputs; the launch arguments are NAME_topic.
TOPICS = ('detections', 'depth', 'camera_info', 'mask_instances')


def detections_3d_actions(values: Mapping[str, str]) -> list[Any]:
    """Return the actions that start the node.

    values: launch configurations of the arguments of detections_3d.launch.py

    Raises LaunchArgumentError for an invalid value.
    """
    given: dict[str, Any] = {'autostart': False}
    if values['use_sim_time']:
        given['use_sim_time'] = parse_bool('use_sim_time', values['use_sim_time'])
    return node_actions(
        values, 'detections_3d_node', values['name'] or NODE_NAME, parameter_file(values), given,
        [(name, values[f'{name}_topic']) for name in TOPICS], [])
