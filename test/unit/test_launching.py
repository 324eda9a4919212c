# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the launch files that do not need the package launch."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from trt_perception.demo.environment import free_domain_id
from trt_perception.launching.image_topics import (
    chosen_transport,
    image_remappings,
    image_transport,
    open_bag_argument,
    played_as,
    several_topics,
)
from trt_perception.launching.large_images import PROFILE_VARIABLES, profile_environment, profile_variables
from trt_perception.launching.values import (
    LaunchArgumentError,
    parse_bool,
    parse_integer,
    parse_log_level,
    parse_number,
    parse_path,
)
from trt_perception.sources.bag_messages import COMPRESSED_IMAGE, IMAGE
from trt_perception.sources.bag_metadata import BagTopic


@pytest.fixture
def prefixes(tmp_path, monkeypatch):
    """Prefixes as ROS installs them, for each version of Fast DDS; this environment's own prefix has none."""
    monkeypatch.setattr('sys.prefix', str(tmp_path / 'none'))
    for name, folder in (('two', 'fastrtps'), ('three', 'fastdds')):
        (tmp_path / name / 'share' / folder).mkdir(parents=True)
    (tmp_path / 'overlay' / 'share' / 'trt_perception').mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize('environment', [{}, {'RMW_IMPLEMENTATION': ''}, {'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp'}])
def test_profile_is_set_for_fast_dds_of_every_distribution(environment, prefixes):
    """If the version is unknown, set both variables."""
    added, note = profile_environment('/share/profile.xml', environment)
    assert added == {
        'FASTRTPS_DEFAULT_PROFILES_FILE': '/share/profile.xml', 'FASTDDS_DEFAULT_PROFILES_FILE': '/share/profile.xml'}
    assert 'sender' in note
    assert f'export {PROFILE_VARIABLES[0]}=/share/profile.xml {PROFILE_VARIABLES[1]}=/share/profile.xml' in note


