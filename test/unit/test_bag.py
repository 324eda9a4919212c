# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from support.subprocesses import python_environment

from trt_perception.errors import SourceError
from trt_perception.image.frame import Frame
from trt_perception.sources.bag_messages import IMAGE, deserialize, with_stamp
from trt_perception.sources.bag_metadata import BagTopic
from trt_perception.sources.bag_paths import looks_like_bag
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.bag_writer import write_video_bag
from trt_perception.sources.open_source import open_source
from trt_perception.sources.source import SourceFrame

pytest.importorskip('rosbags.rosbag2')

# Of sensor_msgs 5.3.6, share/sensor_msgs/msg/Image.json; the same in Jazzy and Kilted.
IMAGE_HASH = 'RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47'


def frames(count, period_ns=40_000_000, size=(30, 20)):
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        yield SourceFrame('made', index, Frame.from_bgr(pixels),
                          None if period_ns is None else 5 * 10**9 + index * period_ns)


def messages(path):
    bag = BagReader(path)
    return bag.messages(bag.choose_image_topic())


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_round_trip(tmp_path, storage):
    bag = tmp_path / 'new' / 'bag'
    seen = []
    written = write_video_bag(frames(4), bag, topic='camera/image', frame_id='front',
                              storage=storage, start_ns=1_700_000_000 * 10**9,
                              progress=lambda *report: seen.append(report))
    assert written == 4
    assert seen == [('writing the bag', number, None) for number in (1, 2, 3, 4)]
    assert looks_like_bag(bag)
    assert BagReader(bag).image_topics == (BagTopic('/camera/image', IMAGE, 4),)
    for expected, message in zip(frames(4), messages(bag), strict=True):
        assert (message.topic, message.type) == ('/camera/image', IMAGE)
        assert message.stamp_ns == 1_700_000_000 * 10**9 + expected.index * 40_000_000
        fields = deserialize(message)
        assert fields.header.frame_id == 'front'
        stamp = fields.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == message.stamp_ns
        assert (fields.encoding, fields.width, fields.height, fields.step) == ('bgr8', 30, 20, 90)
        np.testing.assert_array_equal(
            fields.data.reshape(20, 30, 3), expected.frame.bgr())
    # No file except the bag.
    assert sorted(p.name for p in bag.parent.iterdir()) == ['bag']


def test_metadata_is_what_ros2_bag_play_needs(tmp_path):
    write_video_bag(frames(3), tmp_path / 'bag')
    info = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())[
        'rosbag2_bagfile_information']
    assert (info['version'], info['storage_identifier']) == (8, 'mcap')
    assert info['relative_file_paths'] == ['bag.mcap'] and (tmp_path / 'bag' / 'bag.mcap').is_file()
    [topic] = info['topics_with_message_count']
    assert topic['message_count'] == info['message_count'] == 3
    assert topic['topic_metadata'] == {
        'name': '/image', 'type': IMAGE, 'serialization_format': 'cdr',
        'offered_qos_profiles': '', 'type_description_hash': IMAGE_HASH}
    assert info['starting_time']['nanoseconds_since_epoch'] == 10**9
    assert info['duration']['nanoseconds'] == 80_000_000


def test_rclpy_reads_and_writes_the_same_bytes(tmp_path):
    serialization = pytest.importorskip('rclpy.serialization')
    from sensor_msgs.msg import Image
    write_video_bag(frames(1), tmp_path / 'bag')
    [message] = messages(tmp_path / 'bag')
    fields = serialization.deserialize_message(with_stamp(message.cdr, 123 * 10**9 + 456), Image)
    assert (fields.header.stamp.sec, fields.header.stamp.nanosec) == (123, 456)
    assert (fields.header.frame_id, fields.encoding) == ('camera', 'bgr8')
    assert bytes(fields.data) == next(frames(1)).frame.data.tobytes()
    assert len(serialization.serialize_message(fields)) == len(message.cdr)


@pytest.mark.parametrize('flag, order', [(1, 'little'), (0, 'big')])
def test_with_stamp_in_both_byte_orders(flag, order):
    cdr = bytes([0, flag, 0, 0]) + bytes(range(8)) + b'rest'
    stamped = with_stamp(cdr, 2 * 10**9 + 7)
    assert type(stamped) is bytes  # The bytes that rclpy publishes.
    assert stamped == cdr[:4] + (2).to_bytes(4, order) + (7).to_bytes(4, order) + b'rest'


def test_video_with_its_own_times_and_with_a_given_rate(tmp_path):
    video = tmp_path / 'v.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 20, (64, 48))
    for value in (10, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    totals = []
    write_video_bag(video, tmp_path / 'a', progress=lambda text, done, total: totals.append(total))
    write_video_bag(video, tmp_path / 'b', fps=8)
    assert totals == [3, 3, 3]
    stamps = {name: [m.stamp_ns - 10**9 for m in messages(tmp_path / name)]
              for name in 'ab'}
    assert stamps['a'] == pytest.approx([0, 50_000_000, 100_000_000], abs=1000)
    assert stamps['b'] == [0, 125_000_000, 250_000_000]
    for original, copy in zip(open_source(video), open_source(tmp_path / 'b'), strict=True):
        np.testing.assert_array_equal(original.frame.bgr(), copy.frame.bgr())


def test_frames_of_other_encodings_become_bgr8(tmp_path):
    grey = Frame.from_buffer('mono16', 4, 2, 8, True, b'\xff\xff' * 8)
    write_video_bag([SourceFrame('made', 0, grey, 0)], tmp_path / 'bag')
    [found] = open_source(tmp_path / 'bag')
    assert found.frame.encoding == 'bgr8' and (found.frame.bgr() == 255).all()


@pytest.mark.parametrize('source, options, message', [
    (lambda: frames(2, None), {}, 'its frames have no stamps; give fps'),
    (lambda: frames(2, 0), {}, 'time of frame 1 does not increase'),
    (lambda: frames(2), {'fps': 0}, 'fps is 0: expected a number above 0'),
    (lambda: [], {}, 'no frames'),
    (lambda: 'missing.mp4', {}, 'missing.mp4: no such file'),
])
def test_failed_writes_leave_nothing(tmp_path, source, options, message):
    with pytest.raises(SourceError, match=message):
        write_video_bag(source(), tmp_path / 'bag', **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_kept(tmp_path):
    write_video_bag(frames(1), tmp_path / 'bag')
    with pytest.raises(SourceError, match='exists already'):
        write_video_bag(frames(2), tmp_path / 'bag')
    assert BagReader(tmp_path / 'bag').image_topics[0].count == 1


def test_unwritable_folder(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(SourceError, match='cannot be written'):
        write_video_bag(frames(1), tmp_path / 'file' / 'bag')


def test_a_killed_write_leaves_no_bag(tmp_path):
    code = f"""
import os, signal
from test_bag import frames
from trt_perception.sources.bag_writer import write_video_bag
def kill(text, done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
write_video_bag(frames(9, size=(900, 500)), {str(tmp_path / 'bag')!r}, progress=kill)
"""
    assert subprocess.run(
        [sys.executable, '-c', code], env=python_environment(Path(__file__).parent)).returncode == -9
    assert not (tmp_path / 'bag').exists()
    assert not any(looks_like_bag(path) for path in tmp_path.iterdir())
    assert write_video_bag(frames(1), tmp_path / 'bag') == 1  # The remaining folder does no harm.
