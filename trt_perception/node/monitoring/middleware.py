# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Advice about lost images for the ROS middleware in use. Does not import ROS."""

from __future__ import annotations

_FAST_DDS = (
    'large images are lost between processes by default: start the camera and this node with the Fast DDS '
    'profile config/fastdds_large_images.xml (README, Large images)')
# The part of the identifier, such as rmw_cyclonedds_cpp, and the advice.
_ADVICE = {
    'fastrtps': _FAST_DDS,
    'fastdds': _FAST_DDS,
    'cyclonedds': (
        'large images are lost if the socket buffer is small: sudo sysctl -w net.core.rmem_max=67108864, and set '
        'SocketReceiveBufferSize in the file of CYCLONEDDS_URI (docs/large_images.md)'),
    'zenoh': (
        'Zenoh drops images if the network is slower than the camera, and finds no node without its router: '
        'ros2 run rmw_zenoh_cpp rmw_zenohd (docs/large_images.md)'),
    'connext': (
        'large images are lost if the shared memory or the socket buffers are small: see the DDS tuning page of ROS 2 '
        '(docs/large_images.md)'),
}


def large_images_advice(identifier: str) -> str:
    """Return what to do if images do not arrive.

    identifier: of the middleware, as rclpy.get_rmw_implementation_identifier returns it
    """
    for part, advice in _ADVICE.items():
        if part in identifier:
            return advice
    return f'look for the settings of {identifier or "the middleware"} for large messages (docs/large_images.md)'
