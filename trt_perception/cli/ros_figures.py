# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception benchmark --ros`: the node over DDS."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dependencies import require
from ..errors import SourceError
from ..model.spec import ModelSpec
from ..progress import ConsoleProgress
from ..unfinished import temporary_folder
from .model_arguments import calibration_source
from .numbers import above_zero

if TYPE_CHECKING:
    from ..measure.rates import RosFigures

ROS_SECONDS = 10.0
# The attributes of the parsed options that have another name than the node's parameter.
_OTHER_NAMES = {
    'labels': 'labels_file', 'threads': 'num_threads', 'score': 'score_threshold', 'iou': 'iou_threshold',
    'class_agnostic': 'class_agnostic_nms', 'calibration': 'calibration_source'}


def add_ros_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --ros and --ros-seconds."""
    group = parser.add_argument_group('node', 'The node in its own process, with images over DDS from another one.')
    group.add_argument(
        '--ros', action='store_true',
        help='measure the time from the stamp of an image to its result at 10, 30 and 60 Hz, and the highest rate with '
             'less than 5 %% loss (needs ROS 2)')
    group.add_argument(
        '--ros-seconds', type=above_zero, default=ROS_SECONDS, metavar='SECONDS',
        help='time of each rate (default: %(default)g)')


def require_ros() -> None:
    """Raise MissingDependencyError if ROS 2 is not installed."""
    require('rclpy')
    require('vision_msgs.msg')


def measure_node(options: argparse.Namespace, spec: ModelSpec, frames: Iterator[np.ndarray]) -> RosFigures:
    """Measure the node with the first of the frames. Raises MissingDependencyError, DemoError.

    It changes this process's environment: the DDS domain and profile.
    """
    require_ros()
    from ..demo.environment import demo_environment, free_domain_id
    from ..demo.installation import large_images_profile
    from ..measure.frames import store_frame
    from ..measure.node_run import NodeRun
    from ..measure.rates import measure_rates

    pixels = next(frames, None)
    if pixels is None:
        raise SourceError('expected an image to send to the node, found none')
    height, width = pixels.shape[:2]
    with temporary_folder() as folder, ConsoleProgress(unit='s') as progress:
        store_frame(folder / 'image.npy', pixels)
        environment = demo_environment(free_domain_id(os.environ), large_images_profile())
        with NodeRun(node_parameters(options, spec), folder, environment) as node:
            return measure_rates(node, width, height, str(folder / 'image.npy'), options.ros_seconds, progress)


def node_parameters(options: argparse.Namespace, spec: ModelSpec) -> dict[str, str]:
    """Return the parameters with which the node runs the model as the other commands do, as -p NAME:=VALUE takes them.

    Of several precisions, the first one.
    """
    from ..parameters.table import PARAMETERS, as_yaml

    chosen = options.precision
    values = {
        **{_OTHER_NAMES.get(name, name): value for name, value in vars(options).items()},
        'model_file': str(spec.path.absolute()),
        'precision': chosen if isinstance(chosen, str) else chosen[0] if chosen else spec.stored_precision,
        'calibration_source': calibration_source(options)}
    parameters = {}
    for name, given in values.items():
        value: Any = list(given) if isinstance(given, tuple) else given
        if name not in PARAMETERS or value in (None, '', []) or as_yaml(value) == as_yaml(PARAMETERS[name].default):
            continue
        if name in ('labels_file', 'calibration_source') and Path(value).exists():
            value = str(Path(value).absolute())
        # JSON is YAML, with quotes around texts.
        parameters[name] = json.dumps(value)
    return parameters
