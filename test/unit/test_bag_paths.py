# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ways to name a bag: every reader of bags finds the same topic and the same messages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rosbags.rosbag2')
yaml = pytest.importorskip('yaml')

from support.bags import edit_metadata, grey_image, write_bag
from support.ros1_bags import write_ros1_bag
from support.subprocesses import python_environment, without_middleware

from trt_perception.advice.packages import install_line
from trt_perception.advice.platform import this_platform
from trt_perception.demo.environment import free_domain_id
from trt_perception.errors import SourceError
from trt_perception.launching.image_topics import open_bag_argument
from trt_perception.sources.bag_messages import IMAGE
from trt_perception.sources.bag_metadata import BagTopic
from trt_perception.sources.bag_paths import looks_like_bag
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.open_source import open_source

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = [grey_image(value, 10**9 * value, 10**9 * value) for value in (5, 6, 7)]
TOPIC = BagTopic('/image', IMAGE, 3)


def expect(path, values=(5, 6, 7), folder=None):
    """Compare the frames of `open_source`, the bag of the launch file, and the messages of the player."""
    path = Path(path)
    assert looks_like_bag(path)
    topic = BagTopic('/image', IMAGE, len(values))
    source = open_source(path)
    assert source.len_hint == len(values)
    assert [(frame.index, int(frame.frame.bgr()[0, 0, 0])) for frame in source] == list(enumerate(values))
    bag, chosen = open_bag_argument(path, '')
    assert (chosen, bag.path, bag.folder) == (topic, path, folder)
    assert [message.stamp_ns for message in bag.messages(chosen)] == [10**9 * value for value in values]


@pytest.mark.parametrize('compress', ['', 'file', 'message'])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_folder_and_its_only_file(tmp_path, storage, compress):
    """Compressed or not, the file is read with the metadata.yaml beside it."""
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image': MESSAGES}, storage, compress)
    (file,) = (entry for entry in bag.iterdir() if entry.name != 'metadata.yaml')
    expect(bag, folder=bag)
    expect(file, folder=bag)


@pytest.mark.parametrize('version', [8, 9])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_file_without_its_metadata(tmp_path, storage, version):
    write_bag(tmp_path / 'bag', {'/image': MESSAGES, '/chatter': None}, storage, version=version)
    (file,) = (entry for entry in (tmp_path / 'bag').iterdir() if entry.name != 'metadata.yaml')
    expect(file.rename(tmp_path / f'lone{file.suffix}'))


@pytest.mark.parametrize('damage', [b'', b'rosbag2_bagfile_information: [', b'author: x\n'])
def test_a_file_beside_a_damaged_or_another_metadata(tmp_path, damage):
    write_bag(tmp_path / 'bag', {'/image': MESSAGES})
    (tmp_path / 'bag' / 'metadata.yaml').write_bytes(damage)
    expect(tmp_path / 'bag' / 'bag.mcap')


def test_spellings_of_a_path(tmp_path, monkeypatch):
    bag = tmp_path / 'my bag ü'
    write_bag(bag, {'/image': MESSAGES})
    (tmp_path / 'link').symlink_to(bag)
    (tmp_path / 'link.mcap').symlink_to(bag / 'my bag ü.mcap')
    monkeypatch.chdir(bag)
    for path in (f'{bag}/', tmp_path / 'link', '.', '../link/'):
        expect(path, folder=Path(path))
    expect('my bag ü.mcap', folder=Path())
    expect(tmp_path / 'link.mcap')  # Beside the link there is no metadata.yaml.
    renamed = tmp_path / 'bag.mcap'  # `ros2 bag record -o bag.mcap` makes such folders.
    bag.rename(renamed)
    expect(renamed, folder=renamed)


def split(folder):
    """A bag with two files, as `ros2 bag record --max-bag-size` writes it."""
    write_bag(folder / 'bag', {'/image': MESSAGES[:2]})
    write_bag(folder / 'more', {'/image': MESSAGES[2:]})
    (folder / 'bag' / 'bag.mcap').rename(folder / 'bag' / 'bag_0.mcap')
    (folder / 'more' / 'more.mcap').rename(folder / 'bag' / 'bag_1.mcap')

    def both(information):
        # Until version 3 of the format the paths had the name of the folder.
        information['relative_file_paths'] = ['bag_0.mcap', 'bag/bag_1.mcap']
        information['message_count'] = 3
        information['topics_with_message_count'][0]['message_count'] = 3

    edit_metadata(folder / 'bag', both)
    return folder / 'bag'


