# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The image transports that this package cannot read, and the command that turns each into images.

image_transport publishes an image topic in several forms: X itself, X/compressed, and X/NAME for each other plugin.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
COMPRESSED = '/compressed'
# republish of these distributions takes the transports as arguments; later ones take parameters
# (image_common, branches humble, iron, jazzy and rolling: image_transport/src/republish.cpp).
_WITH_ARGUMENTS = ('foxy', 'galactic', 'humble', 'iron')


@dataclass(frozen=True)
class Transport:
    """A plugin of image_transport.

    name: the last part of its topics; message_type: the type of its messages
    package: the apt package of the plugin is ros-<distro>-PACKAGE
    content: the images, in words
    """

    name: str
    message_type: str
    package: str
    content: str


TRANSPORTS = (
    Transport(
        'ffmpeg', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'ffmpeg-image-transport', 'H.264 or H.265 video'),
    Transport('theora', 'theora_image_transport/msg/Packet', 'theora-image-transport', 'Theora video'),
    Transport('foxglove', 'foxglove_msgs/msg/CompressedVideo', 'foxglove-compressed-video-transport', 'video'),
    Transport('zstd', COMPRESSED_IMAGE, 'zstd-image-transport', 'images compressed with zstd'),
    Transport('compressedDepth', COMPRESSED_IMAGE, 'compressed-depth-image-transport', 'depth images'),
)


def base_of(topic: str) -> str:
    """Return the topic without the name of a transport at its end."""
    for name in ('compressed', *(transport.name for transport in TRANSPORTS)):
        if topic.endswith(f'/{name}') and len(topic) > len(name) + 1:
            return topic[:-len(name) - 1]
    return topic


def transport_of(topic: str, message_type: str) -> Transport | None:
    """Return the transport of a topic that this package cannot read, None if it is another topic."""
    for transport in TRANSPORTS:
        same_type = transport.message_type == message_type
        if same_type and (message_type != COMPRESSED_IMAGE or topic.endswith(f'/{transport.name}')):
            return transport
    return None


def decoded(topic: str) -> str:
    """Return the topic on which republish_command publishes the images of a topic."""
    return f'{base_of(topic)}_decoded'


def republish(transport: Transport, topic: str, distro: str | None = None) -> str:
    """Return what to do to get images from a topic; see republish_command."""
    command = republish_command(transport, topic, distro)
    return f'republish it as raw images: {command}, then image_topic:={decoded(topic)}'


def republish_command(transport: Transport, topic: str, distro: str | None = None) -> str:
    """Return the command that publishes the images of a topic as sensor_msgs/Image, and the package that it needs.

    distro: the ROS distribution, by default the environment variable ROS_DISTRO; if it is unknown, the command for
        Humble and the one for later distributions
    """
    distro = os.environ.get('ROS_DISTRO', '') if distro is None else distro
    remaps = f'-r in/{transport.name}:={topic} -r out:={decoded(topic)}'
    old = f'ros2 run image_transport republish {transport.name} raw --ros-args {remaps}'
    new = (
        'ros2 run image_transport republish --ros-args '
        f'-p in_transport:={transport.name} -p out_transport:=raw {remaps}')
    command = f'on Humble `{old}`, from Jazzy on `{new}`'
    if distro:
        command = f'`{old if distro in _WITH_ARGUMENTS else new}`'
    return f'{command} (apt package ros-{distro or "<distro>"}-{transport.package})'
