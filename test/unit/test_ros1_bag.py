# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 1 bags: the image topics as if they were of ROS 2, also of a recording that was not closed or is damaged."""

import json
import struct
from pathlib import Path

import pytest

pytest.importorskip('rosbags.rosbag1')
import numpy as np
from support.bags import IMAGE, grey_image, write_bag
from support.ros1_bags import write_ros1_bag
from support.subprocesses import without_progress

from trt_perception.errors import SourceError
from trt_perception.sources.bag_messages import deserialize
from trt_perception.sources.bag_metadata import BagTopic
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.bag_recording import recorded
from trt_perception.sources.open_source import open_source
from trt_perception.sources.ros1_records import ros1_counts, ros1_messages

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
START = 1_500_000_000 * 10**9
PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'


def greys(count, topic_ns=0, size=(32, 24)):
    return [grey_image(5 * n, START + topic_ns + n * 10**7, START + n * 10**7 - 3, size) for n in range(count)]


def read(path):
    """((topic, value of the pixels, log time, stamp) of all messages of the image topics, errors)."""
    bag = BagReader(Path(path), cut_off=True)
    errors = []
    found = []
    for message in recorded(bag, bag.image_topics, lambda error: errors.append(str(error))):
        image = deserialize(message)
        assert message.publish_ns is None and image.header.frame_id == 'camera'
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        found.append((message.topic, int(image.data[0]), message.stamp_ns, stamp))
    return found, errors


def expected(messages, topic):
    return [(topic, int(fields['data'][0]), log, stamp) for _, log, stamp, fields in messages]


@pytest.mark.parametrize('compress', ['', 'lz4', 'bz2'])
@pytest.mark.parametrize('chunk_bytes', [1, 3000, 1 << 20])
def test_all_messages_in_the_order_of_recording(tmp_path, compress, chunk_bytes):
    front, back = greys(7), greys(5, 5_000_000)
    write_ros1_bag(tmp_path / 'a.bag', {'/front': front, '/back': back}, compress, chunk_bytes)
    found, errors = read(tmp_path / 'a.bag')
    assert errors == []
    assert found == sorted(expected(front, '/front') + expected(back, '/back'), key=lambda entry: entry[2])
    bag = BagReader(tmp_path / 'a.bag')
    assert bag.topics == (BagTopic('/back', IMAGE, 5), BagTopic('/front', IMAGE, 7))
    assert [message.stamp_ns for message in bag.messages(bag.choose_image_topic('back'))] == [m[1] for m in back]


def test_the_same_as_what_rosbags_converts(tmp_path):
    """Another program that turns ROS 1 messages into those of ROS 2."""
    import subprocess
    import sys

    cv2 = pytest.importorskip('cv2')
    jpeg = PHOTOS.joinpath('coffee.jpg').read_bytes()
    raw = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:97, :131]
    write_ros1_bag(tmp_path / 'a.bag', {
        '/raw': [(IMAGE, START + n, START, {
            'height': 97, 'width': 131, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 393,
            'data': np.ascontiguousarray(raw).reshape(-1)}) for n in range(2)],
        '/jpeg/compressed': [
            (COMPRESSED, START + 5, START, {'format': 'jpeg', 'data': np.frombuffer(jpeg, np.uint8)})]})
    subprocess.run([
        sys.executable, '-c', 'from rosbags.convert.__main__ import main; main()', '--src', str(tmp_path / 'a.bag'),
        '--dst', str(tmp_path / 'new')], check=True)
    cdr = []
    for path in ('a.bag', 'new'):
        bag = BagReader(tmp_path / path, cut_off=True)
        cdr.append([(m.topic, m.type, m.stamp_ns, bytes(m.cdr)) for m in recorded(bag, bag.image_topics, print)])
    assert cdr[0] == cdr[1] and len(cdr[0]) == 3
    frame = next(iter(open_source(tmp_path / 'a.bag', '/jpeg/compressed'))).frame
    assert np.abs(frame.bgr()[:97, :131].astype(int) - raw).mean() < 1


def test_other_topics_are_listed_but_not_read(tmp_path):
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer(tmp_path / 'a.bag') as writer:
        text = writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
        own = writer.add_connection('/own', 'own_msgs/msg/Thing', msgdef='nonsense', md5sum='0' * 32)
        writer.write(text, 5, bytes(4))
        writer.write(own, 6, b'?')
    bag = BagReader(tmp_path / 'a.bag')
    assert bag.topics == (
        BagTopic('/chatter', 'std_msgs/msg/String', 1), BagTopic('/own', 'own_msgs/msg/Thing', 1))
    with pytest.raises(SourceError, match='no image topic in this bag'):
        bag.choose_image_topic()


# Damaged files


@pytest.mark.parametrize('compress', ['', 'lz4'])
def test_cut_off_anywhere(tmp_path, compress):
    """The chunks before the cut are read; only a cut in the index, behind all messages, is not refused."""
    path = tmp_path / 'a.bag'
    messages = greys(6)
    write_ros1_bag(path, {'/image': messages}, compress, 1)
    whole = path.read_bytes()
    index = struct.unpack_from('<Q', whole, whole.index(b'index_pos=') + len(b'index_pos='))[0]
    for size in range(4200, len(whole), 211):
        path.write_bytes(whole[:size])
        if size < index:
            with pytest.raises(SourceError, match=r'a\.bag: the file is cut off: the recording was not closed'):
                BagReader(path)
        found, errors = read(path)
        assert found == expected(messages, '/image')[:len(found)]
        assert not found or len(errors) == 1
        count = len(found)
    assert count == 6


