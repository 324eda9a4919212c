# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception benchmark --ros`: the node over DDS."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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

# The options that the node needs to run the same model in the same way: (option, parameter).
_PASSED = (
    ('labels', 'labels_file'), ('task', 'task'), ('head', 'head'), ('output_name', 'output_name'),
    ('backend', 'backend'), ('threads', 'num_threads'), ('score', 'score_threshold'), ('iou', 'iou_threshold'),
    ('calibration_topic', 'calibration_topic'))


def add_ros_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --ros and --ros-seconds."""
    group = parser.add_argument_group('node', 'The node in its own process, with images over DDS from another one.')
    group.add_argument(
        '--ros', action='store_true',
        help='measure the time from the stamp of an image to its result at 10, 30 and 60 Hz, and the highest rate with '
             'less than 5 %% loss (needs ROS 2)')
    group.add_argument(
        '--ros-seconds', type=above_zero, default=10.0, metavar='SECONDS',
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
    from ..measure.node_run import NodeRun
    from ..measure.rates import measure_rates

    pixels = next(frames, None)
    if pixels is None:
        raise SourceError('expected an image to send to the node, found none')
    height, width = pixels.shape[:2]
    with temporary_folder() as folder, ConsoleProgress(unit='s') as progress:
        np.save(folder / 'image.npy', np.ascontiguousarray(pixels))
        environment = demo_environment(free_domain_id(os.environ), large_images_profile())
        with NodeRun(_parameters(options, spec), folder, environment) as node:
            return measure_rates(node, width, height, str(folder / 'image.npy'), options.ros_seconds, progress)


def _parameters(options: argparse.Namespace, spec: ModelSpec) -> dict[str, str]:
    """Return the node's parameters; several precisions: the first."""
    from ..parameters.table import PARAMETERS

    chosen = options.precision
    precision = chosen if isinstance(chosen, str) else chosen[0] if chosen else spec.stored_precision
    parameters = {'model_file': str(spec.path.absolute()), 'precision': precision, 'image_depth': '1'}
    for option, parameter in _PASSED:
        value = getattr(options, option)
        if value != PARAMETERS[parameter].default:
            is_file = parameter == 'labels_file' and Path(value).is_file()
            parameters[parameter] = str(Path(value).absolute()) if is_file else str(value)
    if source := calibration_source(options):
        parameters['calibration_source'] = str(Path(source).absolute())
    return parameters
