# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared code of the launch tests: environment, models, bags, and a ROS node in this process."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Box = tuple[int, int, int, int]
_PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTDDS_BUILTIN_TRANSPORTS')


def prepare(*more: str) -> Path:
    """Skip if a package is not installed. Set a ROS domain for this process and its children. Return an empty folder.

    more: further Python packages that the test needs
    """
    needed = ('launch_ros', 'rclpy', 'vision_msgs.msg', 'ament_index_python.packages', 'onnx', 'onnxruntime', 'cv2')
    for package in (*needed, *more):
        try:
            importlib.import_module(package)
        except ImportError as error:
            pytest.skip(f'needs {package.split(".")[0]}: {error}')
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        get_package_share_directory('trt_perception')
    except PackageNotFoundError:
        pytest.skip('needs trt_perception installed: colcon build, then source install/setup.bash')
    for name in _PROFILES:
        os.environ.pop(name, None)
    os.environ.update(
        ROS_DOMAIN_ID=str(_free_domain()), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST', RCUTILS_COLORIZED_OUTPUT='0',
        PYTHONUNBUFFERED='1')
    folder = tempfile.mkdtemp(prefix='trt_perception_launch_test_')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _free_domain() -> int:
    """Return a ROS domain that no process on this machine uses: its discovery port can be bound."""
    for offset in range(100):
        domain = 1 + (os.getpid() + offset) % 100
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain))
            except OSError:
                continue
            return domain
    pytest.fail('all ROS domains 1 to 100 are in use on this machine')


def launch_file(name: str) -> str:
    """Return the path of an installed launch file."""
    from ament_index_python.packages import get_package_share_directory

    return str(Path(get_package_share_directory('trt_perception'), 'launch', name))


def write_bag(
    folder: Path, pictures: Sequence[np.ndarray], topic: str, compressed: bool = False, rate_hz: float = 2.0,
    storage: str = 'sqlite3',
) -> None:
    """Write BGR pictures as a rosbag2 with stamps from 1 s on and frame_id 'camera'. compressed: as PNG."""
    from rclpy.serialization import serialize_message
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    from support import harness_images

    kind = 'CompressedImage' if compressed else 'Image'
    with Writer(folder, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connection = writer.add_connection(
            topic, f'sensor_msgs/msg/{kind}', typestore=get_typestore(Stores.ROS2_JAZZY))
        for index, picture in enumerate(pictures):
            stamp_ns = stamp_of(index, rate_hz)
            header = harness_images.header('camera', stamp_ns)
            message = (
                harness_images.compressed(picture, header, 'png') if compressed
                else harness_images.image(picture, header))
            writer.write(connection, stamp_ns, serialize_message(message))


def stamp_of(index: int, rate_hz: float) -> int:
    """Return the stamp in nanoseconds of a picture in a bag of write_bag."""
    return 10**9 + round(index * 1e9 / rate_hz)


class Consumer:
    """A node in this process, spun by a separate thread. It keeps the messages of its subscriptions."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('consumer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        """End."""
        import rclpy

        self._ended.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def collect(self, message_type: Any, topic: str, qos: Any = 50) -> list[Any]:
        """Subscribe. Returns a list to which the messages are appended."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Call a service and return its answer. Repeats the call until there is an answer."""
        client = self.node.create_client(service_type, name)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            if client.wait_for_service(1.0):
                future = client.call_async(request)
                if _becomes(future.done, 5.0):
                    self.node.destroy_client(client)
                    return future.result()
        raise AssertionError(f'no answer from {name}')

    def state_of(self, node_name: str) -> str:
        """Return the lifecycle state of a node."""
        from lifecycle_msgs.srv import GetState

        return str(self.call(GetState, f'{node_name}/get_state', GetState.Request()).current_state.label)

    def parameters_of(self, node_name: str, *names: str) -> list[Any]:
        """Return the values of a node's parameters."""
        from rcl_interfaces.srv import GetParameters
        from rclpy.parameter import parameter_value_to_python

        answer = self.call(GetParameters, f'{node_name}/get_parameters', GetParameters.Request(names=names))
        return [parameter_value_to_python(value) for value in answer.values]


def wait_for(condition: Callable[[], Any], what: str, timeout: float = 600.0) -> None:
    """Wait until a condition is true. Fail with the text `what` after the timeout."""
    assert _becomes(condition, timeout), f'{what}: not within {timeout:.0f} s'


def _becomes(condition: Callable[[], Any], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def corners(detection: Any) -> tuple[float, float, float, float]:
    """Return x_min, y_min, x_max, y_max of a vision_msgs/Detection2D."""
    box = detection.bbox
    return (
        box.center.position.x - box.size_x / 2, box.center.position.y - box.size_y / 2,
        box.center.position.x + box.size_x / 2, box.center.position.y + box.size_y / 2)
