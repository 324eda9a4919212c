# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a bag together are the whole bag: messages, numbers and damaged places, in order."""

import shutil

import pytest

pytest.importorskip('rosbags.rosbag2')
from support.bags import IMAGE, edit_metadata, grey_image, write_bag
from support.mcap_file import image_bytes, record, write_mcap

from trt_perception.sources.bag_parts import parts_of
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.bag_recording import WHOLE, recorded

SECOND = 10**9


def messages(count, topic_offset=0):
    return [grey_image(number % 250, SECOND + 10 * number + topic_offset, number) for number in range(count)]


def content(bag, part=WHOLE):
    """What is yielded and reported, in order."""
    found = []
    for message in recorded(bag, bag.image_topics, lambda error: found.append(str(error)), part):
        found.append((message.topic, message.stamp_ns, message.publish_ns, message.cdr))
    return found


def check(path, size, multiple=1, least=2):
    """The parts of a bag."""
    bag = BagReader(path, cut_off=True)
    parts = parts_of(bag, bag.image_topics, size, multiple)
    whole = content(bag)
    pieces = [content(bag, part) for part in parts]
    assert [entry for piece in pieces for entry in piece] == whole and len(parts) >= least
    counts = {}
    for part, piece in zip(parts, pieces):
        assert {name: count for name, count in part.first.items() if count} == counts
        for entry in piece:
            if isinstance(entry, tuple):
                counts[entry[0]] = counts.get(entry[0], 0) + 1
    sizes = [sum(isinstance(entry, tuple) for entry in piece) for piece in pieces]
    assert all(count >= size and count % multiple == 0 for count in sizes[:-1])
    return sizes


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('size, multiple, sizes', [
    (10, 1, [10, 10, 10, 10, 3]), (7, 4, [8, 8, 8, 8, 8, 3]), (43, 1, [43])])
def test_two_topics(tmp_path, storage, size, multiple, sizes):
    write_bag(tmp_path / 'bag', {'/a': messages(30), '/b': messages(13, 5), '/c': None}, storage=storage)
    assert check(tmp_path / 'bag', size, multiple, least=1) == sizes


def two_topics(count):
    """(topic, type, log time, publish time, bytes) of two topics, three of one for each of the other."""
    return [
        (f'/{"aaab"[number % 4]}', IMAGE, 1000 + 10 * number, 993 + 10 * number, image_bytes(
            grey_image(number, 0, 0)[3], 900 + number)) for number in range(count)]


@pytest.mark.parametrize('compression', [None, '', 'zstd', 'lz4'])
def test_borders_in_a_chunk_and_definitions_that_are_in_the_first_one_only(tmp_path, compression):
    if compression:
        pytest.importorskip('lz4.frame' if compression == 'lz4' else 'backports.zstd')
    write_mcap(tmp_path / 'b.mcap', two_topics(40), compression, per_chunk=6)
    assert check(tmp_path / 'b.mcap', 9) == [9, 9, 9, 9, 4]
    assert check(tmp_path / 'b.mcap', 12, 12) == [12, 12, 12, 4]


@pytest.mark.parametrize('size', range(3, 9))
def test_each_damaged_place_is_in_one_part(tmp_path, size):
    """A chunk with a wrong CRC, a message of an unknown channel at the end of a chunk, and a file that is cut off."""
    path = tmp_path / 'b.mcap'
    write_mcap(path, two_topics(24), per_chunk=4)
    content = bytearray(path.read_bytes())
    content[bytes(content).index(two_topics(24)[9][4]) + 100] ^= 255
    at = bytes(content).index(record(15, bytes(4)))
    lost = record(5, bytes(22))
    chunk = record(6, bytes(16) + len(lost).to_bytes(8, 'little') + bytes(8) + len(lost).to_bytes(8, 'little') + lost)
    path.write_bytes(content[:at] + chunk + content[at:at + 3])
    whole = content_errors(path)
    assert len(whole) == 3
    assert sum(check(path, size)) == 20


def content_errors(path):
    return [entry for entry in content(BagReader(path, cut_off=True)) if isinstance(entry, str)]


def test_a_part_may_go_on_in_the_next_file(tmp_path):
    for name, first in (('bag', 0), ('second', 10), ('third', 20)):
        write_bag(tmp_path / name, {'/a': [grey_image(n, 100 + n, n) for n in range(first, first + 10)]})
    for name in ('second', 'third'):
        shutil.copy(tmp_path / name / f'{name}.mcap', tmp_path / 'bag')
    edit_metadata(tmp_path / 'bag', lambda info: (
        info['relative_file_paths'].extend(['second.mcap', 'third.mcap']),
        info['topics_with_message_count'][0].update(message_count=30)))
    assert check(tmp_path / 'bag', 4) == [4, 4, 4, 4, 4, 4, 4, 2]
    assert check(tmp_path / 'bag', 13) == [13, 13, 4]


@pytest.mark.parametrize('compress, sizes', [('message', [4, 4, 4, 4, 4]), ('file', [10, 10])])
def test_compressed_bags(tmp_path, compress, sizes):
    """Files that are compressed as a whole are split between files only."""
    for name, first in (('bag', 0), ('second', 10)):
        write_bag(tmp_path / name, {'/a': [grey_image(n, 100 + n, n) for n in range(first, first + 10)]},
                  compress=compress)
    [file] = [path for path in (tmp_path / 'second').iterdir() if path.name.startswith('second')]
    shutil.copy(file, tmp_path / 'bag')
    edit_metadata(tmp_path / 'bag', lambda info: (
        info['relative_file_paths'].append(file.name),
        info['topics_with_message_count'][0].update(message_count=20)))
    assert check(tmp_path / 'bag', 4) == sizes


def test_sqlite_with_equal_times_is_one_part(tmp_path):
    write_bag(tmp_path / 'bag', {'/a': messages(9), '/b': messages(9)}, storage='sqlite3')
    assert check(tmp_path / 'bag', 4, least=1) == [18]
