# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags that cannot be used: predict, calibration, play and the replay launch give the same message."""

import shutil
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')

import itertools

from support.bags import GREY_IMAGE, edit_metadata, write_bag
from support.tiny_models import color_detector

from trt_perception.cli.main import main
from trt_perception.errors import SourceError
from trt_perception.launching.image_topics import open_bag_argument
from trt_perception.launching.values import LaunchArgumentError
from trt_perception.precision.calibration_frames import read_samples


def predict(path, topic, folder, capfd):
    model = color_detector(folder / 'm.onnx')
    return _command(capfd, 'predict', model, path, *(['--topic', topic] if topic else []))


def play(path, topic, folder, capfd):
    return _command(capfd, 'play', path, *(['--topic', topic] if topic else []))


def calibrate(path, topic, folder, capfd):
    with pytest.raises(SourceError) as caught:
        read_samples(path, 4, topic=topic)
    return str(caught.value)


def replay(path, topic, folder, capfd):
    with pytest.raises(LaunchArgumentError) as caught:
        open_bag_argument(path, topic or '')
    return str(caught.value).removeprefix('bag:=')


def _command(capfd, *words):
    assert main([str(word) for word in words]) == 1
    [line] = capfd.readouterr().err.splitlines()
    return line.removeprefix('trt_perception: ')


# -- bags, each made in a separate folder: functions that return the path to give

def bag(folder, name='bag', storage='mcap', **options):
    write_bag(folder / name, {'/image': GREY_IMAGE}, storage, **options)
    return folder / name


def lone(folder, storage='mcap', **options):
    """A storage file without a metadata.yaml beside it."""
    path = bag(folder, 'made', storage, **options)
    (file,) = (entry for entry in path.iterdir() if entry.name != 'metadata.yaml')
    return file.rename(folder / file.name.replace('made', 'lone'))


def cut(path, keep=0.6):
    data = path.read_bytes()
    path.write_bytes(data[:int(keep * len(data))])


def with_file(path, change):
    (file,) = (entry for entry in path.iterdir() if entry.name != 'metadata.yaml')
    change(file)
    return path


def with_metadata(folder, content):
    path = bag(folder)
    (path / 'metadata.yaml').write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def with_edit(folder, edit):
    path = bag(folder)
    edit_metadata(path, edit)
    return path


def with_text(path, content=b'text'):
    path.write_bytes(content)
    return path


def without(path, *names):
    for name in names:
        (path / name).unlink()
    return path


def two_cameras(folder):
    write_bag(folder / 'bag', {'/left': GREY_IMAGE, '/right': GREY_IMAGE * 2})
    return folder / 'bag'


def chatter(folder, topics=None):
    write_bag(folder / 'bag', {**(topics or {}), '/chatter': None})
    return folder / 'bag'


def open_log(folder):
    """An SQLite file in write-ahead mode that was not closed."""
    file = lone(folder, 'sqlite3')
    database = sqlite3.connect(file)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.execute('INSERT INTO messages(topic_id, timestamp, data) SELECT topic_id, 9, data FROM messages')
    database.commit()
    kept = {suffix: Path(f'{file}{suffix}').read_bytes() for suffix in ('', '-wal')}
    database.close()
    for suffix, content in kept.items():
        Path(f'{file}{suffix}').write_bytes(content)
    return file


def mapping_of(text):
    return lambda folder: with_metadata(folder, f'rosbag2_bagfile_information: {text}\n')


def set_to(*keys, value):
    def edit(information):
        for key in keys[:-1]:
            information = information[key]
        information[keys[-1]] = value
    return lambda folder: with_edit(folder, edit)


REINDEX = '; `ros2 bag reindex {path}` writes it again, or give the .mcap or .db3 file itself'
DAMAGED = '{path}: metadata.yaml is damaged: '
MISSING = ('{path}: metadata.yaml is missing because the recording was not closed: run `ros2 bag reindex {path}`, or '
           'give the .mcap or .db3 file itself')
