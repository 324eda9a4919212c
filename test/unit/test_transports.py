# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image transports: their names, and the command that turns each into raw images."""

import pytest

from trt_perception.errors import ParameterError
from trt_perception.image.transports import COMPRESSED_IMAGE, IMAGE, TRANSPORTS, base_of, republish, transport_of
from trt_perception.parameters.checks import check_value

FFMPEG = TRANSPORTS[0]
# As in the README of ffmpeg_image_transport, which has both.
HUMBLE = (
    'ros2 run image_transport republish ffmpeg raw --ros-args -r in/ffmpeg:=/camera/image_raw/ffmpeg '
    '-r out:=/camera/image_raw_decoded')
JAZZY = (
    'ros2 run image_transport republish --ros-args -p in_transport:=ffmpeg -p out_transport:=raw '
    '-r in/ffmpeg:=/camera/image_raw/ffmpeg -r out:=/camera/image_raw_decoded')


@pytest.mark.parametrize('topic, base', [
    ('/camera/image_raw', '/camera/image_raw'), ('/camera/image_raw/compressed', '/camera/image_raw'),
    ('/camera/image_raw/compressedDepth', '/camera/image_raw'), ('/a/ffmpeg', '/a'), ('/a/theora', '/a'),
    ('/compressed', '/compressed'), ('/ffmpeg', '/ffmpeg'), ('/a/my_ffmpeg', '/a/my_ffmpeg'), ('image', 'image')])
def test_the_base_of_a_topic(topic, base):
    assert base_of(topic) == base


@pytest.mark.parametrize('topic, kind, name', [
    ('/a/ffmpeg', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'ffmpeg'),
    ('/any/name', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'ffmpeg'),
    ('/a/theora', 'theora_image_transport/msg/Packet', 'theora'),
    ('/video', 'foxglove_msgs/msg/CompressedVideo', 'foxglove'),
    ('/a/zstd', COMPRESSED_IMAGE, 'zstd'), ('/a/compressedDepth', COMPRESSED_IMAGE, 'compressedDepth'),
    ('/a/compressed', COMPRESSED_IMAGE, None), ('/jpegs', COMPRESSED_IMAGE, None), ('/a/zstd', IMAGE, None),
    ('/a/ffmpeg', IMAGE, None), ('/a', 'sensor_msgs/msg/PointCloud2', None)])
def test_the_transport_of_a_topic(topic, kind, name):
    found = transport_of(topic, kind)
    assert (found.name if found else None) == name


@pytest.mark.parametrize('distro, commands', [
    ('humble', [HUMBLE]), ('iron', [HUMBLE]), ('jazzy', [JAZZY]), ('kilted', [JAZZY]), ('lyrical', [JAZZY]),
    ('', [HUMBLE, JAZZY])])
def test_republish_has_the_syntax_of_the_distribution(distro, commands, monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', distro)
    text = republish(FFMPEG, '/camera/image_raw/ffmpeg')
    assert [command for command in (HUMBLE, JAZZY) if f'`{command}`' in text] == commands
    assert text.endswith(', then image_topic:=/camera/image_raw_decoded')
    assert f'ros-{distro or "<distro>"}-ffmpeg-image-transport' in text
    assert republish(FFMPEG, '/camera/image_raw/ffmpeg', distro) == text


@pytest.mark.parametrize('transport', TRANSPORTS, ids=lambda transport: transport.name)
def test_a_transport_that_the_node_lacks_is_named_with_its_command(transport):
    with pytest.raises(ParameterError, match=(
            f"image_transport is '{transport.name}': expected one of raw, compressed; this node cannot read .*"
            'republish them as raw images.*'
            f'-r in/{transport.name}:=CAMERA/{transport.name} -r out:=CAMERA_decoded')):
        check_value('image_transport', transport.name)
    with pytest.raises(ParameterError, match=r"did you mean 'compressed'\?"):
        check_value('image_transport', 'compresed')
