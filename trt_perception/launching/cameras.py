# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts a camera driver of another package, and says on which topic its images are.

Packages, executables, topics and parameters were read in the sources of usb_cam 0.8.1, v4l2_camera 0.7.1,
realsense2_camera 4.58.2, depthai_ros_driver_v3 3.2.1 and depthai_ros_driver 2.10.3.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import launch.logging
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from ..user_files import why_no_file
from .perception import RESPAWN_DELAY_S, process_environment
from .values import LaunchArgumentError, parse_bool, parse_path


@dataclass(frozen=True)
class Package:
    """One package of a driver."""

    name: str
    executable: str
    # Parameter that the launch argument `device` sets. It is a text, also for a serial number.
    device: str
    # Parameters without which the driver does more than is needed.
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Driver:
    """A value of the launch argument `driver`."""

    # The first one that is installed is used.
    packages: tuple[Package, ...]
    # Node name and image topic below the namespace; {camera} is the value of the launch argument `camera`.
    namespace: str
    node: str
    topic: str
    # Usual value of the launch argument `camera`.
    camera: str = 'camera'


DRIVERS: Mapping[str, Driver] = {
    'usb_cam': Driver(
        (Package('usb_cam', 'usb_cam_node_exe', 'video_device', {}),), '{camera}', 'usb_cam', '{camera}/image_raw'),
    'v4l2_camera': Driver(
        (Package('v4l2_camera', 'v4l2_camera_node', 'video_device', {}),),
        '{camera}', 'v4l2_camera', '{camera}/image_raw'),
    'realsense': Driver(
        (Package('realsense2_camera', 'realsense2_camera_node', 'serial_no', {}),),
        '{camera}', 'camera', '{camera}/camera/color/image_raw'),
    'oakd': Driver((
        Package('depthai_ros_driver_v3', 'driver_node', 'driver.i_device_id', {}),
        # This generation runs a network of its own on the camera by default.
        Package('depthai_ros_driver', 'camera_node', 'camera.i_mx_id', {'camera.i_nn_type': 'none'})),
        '', '{camera}', '{camera}/rgb/image_raw', 'oak'),
}


def camera_topic(values: Mapping[str, str]) -> str:
    """Return the absolute name of the topic on which the driver publishes its colour images.

    values: launch configurations: driver, camera
    """
    driver = DRIVERS[values['driver']]
    # PushRosNamespace in a launch file that includes ours also moves the driver.
    pushed = values.get('ros_namespace', '').strip('/')
    return '/' + '/'.join(part for part in (pushed, driver.topic.format(camera=_name(values))) if part)


def camera_actions(values: Mapping[str, str]) -> list[Any]:
    """Return the actions that start the driver, with the Fast DDS profile of the node.

    values: launch configurations: driver, camera, device, camera_params, large_images, respawn

    Raises LaunchArgumentError if the driver is not installed, or for an invalid value.
    """
    driver, camera = DRIVERS[values['driver']], _name(values)
    package = _installed(values['driver'])
    respawn = parse_bool('respawn', values['respawn'])
    device = {package.device: ParameterValue(values['device'], value_type=str)} if values['device'] else {}
    own = _camera_file(values['camera_params'])
    environment, _ = process_environment(values)
    node = Node(
        package=package.name, executable=package.executable, namespace=driver.namespace.format(camera=camera),
        name=driver.node.format(camera=camera),
        # Our defaults go first, as -p for all names, so the file wins over them. A dictionary would name the node
        # itself; then a file for '/**' would come later and also win over the argument `device`.
        ros_arguments=[word for key, value in package.parameters.items() for word in ('-p', f'{key}:={value}')],
        parameters=[*([own] if own else []), *([device] if device else [])],
        additional_env=environment, output='screen', emulate_tty=True, respawn=respawn, respawn_delay=RESPAWN_DELAY_S)
    return [
        RegisterEventHandler(OnProcessExit(
            target_action=node, on_exit=lambda event, context: _ended(event, context, values['driver'], respawn))),
        node]


def _name(values: Mapping[str, str]) -> str:
    """Return the argument `camera`. Raises LaunchArgumentError for a name that ROS does not allow."""
    name = values['camera'] or DRIVERS[values['driver']].camera
    if not name.isidentifier() or not name.isascii():
        raise LaunchArgumentError(
            f'camera:={name}: expected a name of letters, digits and _ that does not begin with a digit, such as front')
    return name


def _installed(driver: str) -> Package:
    packages = DRIVERS[driver].packages
    for package in packages:
        try:
            get_package_prefix(package.name)
        except PackageNotFoundError:
            continue
        return package
    names = ' or '.join(package.name for package in packages)
    distro = os.environ.get('ROS_DISTRO') or '<distro>'
    raise LaunchArgumentError(
        f'driver:={driver}: the package {names} is not installed: '
        f'sudo apt install ros-{distro}-{packages[0].name.replace("_", "-")}')


def _camera_file(path: str) -> str:
    if not path:
        return ''
    file = parse_path('camera_params', path)
    if not os.path.isfile(file):  # noqa: PTH113 - Path.is_file raises for some names
        raise LaunchArgumentError(f'camera_params:={file}: {why_no_file(Path(file))}')
    return file


def _ended(event: Any, context: Any, driver: str, respawn: bool) -> None:
    if not context.is_shutdown:
        launch.logging.get_logger('launch.user').error(
            f'the camera driver {driver} ended (exit code {event.returncode}); ' + (
                f'it restarts in {RESPAWN_DELAY_S:.0f} s' if respawn
                else 'its lines above say why (respawn:=true starts it again)'))