CUT = 'is cut off: the recording was not closed, or the copy was not finished; `mcap recover '
# name: function that makes the bag, requested topic, the whole message or, after '...', its beginning.
CASES = {
    'nothing there': (lambda f: f / 'none', None, '{path}: no such file or folder'),
    'ROS 1, just begun': (
        lambda f: with_text(f / 'x.bag', b'#ROSBAG V2.0\n'), None, '{path}: the file is cut off: the recording was...'),
    'ROS 1 of 2008': (
        lambda f: with_text(f / 'x.bag', b'#ROSBAG V1.2\n'), None,
        '{path}: the file is a ROS 1 bag of an old version: `rosbag fix` of ROS 1 converts it'),
    'ROS 1 that is text': (
        lambda f: with_text(f / 'x.bag'), '/image',
        '{path}: the file is not a ROS 1 bag: expected a file that begins with #ROSBAG V2.0'),

    'no metadata.yaml': (lambda f: without(bag(f), 'metadata.yaml'), None, MISSING),
    'no metadata.yaml, compressed': (
        lambda f: without(bag(f, compress='file'), 'metadata.yaml'), None, MISSING),
    'metadata.yaml itself': (
        lambda f: bag(f) / 'metadata.yaml', None, '{path}: not a rosbag2: give the folder of this file, {parent}'),
    'no storage file': (lambda f: without(bag(f), 'bag.mcap'), None, '{path}: its file bag.mcap is missing'),
    'empty storage file': (
        lambda f: with_file(bag(f), lambda p: p.write_bytes(b'')), None, '{path}: its file bag.mcap is empty'),

    'cut off mcap in a folder': (
        lambda f: with_file(bag(f), cut), None,
        '{path}: its file bag.mcap ' + CUT + '{path}/bag.mcap -o NEW.mcap` may save a part of it'),
    'cut off mcap': (
        lambda f: [file := lone(f), cut(file)][0], None,
        '{path}: the file ' + CUT + '{path} -o NEW.mcap` may save a part of it'),
    'mcap just begun': (lambda f: with_text(f / 'x.mcap', b'\x89MCAP0\r\n'), None, '{path}: the file ' + CUT + '...'),
    'cut off mcap without metadata.yaml': (
        lambda f: with_file(without(bag(f), 'metadata.yaml'), cut), None, MISSING),
    'cut off db3': (
        lambda f: [file := lone(f, 'sqlite3'), cut(file, 0.5)][0], None, '{path}: the file is cut off (...'),
    'cut off db3 in a folder': (
        lambda f: with_file(bag(f, storage='sqlite3'), cut), None, '{path}: its file bag.db3 is cut off (...'),
    'cut off in the header': (
        lambda f: [file := lone(f, 'sqlite3'), cut(file, 0.002)][0], None,
        '{path}: the file is cut off: the recording was not closed, or the copy was not finished'),
    'db3 not closed': (
        open_log, None,
        '{path}: the file was not closed, and a part of the recording is still in lone.db3-wal: stop the recorder, or '
        "run `sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'`"),
    'damaged in the middle': (
        lambda f: with_text(f / 'x.mcap', b'\x89MCAP0\r\n' + bytes(99) + b'\x89MCAP0\r\n'), None,
        '{path}: the file is damaged at byte 8: it has a zero where a record should begin; `mcap recover {path} -o '
        'NEW.mcap` may save a part of it'),
    'mcap of ROS 1': (
        lambda f: [file := lone(f), file.write_bytes(file.read_bytes().replace(b'ros2', b'ros1', 1))][0], None,
        '{path}: the bag cannot be read: Profile is not ros2...'),
    'db3 that is not SQLite': (lambda f: with_text(f / 'x.db3'), None, '{path}: the file is not an SQLite database'),
    'db3 that is mcap': (
        lambda f: lone(f).rename(f / 'x.db3'), None, '{path}: the file is not an SQLite database'),
    'SQLite of another program': (
        lambda f: [sqlite3.connect(f / 'x.db3').execute('CREATE TABLE a(b)'), f / 'x.db3'][1], None,
        '{path}: the bag cannot be read: Cannot open database {path} or database missing tables; if it is damaged...'),
    'mcap that is text': (lambda f: with_text(f / 'x.mcap'), None, '{path}: the file is not an MCAP file'),
    'empty mcap': (lambda f: with_text(f / 'x.mcap', b''), None, '{path}: the file is empty'),
    'empty db3': (lambda f: with_text(f / 'x.db3', b''), None, '{path}: the file is empty'),

    'compressed file alone': (
        lambda f: lone(f, compress='file'), None,
        '{path}: a compressed storage file without the metadata.yaml of its bag: unpack it with `zstd -d {path}`'),
    'compressed file that is none': (
        lambda f: with_file(bag(f, compress='file'), lambda p: p.write_bytes(b'text')), None,
        '{path}: its file bag.mcap.zstd is not compressed with zstd'),
    'compressed messages alone': (
        lambda f: lone(f, compress='message'), None,
        '{path}: each message is compressed (compression_mode: message), and such a file needs the metadata.yaml of '
        'its bag: give the folder that has both'),
    'compressed messages alone in db3': (
        lambda f: lone(f, 'sqlite3', compress='message'), None, '{path}: each message is compressed (...'),

    'empty metadata.yaml': (lambda f: with_metadata(f, ''), None, DAMAGED + 'it is empty' + REINDEX),
    'metadata.yaml of zeros': (
        lambda f: with_metadata(f, bytes(512)), None, DAMAGED + 'it is not YAML: unacceptable character...'),
    'binary metadata.yaml': (lambda f: with_metadata(f, b'\xff\xfe\xfd' * 99), None, DAMAGED + 'it is not YAML...'),
    'metadata.yaml cut in its first word': (
        lambda f: with_metadata(f, 'rosbag2_bag'), None, DAMAGED + 'it is a text, expected a mapping' + REINDEX),
    'metadata.yaml cut off': (
        lambda f: [path := bag(f), cut(path / 'metadata.yaml', 0.5)][0], None, DAMAGED + '...'),
    'not YAML': (mapping_of('['), None, DAMAGED + 'it is not YAML: ...'),
    'too deep': (mapping_of('[' * 20000), None, DAMAGED + 'it is nested too deeply' + REINDEX),
    'no date': (mapping_of('2020-13-45'), None, DAMAGED + 'it is not YAML: month must be in 1..12' + REINDEX),
    'a list': (
        mapping_of('[1]'), None, DAMAGED + 'rosbag2_bagfile_information is a list, expected a mapping' + REINDEX),
    'nothing in it': (mapping_of('{}'), None, DAMAGED + 'version is missing' + REINDEX),
    'topics are a mapping': (
        set_to('topics_with_message_count', value={}), None,
        DAMAGED + 'topics_with_message_count is a mapping, expected a list' + REINDEX),
    'topic is a number': (
        set_to('topics_with_message_count', 0, value=3), None,
        DAMAGED + 'topics_with_message_count[0] is a whole number, expected a mapping' + REINDEX),
    'count is a text': (
        set_to('topics_with_message_count', 0, 'message_count', value='many'), None,
        DAMAGED + 'topics_with_message_count[0].message_count is a text, expected a whole number' + REINDEX),
    'count is true': (
        set_to('topics_with_message_count', 0, 'message_count', value=True), None,
        DAMAGED + 'topics_with_message_count[0].message_count is of type bool, expected a whole number' + REINDEX),
    'count is negative': (
        set_to('topics_with_message_count', 0, 'message_count', value=-1), None,
        DAMAGED + 'topics_with_message_count[0].message_count is negative' + REINDEX),
    'type is a list': (
        set_to('topics_with_message_count', 0, 'topic_metadata', 'type', value=[[]] * 9), None,
        DAMAGED + 'topics_with_message_count[0].topic_metadata.type is a list, expected a text' + REINDEX),
    'duration is a number': (
        set_to('duration', value=1.5), None, DAMAGED + 'duration is of type float, expected a mapping' + REINDEX),
    'files are none': (
        set_to('relative_file_paths', value=[]), None, DAMAGED + 'relative_file_paths is an empty list' + REINDEX),
    'file is a number': (
        set_to('relative_file_paths', 0, value=1), None,
        DAMAGED + 'relative_file_paths[0] is a whole number, expected a text' + REINDEX),

    'no image topic': (
        chatter, None,
        '{path}: no image topic in this bag (looked for sensor_msgs/msg/Image and sensor_msgs/msg/CompressedImage)'),
    'several image topics': (
        two_cameras, None,
        '{path}: several image topics, choose one by its name (--topic, calibration_topic of the node, image_topic of '
        'replay.launch.py): /left (Image, 1), /right (Image, 2)'),
    'several image topics in a file': (
        lambda f: (two_cameras(f) / 'bag.mcap').rename(f / 'x.mcap'), None, '{path}: several image topics, choose...'),
    'a topic that is not there': (
        two_cameras, '/up', "{path}: no image topic '/up' in this bag; it has /left (Image, 1), /right (Image, 2)"),
    'a topic without images': (
        lambda f: chatter(f, {'/image': GREY_IMAGE}), 'chatter',
        "{path}: no image topic 'chatter' in this bag (/chatter is a std_msgs/msg/String); it has /image (Image, 1)"),
    'a topic without messages': (
        set_to('topics_with_message_count', 0, 'message_count', value=0), None,
        '{path}: the image topic /image has no messages'),
    'a metadata.yaml of another program': (
        lambda f: [f.joinpath('data').mkdir(), with_text(f / 'data' / 'metadata.yaml', b'author: x\n'),
                   lone(f).rename(f / 'data' / 'x.mcap'), f / 'data'][3], None,
        '{path}: not a rosbag2: metadata.yaml in this folder is not from rosbag2; give the .mcap or .db3 file itself'),
    'an empty folder': (
        lambda f: [f.joinpath('data').mkdir(), f / 'data'][1], None,
        '{path}: not a rosbag2: this folder has neither metadata.yaml nor an .mcap or .db3 file'),
}
# Folders that may be meant as folders of images: predict and calibration first report that there are no images.
NO_BAGS = ('a metadata.yaml of another program', 'an empty folder')