@pytest.mark.parametrize('distro, variable', [
    ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE'), ('rolling', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_the_variable_is_the_one_that_the_distribution_reads(distro, variable, prefixes):
    added, note = profile_environment('/p.xml', {'ROS_DISTRO': distro})
    assert added == {variable: '/p.xml'}
    assert note.endswith(f'export {variable}=/p.xml')


@pytest.mark.parametrize('installed, variable', [
    (['two'], 'FASTRTPS_DEFAULT_PROFILES_FILE'), (['three'], 'FASTDDS_DEFAULT_PROFILES_FILE'),
    (['overlay', 'three'], 'FASTDDS_DEFAULT_PROFILES_FILE'), (['two', 'three'], 'FASTRTPS_DEFAULT_PROFILES_FILE')])
def test_what_is_installed_tells_more_than_the_distribution(installed, variable, prefixes):
    path = ':'.join(str(prefixes / name) for name in installed)
    for distro in ('', 'jazzy', 'kilted'):
        assert profile_variables({'AMENT_PREFIX_PATH': path, 'ROS_DISTRO': distro}) == (variable,)


# A participant also maps the segments of other processes, so count only those that it created.
_SEGMENTS = """
import os, rclpy
before = {entry.path for entry in os.scandir('/dev/shm')}
rclpy.init()
node = rclpy.create_node('probe')
with open('/proc/self/maps') as file:
    files = {line.split()[-1] for line in file if '/dev/shm/fast' in line} - before
print('largest', max(os.stat(name).st_size for name in files))
node.destroy_node()
rclpy.shutdown()
"""


@pytest.mark.parametrize('with_profile', [True, False])
def test_fast_dds_here_takes_the_profile_and_warns_of_nothing(with_profile):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    if 'fastrtps' not in os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        pytest.skip('another middleware is chosen')
    plain = {name: value for name, value in os.environ.items() if not name.startswith(('FASTDDS_', 'FASTRTPS_'))}
    profile = Path(__file__).parents[2] / 'config' / 'fastdds_large_images.xml'
    added = profile_environment(str(profile), plain)[0] if with_profile else {}
    done = subprocess.run(
        [sys.executable, '-c', _SEGMENTS], env={
            **plain, 'ROS_DOMAIN_ID': str(free_domain_id()), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', **added},
        capture_output=True, text=True, check=True, timeout=600)
    assert done.stderr == ''
    name, size = done.stdout.split()
    assert (name, int(size) > 2**26) == ('largest', with_profile)


@pytest.mark.parametrize('name', [*PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS'])
def test_own_choice_of_transports_stays(name):
    added, note = profile_environment('/share/profile.xml', {name: 'mine'})
    assert added == {}
    assert f'{name} is already set to mine' in note


def test_empty_variable_is_no_choice(prefixes):
    added, _ = profile_environment('/p.xml', {PROFILE_VARIABLES[0]: ''})
    assert added[PROFILE_VARIABLES[0]] == '/p.xml'


def test_other_middleware_gets_nothing():
    assert profile_environment('/p.xml', {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}) == ({}, '')


@pytest.mark.parametrize('text, topics', [
    ('', []), (' ', []), ('/front/image_raw', ['/front/image_raw']), ('a,b', ['a', 'b']),
    ('/front/image_raw, /rear/image_raw/compressed', ['/front/image_raw', '/rear/image_raw/compressed']),
    ("['a', 'b']", ['a', 'b']), ('[a,b]', ['a', 'b'])])
def test_several_topics(text, topics):
    assert several_topics(text, 'image') == topics


@pytest.mark.parametrize('text, topic, reason', [
    ('a,,b', 'image', 'expected topics separated by commas'), ('[]', 'image', 'expected topics separated by commas'),
    ('a,b', '/camera', 'image_topic:=/camera and image_topics:=a,b are both given')])
def test_wrong_topics(text, topic, reason):
    with pytest.raises(LaunchArgumentError, match=reason):
        several_topics(text, topic)


def test_image_topic_with_and_without_compressed():
    expected = [('image', '/camera/image_raw'), ('image/compressed', '/camera/image_raw/compressed')]
    assert image_remappings('/camera/image_raw') == expected
    assert image_remappings('/camera/image_raw/compressed') == expected


@pytest.mark.parametrize('topic, given, chosen, note', [
    ('/camera/image_raw', '', '', ''), ('/camera/image_raw', 'raw', 'raw', ''),
    ('/camera/image_raw', 'compressed', 'compressed', ''), ('/camera/image_raw/compressed', '', 'compressed', ''),
    ('/camera/image_raw/compressed', 'compressed', 'compressed', ''), ('image/compressed', '', 'compressed', ''),
    ('/compressed', '', 'compressed', ''), ('/camera/image_compressed', '', '', ''),
    # What is given explicitly wins, but not in silence.
    ('/camera/image_raw/compressed', 'raw', 'raw',
     'image_transport:=raw: the node subscribes to /camera/image_raw, not to /camera/image_raw/compressed; '
     'leave image_transport out for the compressed images'),
    ('/camera/image_raw/compressed', 'theora', 'theora', '')])
def test_the_name_chooses_the_transport(topic, given, chosen, note):
    assert chosen_transport(topic, given) == (chosen, note)


@pytest.mark.parametrize('topics, name, transport, found', [
    ('both', '/a', '', '/a'), ('both', '/a/compressed', '', '/a/compressed'), ('both', '', 'raw', '/a'),
    ('both', '', 'compressed', '/a/compressed'), ('both', '/a', 'compressed', '/a/compressed'),
    ('both', 'a/compressed', 'raw', '/a'), ('jpegs', '/jpegs', 'compressed', '/jpegs'), ('jpegs', '', '', '/jpegs'),
    ('jpegs', '/jpegs', 'raw', '/jpegs'), ('raw', '', 'compressed', '/a')])
def test_the_topic_of_a_bag_has_the_same_words(tmp_path, topics, name, transport, found):
    assert open_bag_argument(bag_with(tmp_path, BAGS[topics]), name, transport)[1].name == found


@pytest.mark.parametrize('topics, name, said', [
    ('raw', '/a/compressed', "no image topic '/a/compressed' in this bag \\(did you mean '/a'\\?\\); it has /a "),
    ('both', '/b', "no image topic '/b' in this bag; it has /a "),
    ('video', '', 'no image topic in this bag .*; /a/ffmpeg has H.264 or H.265 video in .*: play the bag, republish .*'
     '-r in/ffmpeg:=/a/ffmpeg -r out:=/a_decoded.*, and record /a_decoded')])
def test_a_topic_that_the_bag_lacks_is_told_with_the_nearest(tmp_path, topics, name, said):
    with pytest.raises(LaunchArgumentError, match=said):
        open_bag_argument(bag_with(tmp_path, BAGS[topics]), name)


BAGS = {
    'raw': {'/a': IMAGE}, 'both': {'/a': IMAGE, '/a/compressed': COMPRESSED_IMAGE},
    'jpegs': {'/jpegs': COMPRESSED_IMAGE},
    'video': {'/a/ffmpeg': 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'}}


def bag_with(folder, topics):
    """A bag whose metadata.yaml has one message of each topic. Its storage file is an empty database."""
    yaml = pytest.importorskip('yaml')
    sqlite3.connect(folder / 'bag_0.db3').execute('CREATE TABLE topics (id INTEGER)').connection.close()
    (folder / 'metadata.yaml').write_text(yaml.safe_dump({'rosbag2_bagfile_information': {
        'version': 5, 'storage_identifier': 'sqlite3', 'relative_file_paths': ['bag_0.db3'],
        'duration': {'nanoseconds': 1}, 'starting_time': {'nanoseconds_since_epoch': 1}, 'message_count': len(topics),
        'compression_format': '', 'compression_mode': '',
        'topics_with_message_count': [{'message_count': 1, 'topic_metadata': {
            'name': name, 'type': kind, 'serialization_format': 'cdr', 'offered_qos_profiles': ''}}
            for name, kind in topics.items()]}}))
    return folder


def test_compressed_topic_is_played_where_the_node_looks():
    for topic in (BagTopic('/jpegs', COMPRESSED_IMAGE, 1), BagTopic('/a/compressed', COMPRESSED_IMAGE, 1)):
        assert image_transport(topic) == 'compressed'
        assert dict(image_remappings(played_as(topic)))['image/compressed'] == played_as(topic)
    assert played_as(BagTopic('/jpegs', COMPRESSED_IMAGE, 1)) == '/jpegs/compressed'
    raw = BagTopic('/image', IMAGE, 1)
    assert (image_transport(raw), played_as(raw)) == ('raw', '/image')


def test_values():
    assert [parse_bool('x', text) for text in ('true', 'True', '1', 'false', 'no')] == [True, True, True, False, False]
    assert parse_number('x', '1') == 1.0 and isinstance(parse_number('x', '1'), float)
    assert parse_integer('x', '7') == 7
    assert [parse_log_level('x', text) for text in ('debug', 'a.b:=WARN')] == ['debug', 'a.b:=WARN']
    assert parse_path('x', '~/m.onnx') == str(Path.home() / 'm.onnx')


@pytest.mark.parametrize('parse, text, message', [
    (parse_bool, 'maybe', 'respawn:=maybe: expected true or false'),
    (parse_number, 'high', 'respawn:=high: expected a number'),
    (parse_integer, '1.5', 'respawn:=1.5: expected a whole number'),
    (parse_log_level, 'a:=loud', 'respawn:=a:=loud: expected one of debug, info'),
])
def test_wrong_values_are_named(parse, text, message):
    with pytest.raises(LaunchArgumentError, match=message):
        parse('respawn', text)
