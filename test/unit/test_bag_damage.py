# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags that can be opened, but are damaged or have less than their index says: all commands say the same."""

import json
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
pytest.importorskip('yaml')
import numpy as np
from support.bags import IMAGE, edit_metadata, grey_image, write_bag
from support.mcap_file import image_bytes, write_mcap
from support.precision_models import conv_detector
from support.robot_bag import robot_bag
from support.ros1_bags import write_ros1_bag
from support.subprocesses import without_progress
from support.tiny_models import color_detector

from trt_perception.cli.main import main
from trt_perception.demo.environment import free_domain_id
from trt_perception.errors import SourceError
from trt_perception.precision.calibration_frames import read_samples
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.mcap_records import mcap_messages

CUT_OFF = 'is cut off: the recording was not closed, or the copy was not finished; '
AGAIN = 'copy the bag again if the copy was not finished, or run `ros2 bag reindex bag` to count again'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain_id()))
    color_detector(tmp_path / 'm.onnx')


def run(capfd, *arguments):
    """(exit code, lines of stderr)."""
    code = main([*map(str, arguments)])
    lines = without_progress(capfd.readouterr().err).splitlines()
    return code, [
        line.removeprefix('trt_perception: ') for line in lines if not line.endswith('after 0 s, playing anyway')]


def predict(capfd, path):
    """(exit code, lines of stderr, images done)."""
    code, errors = run(capfd, 'predict', 'm.onnx', path, '--json', 'p.jsonl')
    return code, errors, len(Path('p.jsonl').read_text().splitlines())


def annotate(capfd, path, *options):
    shutil.rmtree('out', ignore_errors=True)
    code, errors = run(capfd, 'annotate', path, '--model', 'm.onnx', '--output', 'out', *options)
    results = list(Path('out').glob('*/results.jsonl'))
    return code, errors, len(results[0].read_text().splitlines()) if results else 0


def merge(capfd, path):
    return annotate(capfd, path, '--merge')


def play(capfd, path):
    pytest.importorskip('rclpy')
    Path('sent.jsonl').unlink(missing_ok=True)
    code, errors = run(capfd, 'play', path, '--wait', '0', '--rate', '1000', '--sent', 'sent.jsonl')
    return code, errors, len(Path('sent.jsonl').read_text().splitlines()) if Path('sent.jsonl').exists() else 0


def greys(count, first=0):
    return [grey_image(number, 1000 + 10 * number, number) for number in range(first, first + count)]


def counted_up(information):
    """Three messages more of the first topic."""
    information['topics_with_message_count'][0]['message_count'] += 3


def short_bag(storage='mcap', compress=''):
    write_bag(Path('bag'), {'/image': greys(6)}, storage, compress)
    edit_metadata(Path('bag'), counted_up)
    return 'bag'


def short_mcap():
    """A file whose statistics count three messages more."""
    write_bag(Path('made'), {'/image': greys(6)})
    content = bytearray(Path('made/made.mcap').read_bytes())
    at = struct.unpack_from('<Q', content, len(content) - 8 - 20)[0]
    while content[at] != 11:
        at += 9 + struct.unpack_from('<Q', content, at + 1)[0]
    # The only channel, behind the counts of the whole file: 42 bytes and the length of the map.
    place = at + 9 + 42 + 4 + 2
    assert struct.unpack_from('<Q', content, place)[0] == 6
    struct.pack_into('<Q', content, place, 9)
    Path('a.mcap').write_bytes(content)
    return 'a.mcap'


def short_ros1():
    write_ros1_bag(Path('a.bag'), {'/image': greys(6)})
    content = bytearray(Path('a.bag').read_bytes())
    assert struct.unpack_from('<II', content, len(content) - 8)[1] == 6
    struct.pack_into('<I', content, len(content) - 4, 9)
    Path('a.bag').write_bytes(content)
    return 'a.bag'


# Fewer messages than the index counts

COUNTS = 'bag: metadata.yaml counts 9 messages of /image, but the storage files have only 6: ' + AGAIN


@pytest.mark.parametrize('make, says', [
    (short_bag, COUNTS),
    (lambda: short_bag('sqlite3'), COUNTS),
    (lambda: short_bag(compress='file'), COUNTS),
    (lambda: short_bag('sqlite3', 'message'), COUNTS),
    (short_mcap,
     'a.mcap: the index of the file counts 9 messages of /image, but the file has only 6: copy it again if the copy '
     'was not finished; `mcap recover a.mcap -o NEW.mcap` counts again'),
    (short_ros1,
     'a.bag: the index of the file counts 9 messages of /image, but the file has only 6: copy it again if the copy was '
     'not finished; `rosbag reindex` of ROS 1 counts again')])