@pytest.mark.parametrize('case', CASES)
def test_all_say_the_same(tmp_path, capfd, case):
    pytest.importorskip('yaml')
    make, topic, words = CASES[case]
    path = make(tmp_path)
    expected, begins, _ = words.partition('...')
    expected = expected.format(path=path, parent=path.parent, stem=path.with_suffix(''))
    said = {way.__name__: way(path, topic, tmp_path, capfd) for way in (predict, calibrate, play, replay)}
    if case in NO_BAGS:
        for name in ('predict', 'calibrate'):
            start, _, reason = said[name].partition('); ')
            assert start.startswith(f'{path}: no images in this folder, and no videos (')
            said[name] = f'{path}: {reason}'
    assert len(set(said.values())) == 1, said
    message = said['play']
    assert (message[:len(expected)] if begins else message) == expected


def test_a_bomb_of_references_is_refused_in_a_short_line(tmp_path):
    """Each name stands for nine of the previous one: printed, it would be gigabytes."""
    names = 'abcdefghij'
    lines = ['x:', '- &a [lol]', *(f'- &{new} [{",".join([f"*{old}"] * 9)}]' for old, new in itertools.pairwise(names))]
    path = with_metadata(tmp_path, '\n'.join([*lines, 'rosbag2_bagfile_information: *j', '']))
    with pytest.raises(LaunchArgumentError) as caught:
        open_bag_argument(path, '')
    assert 'rosbag2_bagfile_information is a list, expected a mapping' in str(caught.value)
    assert len(str(caught.value)) < 500


