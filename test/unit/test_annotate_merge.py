# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`annotate --merge`: the bag of the results with a copy of the recording, byte for byte, in the order of time."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
import yaml
from support.bags import IMAGE, edit_metadata
from support.mcap_file import image_bytes, write_mcap
from support.robot_bag import PROFILES, robot_bag
from support.subprocesses import without_progress
from support.tiny_models import color_detector

from trt_perception.cli.main import main
from trt_perception.sources.bag_copy import copied
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.mcap_records import mcap_messages

RESULTS = {'/front/detections', '/front/image_annotations'}
MERGED = Path('out/bag/annotations')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')


def run(capfd, *arguments):
    """(exit code, lines of stdout, lines of stderr)."""
    code = main(['annotate', *map(str, arguments), '--model', 'm.onnx', '--score', '0.4', '--output', 'out', '--merge'])
    out, err = capfd.readouterr()
    return code, out.splitlines(), without_progress(err).splitlines()


def by_rosbags(bag):
    """(topic, type, time, bytes) of all messages, as rosbags reads them with the index, and its connections."""
    from rosbags import rosbag2

    with rosbag2.Reader(bag) as reader:
        connections = {c.topic: (c.msgtype, c.msgdef.data, c.digest, c.msgcount, c.ext) for c in reader.connections}
        return [(c.topic, c.msgtype, time, bytes(data)) for c, time, data in reader.messages()], connections