def test_all_say_what_is_missing(capfd, make, says):
    """What is there is done, and the exit code is 1. A calibration goes on with a warning."""
    path = make()
    for way in (predict, annotate, play, *([] if path == 'a.bag' else [merge])):
        assert way(capfd, path) == (1, [says], 6), way.__name__
    samples = read_samples(path, 4, checking=2)
    assert len(samples.calibration) == 4 and samples.warnings[0] == says
    assert not any('could not be read' in warning for warning in samples.warnings)


def test_predict_does_not_miss_what_it_did_not_want(capfd):
    assert run(capfd, 'predict', 'm.onnx', short_bag(), '--max-frames', '6') == (0, [])


def test_benchmark_says_why_there_is_no_image(capfd):
    """It does not need all images of a bag, but one."""
    edit_metadata(Path(short_bag()), lambda information: information['topics_with_message_count'][0][
        'topic_metadata'].update(name='/camera'))
    code, [error] = run(capfd, 'benchmark', 'm.onnx', '--source', 'bag')
    assert code == 1 and error == (
        'bag: expected at least one image that can be read, found none: bag: metadata.yaml counts 9 messages of '
        '/camera, but the storage files have none: ' + AGAIN)


@pytest.mark.parametrize('more', [(), ('--against', 'onnxruntime')])
def test_benchmark_measures_what_is_there_and_says_what_is_missing(capfd, more):
    code, errors = run(capfd, 'benchmark', 'm.onnx', '--source', short_bag(), '--frames', '9', *more)
    assert (code, [line for line in errors if 'bag' in line]) == (0, [f'warning: {COUNTS}'])


def test_quantize_says_what_is_missing_in_its_bag(capfd):
    """Also if it fails: these images may be the reason."""
    conv_detector(Path('c.onnx'))
    _, errors = run(
        capfd, 'quantize', 'c.onnx', '--calibration', short_bag(), '--output', 'q.onnx', '--samples', '4')
    assert 'the model detects nothing' in errors[-1]
    assert [line for line in errors if 'metadata.yaml' in line] == [f'warning: {COUNTS}'], errors


def test_the_accuracy_check_says_what_is_missing_in_its_bag(capfd):
    """It reads the bag itself if there was no conversion, such as with an int8 file from the cache."""
    _, errors = run(
        capfd, 'predict', 'm.onnx', short_bag(), '--max-frames', '1', '--calibration', 'bag', '--min-agreement', '0.1')
    assert [line for line in errors if 'metadata.yaml' in line] == [f'warning: {COUNTS}'], errors


def test_play_in_a_loop_says_it_once(capfd, monkeypatch):
    """It begins again, as it would with all messages."""
    pytest.importorskip('rclpy')
    from trt_perception.cli import play as command

    def three_rounds(*arguments):
        yield from (item for _, item in zip(range(15), paced(*arguments)))

    paced = command._paced
    monkeypatch.setattr(command, '_paced', three_rounds)
    code, errors = run(capfd, 'play', short_bag(), '--wait', '0', '--rate', '1000', '--loop')
    assert (code, errors) == (1, [COUNTS])


def test_other_topics_are_missed_in_a_copy_only(capfd):
    """--merge copies all topics."""
    write_bag(Path('bag'), {'/image': greys(4), '/other': greys(3)})

    def edit(information):
        for topic in information['topics_with_message_count']:
            topic['message_count'] += 2 * (topic['topic_metadata']['name'] == '/other')

    edit_metadata(Path('bag'), edit)
    assert annotate(capfd, 'bag', '--topic', '/image') == (0, [], 4)
    assert annotate(capfd, 'bag', '--topic', '/image', '--merge') == (
        1, ['bag: metadata.yaml counts 5 messages of /other, but the storage files have only 3: ' + AGAIN], 4)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_qos_profiles_of_metadata_yaml_do_not_matter(capfd, storage):
    """rosbags leaves out the messages of a topic whose profiles are others in the file."""
    write_bag(Path('bag'), {'/image': greys(4)}, storage, version=8)
    profile = {
        'history': 1, 'depth': 7, 'reliability': 2, 'durability': 2, 'deadline': {'sec': 1, 'nsec': 2},
        'lifespan': {'sec': 1, 'nsec': 2}, 'liveliness': 1, 'liveliness_lease_duration': {'sec': 1, 'nsec': 2},
        'avoid_ros_namespace_conventions': False}
    edit_metadata(Path('bag'), lambda information: information['topics_with_message_count'][0]['topic_metadata'].update(
        offered_qos_profiles=json.dumps([profile])))
    for way in (predict, annotate, play, merge):
        assert way(capfd, 'bag') == (0, [], 4), way.__name__
    found = [message.topic for message in mcap_messages(
        Path('out/bag/annotations/annotations.mcap'), lambda *topic: True, pytest.fail)]
    assert found.count('/image') == 4


