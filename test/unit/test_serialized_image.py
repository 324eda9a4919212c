# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Serialized images as rclpy and rosbags write them are read without copying."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from trt_perception.node.image_topics.serialized_image import CutOff, NotPlainCdr, read_compressed_image, read_image

RMWError = rclpy_implementation.RMWError
# Texts of all lengths modulo 4, because the next field is aligned.
TEXTS = st.text(max_size=9).map(lambda text: text.replace('\0', ''))
UINT32 = st.integers(0, 2**32 - 1)
IMAGES = st.builds(
    lambda sec, nanosec, frame_id, height, width, encoding, is_bigendian, step, data: (
        (sec, nanosec, frame_id), {
            'height': height, 'width': width, 'encoding': encoding, 'is_bigendian': is_bigendian, 'step': step,
            'data': data}),
    st.integers(-(2**31), 2**31 - 1), UINT32, TEXTS, UINT32, UINT32, TEXTS, st.integers(0, 255), UINT32,
    st.binary(max_size=40))


def header_fields(sec: int, nanosec: int, frame_id: str) -> tuple[int, int, str]:
    return sec, nanosec, frame_id


def ros_message(kind: type, header: tuple[int, int, str], fields: dict[str, Any]) -> Any:
    message = kind(**fields)
    message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id = header
    return message


def fields_of(image: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(image).items() if name != 'header'}


@given(IMAGES)
def test_images_as_rclpy_writes_them(image: tuple[tuple[int, int, str], dict[str, Any]]) -> None:
    header, fields = image
    found = read_image(serialize_message(ros_message(Image, header, fields)), header_fields)
    assert found.header == header
    assert {**fields_of(found), 'data': bytes(found.data)} == fields


@given(IMAGES, st.booleans())
def test_compressed_images_as_rclpy_writes_them(
    image: tuple[tuple[int, int, str], dict[str, Any]], empty: bool,
) -> None:
    header, fields = image
    fields = {'format': fields['encoding'], 'data': b'' if empty else fields['data']}
    found = read_compressed_image(serialize_message(ros_message(CompressedImage, header, fields)), header_fields)
    assert found.header == header
    assert {**fields_of(found), 'data': bytes(found.data)} == fields


@pytest.mark.parametrize('little_endian', [False, True])
@pytest.mark.parametrize('frame_id', ['', 'a', 'camera', 'öß'])
def test_both_byte_orders(frame_id: str, little_endian: bool) -> None:
    typesys = pytest.importorskip('rosbags.typesys', reason='needs rosbags')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    kinds = store.types
    header = kinds['std_msgs/msg/Header'](
        stamp=kinds['builtin_interfaces/msg/Time'](sec=-3, nanosec=0x01020304), frame_id=frame_id)
    data = np.arange(7, dtype=np.uint8)
    image = kinds['sensor_msgs/msg/Image'](
        header=header, height=0x0A0B, width=258, encoding='bgr8', is_bigendian=1, step=774, data=data)
    found = read_image(
        bytes(store.serialize_cdr(image, 'sensor_msgs/msg/Image', little_endian=little_endian)), header_fields)
    assert found.header == (-3, 0x01020304, frame_id)
    assert {**fields_of(found), 'data': bytes(found.data)} == {
        'height': 0x0A0B, 'width': 258, 'encoding': 'bgr8', 'is_bigendian': 1, 'step': 774, 'data': bytes(range(7))}


def test_the_pixels_are_not_copied_and_not_to_be_changed() -> None:
    data = serialize_message(Image(encoding='mono8', height=2, width=50, step=50, data=bytes(100)))
    references = sys.getrefcount(data)
    image = read_image(data, header_fields)
    assert image.data.obj is data and image.data.readonly and len(image.data) == 100
    assert np.shares_memory(np.frombuffer(image.data, np.uint8), np.frombuffer(data, np.uint8))
    # The message lives as long as its pixels are used.
    assert sys.getrefcount(data) > references


