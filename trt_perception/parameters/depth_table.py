# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of the parameters of detections_3d_node. Each is declared only here; after a change run `make generate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .checks import check_value
from .table import Group, Row, declared_row, rows_of

PLACE = Group('Place', 'Which depths of a box are used.')
INPUTS = Group('Inputs')
OUTPUT = Group('Output')


@dataclass(frozen=True)
class DepthValues:
    """The table. Each field is a parameter, with its name, its Python type and its row."""

    core_fraction: float = declared_row(
        PLACE, 0.5, 'Size of the core, the middle part of a box, as a fraction of the width and height of the box. '
        'Only depths in the core are used: the edges of a box often show what is behind the object', limits=(0.05, 1.0))
    min_depth: float = declared_row(PLACE, 0.05, 'Smallest depth in metres that is used', limits=(0.0, 1000.0))
    max_depth: float = declared_row(PLACE, 20.0, 'Largest depth in metres that is used', limits=(0.01, 1000.0))
    use_masks: bool = declared_row(
        PLACE, False, 'Use the depths of the pixels of each object, instead of the depths in the core. This '
        'needs a segmentation model, which has the topic mask_instances')
    min_known: float = declared_row(
        PLACE, 0.1, 'Smallest fraction of the pixels of the core, or of the mask, that must have a depth. '
        'An object with less is left out, because its position is not known',
        limits=(0.0, 1.0))

    max_stamp_difference: float = declared_row(
        INPUTS, 0.05, 'Largest difference in seconds between the stamps of detections and of their depth image',
        limits=(0.0, 10.0))
    depth_queue: int = declared_row(
        INPUTS, 30, 'Number of depth images, and of masks, that are kept until the detections with the same stamp '
        'arrive. With 30 images per second, 30 are enough for a network that needs one second', limits=(1, 1000))
    reliability: str = declared_row(
        INPUTS, 'best_effort', 'Reliability of the subscriptions; best_effort matches every publisher',
        choices=('best_effort', 'reliable'))

    diagnostics_period: float = declared_row(
        OUTPUT, 1.0, 'Seconds between two diagnostics messages', limits=(0.1, 60.0))
    bond: bool = declared_row(
        OUTPUT, False, 'Send heartbeats to a lifecycle manager such as nav2_lifecycle_manager while the node is active '
        '(bond/msg/Status on the topic bond). This needs the ROS package bond')
    autostart: bool = declared_row(
        OUTPUT, False, 'Configure and activate the node when its process starts. The launch file has an argument '
        'autostart instead, and sets this parameter to false')


DEPTH_PARAMETERS: Mapping[str, Row] = rows_of(DepthValues)


@dataclass(frozen=True)
class DepthSettings(DepthValues):
    """The values of all parameters, by default their defaults. DepthValues has their types and meanings."""

    def changed(self, values: Mapping[str, Any]) -> DepthSettings:
        """Return settings with these values in the form of ROS. ParameterError names the first wrong one."""
        for name, value in values.items():
            check_value(name, value, DEPTH_PARAMETERS)
        return replace(self, **values)