def test_metadata_that_counts_what_is_not_there(tmp_path):
    """A fault that only reading finds: the topic was renamed in metadata.yaml."""
    path = with_edit(tmp_path, lambda information: information['topics_with_message_count'][0]['topic_metadata'].update(
        name='/camera'))
    with pytest.raises(SourceError) as caught:
        read_samples(path, 4)
    assert str(caught.value) == (
        f'{path}: metadata.yaml counts 1 messages of /camera, but the storage files have none: copy the bag again if '
        f'the copy was not finished, or run `ros2 bag reindex {path}` to count again')


@pytest.mark.parametrize('name', ['a#b', 'a?b', 'a%41b'])
def test_a_path_that_rosbags_cannot_open(tmp_path, name):
    """These characters have a meaning in SQLite's URIs. mcap files with them can be read."""
    folder = tmp_path / name
    folder.mkdir()
    sqlite = shutil.copytree(bag(tmp_path, 'x', 'sqlite3'), folder / 'x')
    message = r'cannot open a \.db3 file if its path contains one of # \? % .*: rename it'
    with pytest.raises(SourceError, match=message):
        read_samples(sqlite, 4)
    assert len(read_samples(shutil.copytree(bag(tmp_path, 'y'), folder / 'y'), 4).checking) == 1
