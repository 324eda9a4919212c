# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All messages of several topics of a bag, with the times of publishing, also of damaged files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.bags import IMAGE, edit_metadata, grey_image, write_bag
from support.mcap_file import MAGIC, image_bytes, record, write_mcap

from trt_perception.errors import SourceError
from trt_perception.sources.bag_messages import deserialize
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.bag_recording import recorded
from trt_perception.sources.mcap_records import mcap_messages

pytest.importorskip('rosbags.rosbag2')


def grey(value):
    return {'height': 24, 'width': 32, 'encoding': 'mono8', 'is_bigendian': 0, 'step': 32,
            'data': np.full(24 * 32, value, np.uint8)}


def messages(count):
    """(topic, type, log time, publish time, bytes) of two topics in turn."""
    return [
        (f'/{"ab"[number % 2]}', IMAGE, 1000 + 10 * number, 993 + 10 * number, image_bytes(grey(number), 900 + number))
        for number in range(count)]


def read(path, names=None):
    """((topic, value of the pixels, log time, publish time) of all messages, errors)."""
    bag = BagReader(Path(path), cut_off=True)
    topics = [topic for topic in bag.image_topics if names is None or topic.name in names]
    errors = []
    found = [
        (message.topic, int(deserialize(message).data[0]), message.stamp_ns, message.publish_ns)
        for message in recorded(bag, topics, errors.append)]
    assert all(isinstance(error, SourceError) for error in errors)
    return found, [str(error) for error in errors]


def expected(count):
    return [(f'/{"ab"[n % 2]}', n, 1000 + 10 * n, 993 + 10 * n) for n in range(count)]


@pytest.mark.parametrize('compression', [None, '', 'zstd', 'lz4'])
def test_log_and_publish_times(tmp_path, compression):
    if compression:
        pytest.importorskip('lz4.frame' if compression == 'lz4' else 'backports.zstd')
    write_mcap(tmp_path / 'a.mcap', messages(5), compression)
    assert read(tmp_path / 'a.mcap') == (expected(5), [])
    assert read(tmp_path / 'a.mcap', ['/b']) == (expected(5)[1::2], [])
    # The other way to read gives the same messages, so the file is one that rosbags reads.
    bag = BagReader(tmp_path / 'a.mcap')
    assert [(m.topic, m.stamp_ns) for m in bag.messages(*bag.image_topics)] == [e[::2] for e in expected(5)]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compress', ['', 'message', 'file'])
def test_bags_with_metadata(tmp_path, storage, compress):
    write_bag(tmp_path / 'bag', {
        '/a': [grey_image(n, 100 + n, n) for n in range(0, 6, 2)],
        '/b': [grey_image(n, 100 + n, n) for n in range(1, 6, 2)]}, storage, compress)
    found, errors = read(tmp_path / 'bag')
    assert errors == []
    # rosbags wrote one topic after the other, and its MCAP keeps that order.
    publish = {'mcap': lambda n: 100 + n, 'sqlite3': lambda n: None}[storage]
    assert sorted(found, key=lambda entry: entry[2]) == [
        (f'/{"ab"[n % 2]}', n, 100 + n, publish(n)) for n in range(6)]
    if storage == 'sqlite3':
        assert [entry[1] for entry in found] == list(range(6))


def test_a_split_bag_is_read_in_the_order_of_its_files(tmp_path):
    for name, first in (('bag', 0), ('second', 3)):
        write_bag(tmp_path / name, {'/a': [grey_image(n, 100 + n, n) for n in range(first, first + 3)]})
    shutil.copy(tmp_path / 'second' / 'second.mcap', tmp_path / 'bag')
    edit_metadata(tmp_path / 'bag', lambda info: info['relative_file_paths'].append('second.mcap'))
    assert [entry[1] for entry in read(tmp_path / 'bag')[0]] == list(range(6))
    # Of a file that is cut off, what is before the cut is read, and then the next file.
    first = tmp_path / 'bag' / 'bag.mcap'
    first.write_bytes(first.read_bytes()[:200])
    found, [error] = read(tmp_path / 'bag')
    assert [entry[1] for entry in found] == [3, 4, 5]
    assert 'bag: its file bag.mcap is cut off' in error


# Damaged files