def test_a_split_bag_and_its_parts(tmp_path):
    bag = split(tmp_path)
    expect(bag, folder=bag)
    expect(bag / 'bag_0.mcap', (5, 6))
    expect(bag / 'bag_1.mcap', (7,))
    (bag / 'bag_1.mcap').unlink()
    with pytest.raises(SourceError) as caught:
        BagReader(bag)
    assert str(caught.value) == f'{bag}: its file bag_1.mcap is missing'


def test_a_folder_of_images_stays_one(tmp_path):
    """Also if the folder has a data set's metadata.yaml, or a recording of the images."""
    write_bag(tmp_path / 'bag', {'/image': MESSAGES})
    data = tmp_path / 'data'
    data.mkdir()
    shutil.copy(ROOT / 'test' / 'data' / 'photos' / 'chelsea.jpg', data)
    (data / 'metadata.yaml').write_text('author: x\n')
    shutil.copy(tmp_path / 'bag' / 'bag.mcap', data)
    assert not looks_like_bag(data)
    assert [Path(frame.source).name for frame in open_source(data)] == ['chelsea.jpg']


def test_topics_of_all_types_are_listed_and_images_chosen(tmp_path):
    write_bag(tmp_path / 'bag', {'/image': MESSAGES, '/chatter': None, '/a/unused': None})
    bag = BagReader(tmp_path / 'bag')
    assert bag.topics == (
        BagTopic('/a/unused', 'std_msgs/msg/String', 0), BagTopic('/chatter', 'std_msgs/msg/String', 0), TOPIC)
    assert bag.image_topics == (TOPIC,)
    assert bag.choose_image_topic() == bag.choose_image_topic('image') == bag.choose_image_topic('/image') == TOPIC


def test_an_image_topic_without_messages_is_passed_over(tmp_path):
    write_bag(tmp_path / 'bag', {'/image': MESSAGES, '/unused': MESSAGES})

    def empty(information):
        (unused,) = (t for t in information['topics_with_message_count'] if t['topic_metadata']['name'] == '/unused')
        unused['message_count'] = 0

    edit_metadata(tmp_path / 'bag', empty)
    assert BagReader(tmp_path / 'bag').choose_image_topic() == TOPIC


def test_what_works_without_rosbags(tmp_path):
    """The process of a robot's launch file has PyYAML. If a bag needs rosbags, the message has the command for it."""
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image': MESSAGES})
    lone = shutil.copy(bag / 'bag.mcap', tmp_path / 'lone.mcap')
    code = f"""
import sys
from pathlib import Path
sys.modules['rosbags'] = None
from trt_perception.launching.image_topics import open_bag_argument
from trt_perception.launching.values import LaunchArgumentError
for path in ({str(bag)!r}, {str(bag / "bag.mcap")!r}, {str(lone)!r}):
    try:
        print(open_bag_argument(Path(path), '')[1])
    except LaunchArgumentError as error:
        print(error)
assert 'cv2' not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, '-c', code], env=python_environment(ROOT), capture_output=True, text=True, check=True)
    by_folder, by_file, alone = done.stdout.splitlines()
    assert by_folder == by_file == str(TOPIC)
    assert alone == (
        f"bag:={lone}: the Python package 'rosbags' is not installed; {install_line('rosbags', this_platform())}")


def test_a_ros1_bag(tmp_path):
    write_ros1_bag(tmp_path / 'old.bag', {'/image': MESSAGES})
    expect(tmp_path / 'old.bag')
    expect((tmp_path / 'old.bag').rename(tmp_path / 'OLD.BAG'))


def test_play_takes_a_lone_file(tmp_path):
    pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    write_bag(tmp_path / 'bag', {'/image': [grey_image(9, 10**9 + index, 1) for index in range(4)]})
    lone = (tmp_path / 'bag' / 'bag.mcap').rename(tmp_path / 'lone.mcap')
    done = subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', 'play', str(lone), '--wait', '0', '--sent', 'sent.jsonl'],
        env={**python_environment(ROOT), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
             'ROS_DOMAIN_ID': str(free_domain_id())},
        cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert without_middleware(done.stdout).startswith('sent 4 images of /image in ')
    assert len((tmp_path / 'sent.jsonl').read_text().splitlines()) == 4


@pytest.mark.skipif(os.geteuid() == 0, reason='root reads every file')
def test_what_may_not_be_read(tmp_path):
    write_bag(tmp_path / 'bag', {'/image': MESSAGES})
    for name in ('metadata.yaml', 'bag.mcap', '.'):
        path = tmp_path / 'bag' / name
        mode = path.stat().st_mode
        path.chmod(0)
        with pytest.raises(SourceError, match='cannot be read: Permission denied'):
            open_source(tmp_path / 'bag')
        path.chmod(mode)