# Damaged files


def chunks(count=6):
    return [
        ('/image', IMAGE, 1000 + 10 * number, 1000, image_bytes(grey_image(number, 0, 0)[3], number))
        for number in range(count)]


def with_wrong_crc():
    write_mcap(Path('a.mcap'), chunks())
    content = bytearray(Path('a.mcap').read_bytes())
    content[content.index(chunks()[2][4]) + 100] ^= 255
    Path('a.mcap').write_bytes(content)
    return 'a.mcap'


def first_words(errors, path):
    """The only line, without what is said of saving a part of the file."""
    [line] = errors
    start, found, _ = line.partition('; `mcap recover ' if '; `mcap' in line else '; `zstd -dc ')
    assert not found or line.endswith(' may save a part of it')
    return start.removeprefix(f'{path}: ')


@pytest.mark.parametrize('is_lone', [False, True])
def test_a_damaged_chunk(capfd, is_lone):
    """The same place in the same words; `annotate` reads what is around it, also of a file without metadata.yaml."""
    path = with_wrong_crc()
    if not is_lone:
        write_bag(Path('bag'), {'/image': greys(6)})
        Path(path).replace('bag/bag.mcap')
        path = 'bag'
    codes, says = zip(*[(done[0], first_words(done[1], path)) for done in (
        way(capfd, path) for way in (predict, play, annotate, merge))])
    assert set(codes) == {1} and len(set(says)) == 1, says
    assert says[0].startswith(f'{"the file" if is_lone else "its file bag.mcap"} is damaged at byte ')
    assert says[0].endswith(': the CRC of a chunk is wrong')
    assert annotate(capfd, path)[2] == 4
    with pytest.raises(SourceError, match='the CRC of a chunk is wrong; `mcap recover '):
        read_samples(path, 4)


def test_what_rosbags_does_not_notice(capfd):
    """Its chunks have no CRC, and it reads messages by the index: a wrong length ended the bag without a word."""
    robot_bag(Path('bag'), 'mcap')
    path = Path('bag/bag.mcap')
    content = bytearray(path.read_bytes())
    images = list(mcap_messages(path, lambda topic, kind: kind == IMAGE, pytest.fail))
    place = content.index(images[3].data) - 22 - 9
    content[place:place + 31] = b'\xff' * 31
    path.write_bytes(content)
    code, errors, count = predict(capfd, 'bag')
    assert code == 1 and count < 6
    fault, _, rest = errors[-1].partition('; ')
    assert fault == 'bag: its file bag.mcap is damaged at byte 52: a record is longer than its chunk'
    assert rest.startswith('`mcap recover ') and annotate(capfd, 'bag')[1] == [fault]


def test_a_damaged_index(capfd):
    """All messages are there: it is not said that the files have fewer. `annotate` does not use the index."""
    write_bag(Path('bag'), {'/image': greys(6)})
    content = bytearray(Path('bag/bag.mcap').read_bytes())
    # The times of the first and the last message, in the index of the chunk; behind it they are in the statistics.
    times = struct.pack('<QQ', 1000, 1050)
    place = content.rindex(times, 0, content.rindex(times))
    struct.pack_into('<Q', content, place + 8, 1040)
    Path('bag/bag.mcap').write_bytes(content)
    code, [error], count = predict(capfd, 'bag')
    assert (code, count) == (1, 5) and error == (
        'bag: the index of a file is damaged: it leads to only 5 of 6 messages of /image; `mcap recover bag/bag.mcap '
        '-o NEW.mcap` writes it again')
    assert annotate(capfd, 'bag') == (0, [], 6)


def test_zeros_at_the_end_of_a_file(capfd):
    """As a power failure leaves them: said at once, also of many zeros, and all that is before them is read."""
    write_mcap(Path('a.mcap'), chunks(), None)
    content = Path('a.mcap').read_bytes()
    end = content.index(chunks()[3][4]) + len(chunks()[3][4])
    with Path('a.mcap').open('wb') as file:
        file.write(content[:end])
        file.truncate(2 << 20)
    assert annotate(capfd, 'a.mcap') == (
        1, [f'a.mcap: the file is damaged at byte {end}: it has a zero where a record should begin'], 4)