def in_file(path):
    """(topic, log time, publish time, bytes) in the order of a file."""
    damage = []
    found = [(m.topic, m.log_ns, m.publish_ns, m.data) for m in mcap_messages(path, lambda *topic: True, damage.append)]
    assert damage == []
    return found


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compress', ['', 'message', 'file', 'storage'])
@pytest.mark.parametrize('version', [8, 9])
def test_all_is_there_and_the_results_too(capfd, storage, compress, version):
    if (storage, compress) == ('sqlite3', 'storage'):
        pytest.skip('SQLite has no chunks')
    robot_bag(Path('bag'), storage, compress, version)
    original, before = by_rosbags(Path('bag'))
    code, _, errors = run(capfd, 'bag')
    assert (code, errors) == (0, [])
    merged, after = by_rosbags(MERGED)
    assert sorted(entry for entry in merged if entry[0] not in RESULTS) == sorted(original)
    assert {topic: entry for topic, entry in after.items() if topic not in RESULTS} == before
    assert before['/imu'][4].offered_qos_profiles == PROFILES and len(before) == 4
    # The texts of QoS too, in metadata.yaml and in the channels.
    texts = [{
        topic['topic_metadata']['name']: topic['topic_metadata']['offered_qos_profiles']
        for topic in yaml.safe_load(Path(bag, 'metadata.yaml').read_text())['rosbag2_bagfile_information'][
            'topics_with_message_count']} for bag in ('bag', MERGED)]
    assert texts[0] == {topic: texts[1][topic] for topic in texts[0]}
    # In the order of time, each result behind its image.
    found = in_file(MERGED / 'annotations.mcap')
    assert [entry[1] for entry in found] == sorted(entry[1] for entry in found)
    lines = [json.loads(line) for line in Path('out/bag/results.jsonl').read_text().splitlines()]
    names = [entry[0] for entry in found]
    places = [place for place, name in enumerate(names) if name == '/front/image_raw']
    assert len(places) == len(lines) == 6
    for place, line in zip(places, lines):
        assert names[place + 1:place + 3] == ['/front/detections', '/front/image_annotations']
        assert {entry[1] for entry in found[place:place + 3]} == {line['log_ns']}
    # Compressed as the recording is.
    content = (MERGED / 'annotations.mcap').read_bytes()
    assert (b'zstd' in content[:len(content) // 2]) == bool(compress)


@pytest.mark.parametrize('version', [8, 9])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_file_without_metadata(capfd, storage, version):
    """The QoS profiles and the definitions that are in the file."""
    robot_bag(Path('bag'), storage, version=version)
    original, before = by_rosbags(Path('bag'))
    [file] = [path for path in Path('bag').iterdir() if path.name != 'metadata.yaml']
    lone = file.rename(f'lone{file.suffix}')
    assert run(capfd, lone)[0] == 0
    merged, after = by_rosbags(Path('out/lone/annotations'))
    assert sorted(entry for entry in merged if entry[0] not in RESULTS) == sorted(original)
    for topic, (kind, definition, _, count, ext) in before.items():
        assert (*after[topic][:2], *after[topic][3:]) == (kind, definition, count, ext)


def test_it_is_one_bag_for_the_reader_of_foxglove(capfd):
    """The package mcap (Foxglove, MIT), which checks the CRCs, with the index of the file and without it."""
    reader = pytest.importorskip('mcap.reader')
    decoder = pytest.importorskip('mcap_ros2.decoder')
    robot_bag(Path('bag'), 'mcap', 'storage')
    assert run(capfd, 'bag')[0] == 0
    for make in (reader.make_reader, lambda *a, **k: reader.NonSeekingReader(*a, validate_crcs=True, **k)):
        with (MERGED / 'annotations.mcap').open('rb') as file:
            messages = list(make(file, decoder_factories=[decoder.DecoderFactory()]).iter_decoded_messages())
        counts = {}
        for _, channel, _, _ in messages:
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
        assert counts == {
            '/front/image_raw': 6, '/imu': 60, '/chatter': 3, '/scan': 12, '/front/detections': 6,
            '/front/image_annotations': 6}
        times = [message.log_time for _, _, message, _ in messages]
        assert times == sorted(times)
        assert [fields.data for _, channel, _, fields in messages if channel.topic == '/chatter'] == ['0', '1', '2']
    with (MERGED / 'annotations.mcap').open('rb') as file:
        summary = reader.make_reader(file).get_summary()
    assert summary.statistics.message_count == len(messages) == sum(summary.statistics.channel_message_counts.values())
    assert (summary.statistics.message_start_time, summary.statistics.message_end_time) == (times[0], times[-1])


def test_publish_times_sequences_and_several_files(capfd):
    """As other recorders write them: what the two times, the number and the order are in the files."""
    messages = [
        (topic, IMAGE, 1000 + 10 * number, 990 + number, image_bytes({
            'height': 16, 'width': 16, 'encoding': 'mono8', 'is_bigendian': 0, 'step': 16, 'data': pixels}, 5))
        for number, pixels in enumerate(_grey()) for topic in ('/image', '/other/depth')]
    write_mcap(Path('a.mcap'), messages, 'lz4')
    assert run(capfd, 'a.mcap', '--topic', '/image')[0] == 0
    found = in_file(Path('out/a/annotations/annotations.mcap'))
    assert [entry for entry in found if entry[0] in ('/image', '/other/depth')] == [
        (topic, log, publish, data) for topic, _, log, publish, data in messages]
    assert [entry[1:3] for entry in found if entry[0] == '/image/detections'] == [
        (1000 + 10 * number, 990 + number) for number in range(5)]
    # Split: the second file goes on behind the first one.
    robot_bag(Path('bag'), 'mcap')
    robot_bag(Path('second'), 'mcap', start_ns=2 * 10**18)
    shutil.copy('second/second.mcap', 'bag')
    edit_metadata(Path('bag'), lambda info: info['relative_file_paths'].append('second.mcap'))
    assert run(capfd, 'bag')[0] == 0
    found = in_file(MERGED / 'annotations.mcap')
    originals = in_file(Path('bag/bag.mcap')) + in_file(Path('bag/second.mcap'))
    assert [entry for entry in found if entry[0] not in RESULTS] == originals and len(found) == len(originals) + 24


def test_names_that_the_recording_has_too(capfd):
    """Then the results of all cameras have other names."""
    messages = [
        (topic, IMAGE, 1000 + number, 1000, image_bytes({
            'height': 16, 'width': 16, 'encoding': 'mono8', 'is_bigendian': 0, 'step': 16, 'data': pixels}, 5))
        for number, pixels in enumerate(_grey()) for topic in ('/a/image', '/b/image', '/a/detections')]
    write_mcap(Path('a.mcap'), messages)
    assert run(capfd, 'a.mcap', '--topic', '/a/image', '--topic', '/b/image', '--no-image-annotations')[0] == 0
    found = in_file(Path('out/a/annotations/annotations.mcap'))
    assert {entry[0] for entry in found} == {
        '/a/image', '/b/image', '/a/detections', '/annotate/a/detections', '/annotate/b/detections'}
    assert sum(entry[0] == '/a/detections' for entry in found) == 5


@pytest.mark.parametrize('part', [0.5, 0.9])
def test_a_recording_that_is_cut_off(capfd, part):
    """As far as it goes, and the cut is one damaged part, although two readers find it."""
    robot_bag(Path('bag'), 'mcap', size=(640, 480))
    content = Path('bag/bag.mcap').read_bytes()
    Path('bag/bag.mcap').write_bytes(content[:int(len(content) * part)])
    errors = []
    expected = [(m.topic.channel.topic, m.log_ns, m.data) for m in copied(
        BagReader(Path('bag'), cut_off=True), errors.append)]
    code, [line], shown = run(capfd, 'bag')
    assert code == 1 and len(shown) == len(errors) == 1 and ' 1 damaged parts ' in line
    found = in_file(MERGED / 'annotations.mcap')
    assert [(topic, log, data) for topic, log, _, data in found if topic not in RESULTS] == expected
    images = sum(topic == '/front/image_raw' for topic, *_ in expected)
    assert 0 < images < 6 and f'bag: {images} images' in line
    assert sum(topic == '/front/detections' for topic, *_ in found) == images


def test_damage_of_another_topic_alone(capfd):
    """Only the copy finds it: it is counted and named too, and what is left is there."""
    robot_bag(Path('bag'), 'mcap', 'message')
    path = Path('bag/bag.mcap')
    content = bytearray(path.read_bytes())
    place = next(
        content.index(m.data) for m in mcap_messages(path, lambda topic, kind: topic == '/scan', [].append))
    content[place:place + 4] = b'none'
    path.write_bytes(content)
    code, [line], [error] = run(capfd, 'bag')
    assert code == 1 and ' 1 damaged parts ' in line and 'has a message of /scan that cannot be read' in error
    found = [entry[0] for entry in in_file(MERGED / 'annotations.mcap')]
    assert (found.count('/scan'), found.count('/imu'), found.count('/front/detections')) == (11, 60, 6)


def test_damage_is_not_said_again_as_missing_messages(capfd):
    """Whichever of the two readers is faster."""
    robot_bag(Path('bag'), 'mcap', 'message')
    path = Path('bag/bag.mcap')
    content = bytearray(path.read_bytes())
    last = {message.topic: message.data for message in mcap_messages(path, lambda topic, kind: True, [].append)}
    for topic in ('/front/image_raw', '/chatter'):
        place = content.rindex(last[topic])
        content[place:place + 4] = b'none'
    path.write_bytes(content)
    code, [line], errors = run(capfd, 'bag')
    assert code == 1 and ' 2 damaged parts ' in line and len(errors) == 2
    assert all('cannot be read' in error and ' counts ' not in error for error in errors)


@pytest.mark.parametrize('part', [0.3, 0.6, 0.9])
def test_sqlite_with_damage_inside(capfd, part):
    """Wherever SQLite stops: what is in the copy is as it was, and each image that was read has its result."""
    robot_bag(Path('bag'), 'sqlite3', size=(320, 240))
    original, _ = by_rosbags(Path('bag'))
    content = bytearray(Path('bag/bag.db3').read_bytes())
    start = int(len(content) * part) // 4096 * 4096
    content[start:start + 4096] = b'\xff' * 4096
    Path('bag/bag.db3').write_bytes(content)
    code, [line], [error] = run(capfd, 'bag')
    assert code == 1 and ' 1 damaged parts ' in line and 'database disk image is malformed' in error
    found = in_file(MERGED / 'annotations.mcap')
    copies = [(topic, log, data) for topic, log, _, data in found if topic not in RESULTS]
    intact = {(topic, time, data) for topic, _, time, data in original}
    # An image may be damaged: its bytes are copied as they are.
    assert {copy for copy in copies if copy[0] != '/front/image_raw'} <= intact
    results = len(Path('out/bag/results.jsonl').read_text().splitlines())
    assert sum(topic == '/front/detections' for topic, *_ in found) == results > 0


def test_it_needs_the_bag_and_is_another_run(capfd):
    robot_bag(Path('bag'), 'mcap')
    code, _, [error] = run(capfd, 'bag', '--formats', 'json')
    assert code == 1 and 'add bag to --formats' in error
    assert run(capfd, 'bag')[1][0].startswith('bag: 6 images')
    assert run(capfd, 'bag')[1][0].startswith('bag: already annotated, 6 images')
    main(['annotate', 'bag', '--model', 'm.onnx', '--score', '0.4', '--output', 'out'])
    assert capfd.readouterr().out.startswith('bag: 6 images')
    assert {entry[0] for entry in in_file(MERGED / 'annotations.mcap')} == RESULTS


def _grey():
    import numpy as np

    return [np.full(256, 40 * number, np.uint8) for number in range(5)]