@pytest.mark.parametrize('kind, read', [(Image, read_image), (CompressedImage, read_compressed_image)])
def test_a_message_cut_off_anywhere_is_none(kind: type, read: Any) -> None:
    fields = {'encoding': 'rgb8'} if kind is Image else {'format': 'jpeg'}
    data = serialize_message(ros_message(kind, (1, 2, 'camera'), {**fields, 'data': bytes(range(5))}))
    # rclpy adds padding at the end.
    whole = data.rindex(bytes(range(5))) + 5
    assert bytes(read(data[:whole], header_fields).data) == bytes(range(5))
    for length in range(whole):
        with pytest.raises(CutOff if length > 1 else NotPlainCdr, match='cut off' if length > 1 else 'begins with'):
            read(data[:length], header_fields)


@pytest.mark.parametrize('start', [b'\x00\x09', b'\x00\x03', b'\xff\xff', b''])
def test_other_encapsulations_are_left_alone(start: bytes) -> None:
    data = serialize_message(Image(encoding='rgb8', data=b'x'))
    with pytest.raises(NotPlainCdr, match=f'begins with {start.hex() or "nothing"}'):
        read_image(start + data[2:] if start else b'', header_fields)


@pytest.mark.parametrize('start', [b'\x00\x07', b'\x00\x01'])
def test_both_versions_of_plain_cdr(start: bytes) -> None:
    data = serialize_message(ros_message(Image, (1, 2, 'abc'), {'encoding': 'rgb8', 'step': 7, 'data': b'xyz'}))
    found = read_image(start + data[2:], header_fields)
    assert (found.header, found.encoding, found.step, bytes(found.data)) == ((1, 2, 'abc'), 'rgb8', 7, b'xyz')


@pytest.mark.parametrize('text, read', [
    (b'ca\xff\xfe\0', 'ca\ufffd\ufffd'), (b'camer', 'camer'), (b'ca\0\0\0', 'ca'), (b'\0abc\0', ''),
    (b'\xe2\x82\xe2\x82\xac', '\ufffd€')])
def test_odd_strings_are_read_as_rclpy_reads_them(text: bytes, read: str) -> None:
    data = serialize_message(ros_message(Image, (1, 2, 'abcd'), {'encoding': 'rgb8'}))
    assert data.count(b'abcd\0') == 1
    odd = data.replace(b'abcd\0', text)
    assert read_image(odd, header_fields).header == (1, 2, read)
    assert deserialize_message(odd, Image).header.frame_id == read


@given(st.data())
def test_what_is_read_from_damaged_bytes_is_what_rclpy_reads(data: st.DataObject) -> None:
    whole = bytearray(serialize_message(ros_message(
        Image, (1, 2, 'ab'), {'height': 2, 'width': 3, 'encoding': 'mono8', 'step': 3, 'data': bytes(range(6))})))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_image(bytes(whole), header_fields)
    except CutOff:
        # A frame that rclpy could read is never lost.
        with pytest.raises(RMWError):
            deserialize_message(bytes(whole), Image)
        return
    message = deserialize_message(bytes(whole), Image)
    stamp = message.header.stamp
    assert found.header == (stamp.sec, stamp.nanosec, message.header.frame_id)
    assert {**fields_of(found), 'data': bytes(found.data)} == {
        name: bytes(message.data) if name == 'data' else getattr(message, name) for name in fields_of(found)}


@given(IMAGES, st.sampled_from([b'\x00\x00', b'\x00\x01', b'\x00\x02', b'\x00\x03']), st.binary(max_size=3))
def test_the_options_of_the_header_and_padding_at_the_end_change_nothing(
    image: tuple[tuple[int, int, str], dict[str, Any]], options: bytes, padding: bytes,
) -> None:
    """Cyclone DDS pads to a multiple of four bytes and writes the number of padding bytes into the options."""
    header, fields = image
    data = serialize_message(ros_message(Image, header, fields))
    found = read_image(data[:2] + options + data[4:] + padding, header_fields)
    assert found.header == header
    assert {**fields_of(found), 'data': bytes(found.data)} == fields