def test_cut_off_anywhere(tmp_path):
    """The messages before the cut are read, and nothing else: of a file without chunks, to the last whole message."""
    path = tmp_path / 'a.mcap'
    write_mcap(path, messages(3), None)
    whole = path.read_bytes()
    ends = [whole.index(data) + len(data) for *_, data in messages(3)]
    for size in range(len(MAGIC) + 20, len(whole) - len(MAGIC) - 40, 61):
        path.write_bytes(whole[:size])
        if not any(size >= end for end in ends):
            continue
        found, errors = read(path)
        assert found == expected(sum(size >= end for end in ends)), size
        assert len(errors) == 1 and 'a.mcap: the file is cut off' in errors[0]
    with pytest.raises(SourceError, match='is cut off'):
        BagReader(path).choose_image_topic()


def test_a_damaged_chunk_is_left_out(tmp_path):
    path = tmp_path / 'a.mcap'
    write_mcap(path, messages(6))
    content = bytearray(path.read_bytes())
    place = bytes(content).index(messages(6)[2][4]) + 100
    content[place] ^= 255
    path.write_bytes(content)
    found, errors = [], []
    for message in mcap_messages(path, lambda *topic: True, errors.append):
        found.append(message.log_ns)
    assert found == [1000, 1010, 1040, 1050]
    assert len(errors) == 1 and 'the CRC of a chunk is wrong' in str(errors[0])


@pytest.mark.parametrize('content, says', [
    (record(6, b'short'), 'a chunk begins wrongly'),
    (record(6, bytes(28) + b'\xff\xff\xff\xff'), 'a text is longer than its record'),
    (record(6, (0).to_bytes(16, 'little') + (2**40).to_bytes(8, 'little') + bytes(4) + b'\4\0\0\0zstd' + bytes(8)),
     'more than'),
    (record(6, bytes(28) + b'\2\0\0\0br' + bytes(8)), "compressed with 'br', which is not known"),
    (record(5, bytes(22)), 'channel 0, which is not defined'),
    (record(5, bytes(3)), 'a message has 3 bytes'),
    (record(4, b'\1'), 'a definition cannot be read'),
    (b'\5' + (2**63).to_bytes(8, 'little'), 'is cut off'),
])
def test_crafted_records(tmp_path, content, says):
    """What follows is read, if the length of the record is right."""
    path = tmp_path / 'a.mcap'
    write_mcap(path, messages(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:len(MAGIC)] + content + whole[len(MAGIC):])
    errors = []
    found = list(mcap_messages(path, lambda *topic: True, errors.append))
    assert len(errors) == 1 and says in str(errors[0]), errors
    assert len(found) == (0 if says == 'is cut off' else 2)


def test_counted_but_missing_messages(tmp_path):
    write_bag(tmp_path / 'bag', {'/a': [grey_image(1, 1, 1)]})
    write_bag(tmp_path / 'other', {'/b': [grey_image(1, 1, 1)]})
    shutil.copy(tmp_path / 'other' / 'other.mcap', tmp_path / 'bag' / 'bag.mcap')
    with pytest.raises(SourceError, match=r'bag: metadata\.yaml counts 1 messages of /a, but the storage .* none'):
        read(tmp_path / 'bag')


def test_sqlite(tmp_path):
    """A file that is cut off cannot be opened; of one that is damaged inside, what SQLite reads before it is read."""
    messages = [grey_image(n, 100 + n, n, (320, 240)) for n in range(40)]
    write_bag(tmp_path / 'bag', {'/a': messages}, 'sqlite3')
    file = tmp_path / 'bag' / 'bag.db3'
    content = file.read_bytes()
    # Two pages of a message: each begins with the number of the next one (sqlite.org/fileformat2.html).
    damaged = bytearray(content)
    damaged[len(content) // 2:len(content) // 2 + 8192] = bytes([255]) * 8192
    file.write_bytes(damaged)
    found, errors = read(tmp_path / 'bag')
    assert [entry[1] for entry in found] == list(range(len(found))) and 15 < len(found) < 25
    assert len(errors) == 1 and 'the bag cannot be read' in errors[0]
    file.write_bytes(content[:len(content) * 2 // 3])
    with pytest.raises(SourceError, match='recover'):
        read(tmp_path / 'bag')