def test_of_a_file_that_is_cut_off_nothing_can_be_read(capfd):
    """The reason is the cut, not the number of messages."""
    write_bag(Path('bag'), {'/image': greys(6)})
    content = Path('bag/bag.mcap').read_bytes()
    Path('bag/bag.mcap').write_bytes(content[:len(content) // 2])
    code, [error], count = annotate(capfd, 'bag')
    assert (code, count) == (1, 0) and error == (
        f'bag: its file bag.mcap {CUT_OFF}what is before byte 43 was read; no message of /image can be read')
    assert predict(capfd, 'bag')[1][0].startswith(f'bag: its file bag.mcap {CUT_OFF}`mcap recover ')
    assert not list(Path('out').glob('bag*'))


def test_sqlite_that_is_cut_off_is_refused_in_the_same_words(capfd):
    write_bag(Path('bag'), {'/image': greys(20)}, 'sqlite3')
    content = Path('bag/bag.db3').read_bytes()
    Path('bag/bag.db3').write_bytes(content[:len(content) // 2])
    [error] = predict(capfd, 'bag')[1]
    assert 'bag: its file bag.db3 is cut off (' in error and 'sqlite3 bag/bag.db3 .recover' in error
    assert annotate(capfd, 'bag') == merge(capfd, 'bag') == (1, [error], 0)


@pytest.mark.parametrize('storage, recover', [
    ('mcap', '`zstd -dc bag/bag.mcap.zstd > PART.mcap; mcap recover PART.mcap -o NEW.mcap`'),
    ('sqlite3', '`zstd -dc bag/bag.db3.zstd > PART.db3; sqlite3 PART.db3 .recover | sqlite3 NEW.db3`')])
def test_a_compressed_file_that_is_cut_off(capfd, storage, recover):
    """The command is one for this file: it has to be unpacked first."""
    write_bag(Path('bag'), {'/image': [grey_image(0, 1, 1, data=np.random.default_rng(1).integers(
        0, 255, 768, np.uint8)) for _ in range(6)]}, storage, 'file')
    [file] = Path('bag').glob('*.zstd')
    file.write_bytes(file.read_bytes()[:-300])
    code, [error], count = predict(capfd, 'bag')
    assert (code, count) == (1, 0) and error.endswith(f'{recover} may save a part of it')
    assert storage == 'sqlite3' or f'bag: its file bag.mcap.zstd {CUT_OFF}' in error
    [other] = annotate(capfd, 'bag')[1]
    assert other.startswith(error.partition('; what')[0])


def test_an_unpacked_file_is_not_named_by_its_temporary_path(capfd):
    """It is another one each time, and gone when the user reads it."""
    write_bag(Path('bag'), {'/image': greys(6)}, 'sqlite3', 'file')
    sqlite3.connect('other.db3').execute('CREATE TABLE a(b)')
    from trt_perception.sources.decompression import zstd_compressed

    Path('bag/bag.db3.zstd').write_bytes(zstd_compressed(Path('other.db3').read_bytes()))
    [error] = predict(capfd, 'bag')[1]
    assert 'Cannot open database bag.db3.zstd or database missing tables' in error and '/tmp' not in error
    assert annotate(capfd, 'bag')[1] == [error]


def test_messages_that_are_not_in_the_order_of_time(capfd):
    """Without an index rosbags cannot sort them."""
    write_mcap(Path('a.mcap'), [chunks()[number] for number in (0, 2, 1, 3)], per_chunk=1)
    code, [error], _ = predict(capfd, 'a.mcap')
    assert code == 1 and error == (
        'a.mcap: the bag cannot be read: its messages are not in the order of time, and the file has no index: `mcap '
        'recover a.mcap -o NEW.mcap` writes one with an index')
    assert annotate(capfd, 'a.mcap') == (0, [], 4)


@pytest.mark.parametrize('size', [0, 2, 6, 11])
def test_play_leaves_out_what_is_no_message(capfd, size):
    """As the other commands; the stamp of such a message cannot be written or read."""
    messages = [(*message[:4], message[4][:size] if number == 2 else message[4])
                for number, message in enumerate(chunks(4))]
    write_mcap(Path('a.mcap'), messages)
    done = predict(capfd, 'a.mcap')
    assert done[0] == 1 and done[2] == 3
    assert done[1][0].startswith('a.mcap: frame 2 of /image: not a sensor_msgs/msg/Image')
    assert play(capfd, 'a.mcap') == annotate(capfd, 'a.mcap') == done
    assert [json.loads(line)['index'] for line in Path('sent.jsonl').read_text().splitlines()] == [0, 1, 3]


def test_a_damaged_length_is_not_a_lack_of_memory(monkeypatch):
    """rosbags asks for as many bytes as a damaged length says."""
    with_wrong_crc()
    bag = BagReader(Path('a.mcap'), cut_off=True)
    with pytest.raises(SourceError, match='the CRC of a chunk is wrong'), bag.opened():
        raise MemoryError
    write_mcap(Path('b.mcap'), chunks())
    with pytest.raises(MemoryError), BagReader(Path('b.mcap')).opened():
        raise MemoryError
