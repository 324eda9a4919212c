# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A recording of a robot: a camera, an IMU with a QoS profile, a laser scanner and texts."""

from pathlib import Path

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

_TIME = QosTime(2147483647, 4294967295)
PROFILES = [Qos(
    QosHistory.KEEP_LAST, 7, QosReliability.BEST_EFFORT, QosDurability.TRANSIENT_LOCAL, _TIME, _TIME,
    QosLiveliness.AUTOMATIC, _TIME, False)]
START_NS = 10**18
IMAGES = 6


def robot_bag(
    path: Path, storage: str = 'mcap', compress: str = '', version: int = 8, size: tuple[int, int] = (64, 48),
    start_ns: int = START_NS,
) -> None:
    """Write one second in the order of time: 6 images, 60 messages of the IMU, 12 scans, 3 texts.

    compress: '', 'message', 'file', or 'storage' for chunks
    """
    from rosbags import rosbag2
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    width, height = size

    def header(elapsed_ns: int, frame: str) -> object:
        stamp = types['builtin_interfaces/msg/Time'](*divmod(start_ns + elapsed_ns - 2_000_000, 10**9))
        return types['std_msgs/msg/Header'](stamp, frame)

    def image(number: int, at: int) -> object:
        pixels = np.random.default_rng(number).integers(0, 60, (height, width, 3), np.uint8)
        pixels[8:16, 8 * (number % 7):8 * (number % 7) + 8] = 0, 0, 255
        return types['sensor_msgs/msg/Image'](
            header(at, 'camera'), height, width, 'bgr8', 0, 3 * width, pixels.reshape(-1))

    def imu(number: int, at: int) -> object:
        vector = types['geometry_msgs/msg/Vector3'](0.1 * number, -0.2, 9.81)
        covariance = np.zeros(9)
        return types['sensor_msgs/msg/Imu'](
            header(at, 'imu'), types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0), covariance, vector,
            covariance, vector, covariance)

    def scan(number: int, at: int) -> object:
        ranges = np.linspace(1, 2 + number, 90, dtype=np.float32)
        return types['sensor_msgs/msg/LaserScan'](
            header(at, 'laser'), -1.0, 1.0, 0.02, 0.0, 0.1, 0.1, 10.0, ranges, ranges)

    def text(number: int, at: int) -> object:
        return types['std_msgs/msg/String'](str(number))

    kinds = (
        ('/front/image_raw', 'sensor_msgs/msg/Image', IMAGES, 5, image), ('/imu', 'sensor_msgs/msg/Imu', 60, 1, imu),
        ('/scan', 'sensor_msgs/msg/LaserScan', 12, 2, scan), ('/chatter', 'std_msgs/msg/String', 3, 3, text))
    writer = rosbag2.Writer(path, version=version, storage_plugin=rosbag2.StoragePlugin[storage.upper()])
    if compress:
        writer.set_compression(rosbag2.CompressionMode[compress.upper()], rosbag2.CompressionFormat.ZSTD)
    with writer:
        messages = []
        for topic, kind, count, first_ms, make in kinds:
            connection = writer.add_connection(
                topic, kind, typestore=store, offered_qos_profiles=PROFILES if topic == '/imu' else ())
            for number in range(count):
                at = first_ms * 1_000_000 + number * 10**9 // count
                messages.append((at, connection, store.serialize_cdr(make(number, at), kind)))
        for at, connection, data in sorted(messages, key=lambda message: message[0]):
            writer.write(connection, start_ns + at, data)