def test_a_recording_that_was_not_closed(tmp_path):
    """As rosbag leaves it after kill -9: no index, and the last chunk has no length."""
    path = tmp_path / 'a.bag.active'
    messages = greys(5)
    write_ros1_bag(tmp_path / 'whole.bag', {'/image': messages}, chunk_bytes=2000)
    content = bytearray((tmp_path / 'whole.bag').read_bytes())
    place = content.index(b'index_pos=') + len(b'index_pos=')
    end = struct.unpack_from('<Q', content, place)[0]
    content[place:place + 8] = bytes(8)
    last = content.rindex(b'op=\x05', 0, end)
    # After the header of the chunk comes its length.
    start = last + content[last:].index(b'size=') + len(b'size=') + 4
    length = struct.unpack_from('<I', content, start)[0]
    content[start:start + 4] = bytes(4)
    path.write_bytes(content[:start + 4 + length])
    found, errors = read(path)
    assert found == expected(messages, '/image')
    assert len(errors) == 1 and 'is cut off: the recording was not closed' in errors[0]


def test_a_damaged_chunk_and_a_damaged_message(tmp_path):
    path = tmp_path / 'a.bag'
    messages = greys(6)
    write_ros1_bag(path, {'/image': messages}, 'bz2', 1)
    whole = path.read_bytes()
    content = bytearray(whole)
    content[whole.index(b'BZh', whole.index(b'BZh') + 1) + 30] ^= 255
    path.write_bytes(content)
    found, [error] = read(path)
    assert [entry[1] for entry in found] == [0, 10, 15, 20, 25] and 'is damaged at byte' in error
    with pytest.raises(SourceError, match='is damaged at byte'):
        list(BagReader(path).messages(*BagReader(path).topics))
    # A message that is not what its type says is one bad message.
    write_ros1_bag(tmp_path / 'b.bag', {'/image': messages})
    content = bytearray((tmp_path / 'b.bag').read_bytes())
    place = content.index(b'camera')
    content[place - 4:place] = struct.pack('<I', 10**6)
    (tmp_path / 'b.bag').write_bytes(content)
    errors = []
    found = list(open_source(tmp_path / 'b.bag', on_error=errors.append))
    assert [frame.index for frame in found] == [1, 2, 3, 4, 5]
    assert 'frame 0 of /image: not a sensor_msgs/msg/Image' in str(errors[0])


@pytest.mark.parametrize('content, says', [
    (b'', ''),
    (b'abc', 'is cut off'),
    (struct.pack('<I', 2**31), 'more than'),
    (struct.pack('<I', 3) + b'abc', 'is damaged at byte'),
    (struct.pack('<II', 9, 5) + b'op=\x05x' + struct.pack('<I', 2**31), 'more than'),
    (struct.pack('<II', 8, 4) + b'op=\x02' + struct.pack('<I', 0), 'is damaged at byte'),
    (struct.pack('<II', 8, 4) + b'op=\x05' + struct.pack('<I', 0), "'size'"),
])
def test_crafted_records(tmp_path, content, says):
    path = tmp_path / 'a.bag'
    path.write_bytes(b'#ROSBAG V2.0\n' + content)
    errors = []
    assert list(ros1_messages(path, lambda *topic: True, errors.append)) == []
    assert all(says in str(error) for error in errors) and (errors or not content)
    assert ros1_counts(path) == {}


# The commands


def test_predict_and_annotate(tmp_path, monkeypatch, capfd):
    """The same results as of the ROS 2 bag with the same images; --merge is refused."""
    pytest.importorskip('onnxruntime')
    from support.tiny_models import color_detector

    from trt_perception.cli.main import main

    monkeypatch.chdir(tmp_path)
    color_detector(Path('m.onnx'))
    messages = []
    for number in range(4):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[8:16, 8 * number:8 * number + 8] = 0, 0, 255
        messages.append((IMAGE, START + number, START + 9 * number, {
            'height': 64, 'width': 64, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 192, 'data': pixels.reshape(-1)}))
    write_ros1_bag(Path('old.bag'), {'/cam/image_raw': messages}, 'lz4')
    write_bag(Path('new'), {'/cam/image_raw': messages})
    assert main(['annotate', 'old.bag', 'new', '--model', 'm.onnx', '--output', 'out']) == 0
    lines = [[
        {key: value for key, value in json.loads(line).items() if key != 'source'}
        for line in Path('out', name, 'results.jsonl').read_text().splitlines()] for name in ('old', 'new')]
    assert [line['detections'] for line in lines[0]] == [line['detections'] for line in lines[1]]
    assert all(line['detections'] for line in lines[0])
    assert [(line['stamp_ns'], line['log_ns'], line['frame_id']) for line in lines[0]] == [
        (message[2], message[1], 'camera') for message in messages]
    capfd.readouterr()
    assert main(['predict', 'm.onnx', 'old.bag', '--json', '-']) == 0
    found = [json.loads(line)['detections'] for line in capfd.readouterr().out.splitlines()]
    assert found == [line['detections'] for line in lines[0]]
    assert main(['annotate', 'old.bag', '--model', 'm.onnx', '--output', 'merged', '--merge']) == 1
    out, err = capfd.readouterr()
    assert out == 'old.bag: not annotated\n' and not list(Path('merged').glob('[!.]*'))
    [error] = without_progress(err).splitlines()
    assert 'these are of ROS 1' in error and 'rosbags-convert --src old.bag --dst old' in error
