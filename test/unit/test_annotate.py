# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`annotate`: every image of a bag in order, results as bag, JSON lines and COCO, and what cannot be read."""

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
import numpy as np
from support.bags import IMAGE, edit_metadata, write_bag
from support.mcap_file import image_bytes, write_mcap
from support.subprocesses import without_progress
from support.tiny_models import color_classifier, color_detector, dynamic_color_detector

from trt_perception.cli.main import main

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
COCO = 'out/bag/coco/annotations/instances_default.json'
START = 1_700_000_000 * 10**9
SIZE = (160, 120)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    return tmp_path


def photo(name, number=0):
    """A photo, shifted so that each number gives other results."""
    return np.roll(cv2.resize(cv2.imread(str(PHOTOS / f'{name}.jpg')), SIZE), 7 * number, axis=1)


def raw(name, number):
    return {'height': SIZE[1], 'width': SIZE[0], 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 3 * SIZE[0],
            'data': photo(name, number).reshape(-1)}


def jpeg(name, number):
    return {'format': 'bgr8; jpeg compressed bgr8', 'data': cv2.imencode('.jpg', photo(name, number))[1].reshape(-1)}


def images(name, count, offset_ns=0):
    """Messages whose time of recording is 3 ms after the stamp."""
    for number in range(count):
        stamp = START + offset_ns + number * 40_000_000
        yield IMAGE, stamp + 3_000_000, stamp, raw(name, number)


def two_cameras(path, **options):
    write_bag(path, {
        '/front/image_raw': list(images('coffee', 5)), '/back/image_raw': list(images('rocket', 4, 11_000_000)),
        '/chatter': None}, **options)


def run(capfd, *arguments):
    """(exit code, lines of stdout, lines of stderr)."""
    code = main(['annotate', *map(str, arguments), '--model', 'm.onnx', '--score', '0.4'])
    out, err = capfd.readouterr()
    return code, out.splitlines(), without_progress(err).splitlines()


def lines(path):
    return [json.loads(line) for line in Path(path, 'results.jsonl').read_text().splitlines()]


def predicted(capfd, source, topic):
    """What `predict` finds in a topic."""
    assert main(['predict', 'm.onnx', str(source), '--topic', topic, '--score', '0.4', '--json', '-']) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def written(bag):
    """(time of recording, message) of a bag by topic, decoded with the definitions that are in its file."""
    from rosbags import rosbag2
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    found = {}
    with rosbag2.Reader(bag) as reader:
        for connection, time_ns, data in reader.messages():
            store = get_typestore(Stores.EMPTY)
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
            found.setdefault(connection.topic, []).append((time_ns, store.deserialize_cdr(data, connection.msgtype)))
        custom = reader.storage.metadata.custom
    return found, custom


def digests(path):
    return {
        file: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(Path(path).rglob('*')) if file.is_file()}


# What is written


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_every_image_of_every_topic_in_order(capfd, storage):
    two_cameras(Path('bag'), storage=storage)
    before = digests('bag')
    code, out, errors = run(capfd, 'bag', '--output', 'out')
    assert (code, errors) == (0, [])
    assert out[0].startswith('bag: 9 images, ') and out[0].endswith('-> out/bag')
    assert digests('bag') == before
    for topic, count in (('/front/image_raw', 5), ('/back/image_raw', 4)):
        found = [line for line in lines('out/bag') if line['topic'] == topic]
        expected = predicted(capfd, 'bag', topic)
        assert len(found) == len(expected) == count
        for line, other in zip(found, expected):
            assert line['detections'] == other['detections'] and len(line['detections']) > 3
            assert (line['frame'], line['stamp_ns'], line['width']) == (other['frame'], other['stamp_ns'], SIZE[0])
            assert line['log_ns'] == line['stamp_ns'] + 3_000_000
            assert (line['frame_id'], line['source']) == ('camera', 'bag')
    # The shifted photos are different images.
    assert len({json.dumps(line['detections']) for line in lines('out/bag')}) == 9


def test_the_bag_has_the_results_at_the_times_of_the_images(capfd):
    two_cameras(Path('bag'))
    assert run(capfd, 'bag', '--output', 'out')[0] == 0
    found, custom = written(Path('out/bag/annotations'))
    assert set(found) == {
        '/front/detections', '/back/detections', '/front/image_annotations', '/back/image_annotations'}
    for camera in ('front', 'back'):
        expected = [line for line in lines('out/bag') if line['topic'] == f'/{camera}/image_raw']
        for line, (time_ns, message), (drawn_ns, drawn) in zip(
                expected, found[f'/{camera}/detections'], found[f'/{camera}/image_annotations'], strict=True):
            assert time_ns == drawn_ns == line['log_ns']
            stamp = message.header.stamp
            assert (stamp.sec * 10**9 + stamp.nanosec, message.header.frame_id) == (line['stamp_ns'], 'camera')
            assert (drawn.timestamp.sec, drawn.timestamp.nanosec) == (stamp.sec, stamp.nanosec)
            for entry, box, outline, text in zip(
                    line['detections'], message.detections, drawn.points, drawn.texts, strict=True):
                centre, left, top = box.bbox.center.position, *entry['bbox'][:2]
                assert [centre.x - box.bbox.size_x / 2, centre.y - box.bbox.size_y / 2] == pytest.approx(
                    [left, top], abs=1e-3)
                assert [box.bbox.size_x, box.bbox.size_y] == pytest.approx(
                    [entry['bbox'][2] - left, entry['bbox'][3] - top], abs=2e-3)
                [hypothesis] = box.results
                assert hypothesis.hypothesis.class_id == entry['class_id']
                assert hypothesis.hypothesis.score == pytest.approx(entry['score'], abs=1e-6)
                assert hypothesis.pose.pose.orientation.w == 1
                assert [(point.x, point.y) for point in outline.points] == [
                    pytest.approx(corner, abs=1e-3) for corner in (
                        (left, top), (entry['bbox'][2], top), tuple(entry['bbox'][2:]), (left, entry['bbox'][3]))]
                assert outline.type == 2  # LINE_LOOP
                assert text.text == f'{entry["class_id"]} {entry["score"]:.2f}'
    provenance = json.loads(custom['trt_perception'])
    record = json.loads(Path('out/bag/annotation.json').read_text())
    assert provenance['settings']['model_sha256'] == hashlib.sha256(Path('m.onnx').read_bytes()).hexdigest()
    assert provenance['backend']['precision_effective'] == 'fp32' and 'backend_version' in provenance['backend']
    assert provenance['run'] == record['run'] == lines('out/bag')[0]['run']
    assert record['counts'] == {
        'images': 9, 'objects': sum(len(line['detections']) for line in lines('out/bag')), 'bad': 0, 'damaged': 0,
        'places': 0}


def test_ros_reads_the_messages(capfd):
    """The hash of the type is that of ROS's own package, and rclpy reads the bytes."""
    serialization = pytest.importorskip('rclpy.serialization')
    from ament_index_python.packages import get_package_share_directory
    from rosbags import rosbag2
    from vision_msgs.msg import Detection2DArray

    two_cameras(Path('bag'))
    run(capfd, 'bag', '--output', 'out')
    with rosbag2.Reader(Path('out/bag/annotations')) as reader:
        connections = [c for c in reader.connections if c.topic == '/front/detections']
        message = serialization.deserialize_message(next(reader.messages(connections))[2], Detection2DArray)
    expected = next(line for line in lines('out/bag') if line['topic'] == '/front/image_raw')
    assert [d.results[0].hypothesis.class_id for d in message.detections] == [
        entry['class_id'] for entry in expected['detections']]
    share = Path(get_package_share_directory('vision_msgs'), 'msg', 'Detection2DArray.json')
    if share.is_file():
        hashes = {entry['type_name']: entry['hash_string'] for entry in json.loads(share.read_text())['type_hashes']}
        assert connections[0].digest == hashes[connections[0].msgtype]


def test_the_reader_of_foxglove_reads_the_messages(capfd):
    """The package mcap (Foxglove, MIT), with the schemas of the file."""
    reader = pytest.importorskip('mcap.reader')
    decoder = pytest.importorskip('mcap_ros2.decoder')
    write_mcap(Path('a.mcap'), [
        ('/image', IMAGE, START + number, START - 5 + number, image_bytes(raw('coffee', number), START))
        for number in range(3)])
    assert run(capfd, 'a.mcap', '--output', 'out')[0] == 0
    with Path('out/a/annotations/annotations.mcap').open('rb') as file:
        found = reader.make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        messages = list(found.iter_decoded_messages())
        assert found.get_summary().statistics.message_count == len(messages) == 6
    expected = lines('out/a')
    for name in ('detections', 'image_annotations'):
        of_topic = [(message, fields) for _, channel, message, fields in messages if channel.topic == f'/image/{name}']
        assert [(message.log_time, message.publish_time) for message, _ in of_topic] == [
            (line['log_ns'], line['publish_ns']) for line in expected]
        counts = [len(fields.detections if name == 'detections' else fields.texts) for _, fields in of_topic]
        assert counts == [len(line['detections']) for line in expected]
    assert messages[0][3].detections[0].results[0].hypothesis.class_id == expected[0]['detections'][0]['class_id']


def test_times_of_publishing_are_kept(capfd):
    """Of the image and of its results; and the index of the file still finds every message."""
    from trt_perception.sources.mcap_records import mcap_messages

    write_mcap(Path('a.mcap'), [
        ('/image', IMAGE, START + number * 10**7, START + number * 10**7 - 2_000_000 - number,
         image_bytes(raw('coffee', number), START)) for number in range(4)], 'lz4')
    assert run(capfd, 'a.mcap', '--output', 'out')[0] == 0
    damage = []
    found = [
        (message.log_ns, message.publish_ns)
        for message in mcap_messages(Path('out/a/annotations/annotations.mcap'), lambda *topic: True, damage.append)
        if message.topic == '/image/detections']
    assert found == [(START + n * 10**7, START + n * 10**7 - 2_000_000 - n) for n in range(4)] and damage == []
    assert [line['publish_ns'] for line in lines('out/a')] == [publish for _, publish in found]
    assert [time for time, _ in written(Path('out/a/annotations'))[0]['/image/detections']] == [log for log, _ in found]


@pytest.mark.parametrize('options', [
    {'compress': 'message'}, {'compress': 'file'}, {'storage': 'sqlite3', 'compress': 'message'}])
def test_forms_of_bags(capfd, options):
    """Raw and JPEG topics, each way to compress: the same results as of the plain bag."""
    topics = {
        '/front/image_raw': list(images('coffee', 3)),
        '/back/image_raw/compressed': [
            (COMPRESSED, START + n, START + n, jpeg('rocket', n)) for n in range(3)]}
    write_bag(Path('plain'), topics)
    write_bag(Path('bag'), topics, **options)
    assert run(capfd, 'plain', 'bag', '--output', 'out', '--formats', 'json')[0] == 0
    by_topic = [
        sorted((line['topic'], line['frame'], json.dumps(line['detections'])) for line in lines(f'out/{name}'))
        for name in ('plain', 'bag')]
    assert by_topic[0] == by_topic[1] and len(by_topic[0]) == 6


def test_topics(capfd):
    """Of an image in two forms the raw one; --topic chooses; a wrong one is named."""
    both = {
        '/front/image_raw': list(images('coffee', 2)),
        '/front/image_raw/compressed': [(COMPRESSED, START, START, jpeg('coffee', 0))],
        '/back/image_raw': list(images('rocket', 1))}
    write_bag(Path('bag'), both)
    assert run(capfd, 'bag', '--output', 'a', '--formats', 'json')[0] == 0
    assert sorted(line['topic'] for line in lines('a/bag')) == ['/back/image_raw'] + ['/front/image_raw'] * 2
    assert run(capfd, 'bag', '--output', 'b', '--formats', 'json', '--topic', 'front/image_raw/compressed')[0] == 0
    assert [line['topic'] for line in lines('b/bag')] == ['/front/image_raw/compressed']
    code, out, [error] = run(capfd, 'bag', '--output', 'c', '--topic', '/side')
    assert code == 1 and "no image topic '/side' in this bag" in error and out == ['bag: not annotated']
    code, _, [error] = run(
        capfd, 'bag', '--output', 'd', '--topic', '/front/image_raw', '--topic', '/front/image_raw/compressed')
    assert code == 1 and error.endswith(
        '/front/image_raw is there in several forms: choose one by its name (--topic): /front/image_raw, '
        '/front/image_raw/compressed')


def test_a_classifier(capfd, folder):
    color_classifier(folder / 'm.onnx')
    two_cameras(Path('bag'))
    assert run(capfd, 'bag', '--output', 'out')[0] == 0
    found, _ = written(Path('out/bag/annotations'))
    expected = [line for line in lines('out/bag') if line['topic'] == '/front/image_raw']
    for line, (time_ns, message) in zip(expected, found['/front/classifications'], strict=True):
        assert time_ns == line['log_ns']
        assert [(h.class_id, pytest.approx(h.score, abs=1e-6)) for h in message.results] == [
            (entry['class_id'], entry['score']) for entry in line['classifications']]
    assert len(found['/front/image_annotations'][0][1].texts) == 3
    # The first line is the note that --score has no effect.
    code, _, [_, error] = run(capfd, 'bag', '--output', 'other', '--tracking')
    assert code == 1 and '--tracking needs a detector' in error


def test_ids_of_each_camera(capfd):
    """Those of `predict --tracking` of each topic: in the JSON lines, the bag and the texts of Foxglove."""
    moving = []
    for number in range(12):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[8:16, 8 * (number // 3):8 * (number // 3) + 8] = 0, 0, 255
        pixels[40:48, 40:48] = 255, 0, 0
        moving.append((IMAGE, START + number * 10**8, START + number * 10**8, {
            'height': 64, 'width': 64, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 192, 'data': pixels.reshape(-1)}))
    write_bag(Path('bag'), {'/front/image_raw': moving, '/back/image_raw': moving[::2]})
    assert run(capfd, 'bag', '--output', 'out', '--tracking')[0] == 0
    found, _ = written(Path('out/bag/annotations'))
    for camera in ('front', 'back'):
        topic = f'/{camera}/image_raw'
        main(['predict', 'm.onnx', 'bag', '--topic', topic, '--score', '0.4', '--tracking', '--json', '-'])
        expected = [json.loads(line)['detections'] for line in capfd.readouterr().out.splitlines()]
        assert {entry['id'] for objects in expected for entry in objects} >= {'1', '2', ''}
        assert [line['detections'] for line in lines('out/bag') if line['topic'] == topic] == expected
        assert [[box.id for box in message.detections] for _, message in found[f'/{camera}/detections']] == [
            [entry['id'] for entry in objects] for objects in expected]
        texts = [[text.text for text in message.texts] for _, message in found[f'/{camera}/image_annotations']]
        assert texts == [
            [f"{'#' if entry['id'] else ''}{entry['id']} {entry['class_id']} {entry['score']:.2f}".strip()
             for entry in objects] for objects in expected]
    # With other settings it is another run.
    assert run(capfd, 'bag', '--output', 'out')[1][0].startswith('bag: 18 images')


def test_coco(capfd):
    pycocotools = pytest.importorskip('pycocotools.coco')
    two_cameras(Path('bag'))
    assert run(capfd, 'bag', '--output', 'out', '--formats', 'json,coco', '--coco-every', '2')[0] == 0
    coco = pycocotools.COCO(COCO)
    expected = {(line['topic'], line['frame']): line for line in lines('out/bag') if line['frame'] % 2 == 0}
    assert len(coco.imgs) == len(expected) == 5
    for number, image in coco.imgs.items():
        frame = int(image['file_name'][-10:-4])
        line = expected[image['topic'], frame]
        picture = cv2.imread(f'out/bag/coco/images/{image["file_name"]}')
        original = photo('coffee' if 'front' in image['topic'] else 'rocket', frame)
        assert np.abs(picture.astype(int) - original).mean() < 4
        boxes = [
            (coco.cats[o['category_id']]['name'], [*o['bbox'][:2], o['bbox'][0] + o['bbox'][2],
                                                   o['bbox'][1] + o['bbox'][3]])
            for o in coco.loadAnns(coco.getAnnIds([number]))]
        assert boxes == [(entry['class_id'], pytest.approx(entry['bbox'], abs=2e-3)) for entry in line['detections']]
    assert sorted(path.name for path in Path('out/bag/coco').iterdir()) == ['annotations', 'images']
    assert json.loads(Path(COCO).read_text())['info']['settings']['precision'] == 'fp32'


def test_coco_takes_what_is_worth_labelling(capfd):
    two_cameras(Path('bag'))
    assert run(
        capfd, 'bag', '--output', 'out', '--formats', 'json,coco', '--coco-every', '0.1s', '--coco-classes', 'blue',
        '--coco-below-score', '0.5', '--coco-unlike', '6', '--coco-most', '2')[0] == 0
    coco = json.loads(Path(COCO).read_text())
    assert 1 <= len(coco['images']) <= 2
    for image in coco['images']:
        objects = [entry for entry in coco['annotations'] if entry['image_id'] == image['id']]
        assert any(entry['category_id'] == 3 for entry in objects) and min(o['score'] for o in objects) < 0.5
    assert coco['info']['settings']['selection'] == {
        'every': 1, 'seconds': 0.1, 'below_score': 0.5, 'classes': [2], 'distance': 6, 'most': 2}
    code, _, [error] = run(capfd, 'bag', '--output', 'x', '--formats', 'coco', '--coco-classes', 'blau')
    assert code == 1 and "did you mean 'blue'?" in error
    with pytest.raises(SystemExit):
        run(capfd, 'bag', '--output', 'x', '--coco-every', '0s')
    assert 'expected a number of images, such as 30, or of seconds, such as 2s' in capfd.readouterr().err


def test_parquet(capfd):
    """As pyarrow, DuckDB and pandas read it."""
    parquet = pytest.importorskip('pyarrow.parquet')
    two_cameras(Path('bag'))
    assert run(capfd, 'bag', '--output', 'out', '--formats', 'json,parquet')[0] == 0
    expected = [
        (line['stamp_ns'], line['log_ns'], line['topic'], line['frame'], entry['class_id'], entry['class_index'],
         pytest.approx(entry['score'], abs=1e-6), *(pytest.approx(value, abs=1e-3) for value in entry['bbox']), None)
        for line in lines('out/bag') for entry in line['detections']]
    table = parquet.read_table('out/bag/results.parquet')
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    provenance = json.loads(table.schema.metadata[b'trt_perception'])
    assert provenance['run'] == lines('out/bag')[0]['run']
    counts = {}
    for row in expected:
        counts[row[2], row[4]] = counts.get((row[2], row[4]), 0) + 1
    duckdb = pytest.importorskip('duckdb')
    found = duckdb.sql("select topic, class_name, count(*) from 'out/bag/results.parquet' group by all").fetchall()
    assert {(topic, name): count for topic, name, count in found} == counts
    frame = pytest.importorskip('pandas').read_parquet('out/bag/results.parquet')
    assert frame.groupby(['topic', 'class_name'], observed=True).size().to_dict() == counts


def test_parquet_without_pyarrow_is_one_line(capfd):
    if find_spec('pyarrow'):
        pytest.skip('pyarrow is installed')
    two_cameras(Path('bag'))
    code, out, [error] = run(capfd, 'bag', '--output', 'out', '--formats', 'parquet')
    assert code == 1 and "the Python package 'pyarrow' is not installed" in error and 'pip install' in error
    assert out == [] and [path.name for path in Path('out').iterdir()] == ['.annotate.lock']


# What cannot be read


def test_a_bad_message_is_named_and_counted(capfd):
    messages = list(images('coffee', 4))
    messages[1][3]['encoding'] = 'unknown'
    messages[2][3]['data'] = messages[2][3]['data'][:100]
    write_bag(Path('bag'), {'/image': messages})
    code, [line], errors = run(capfd, 'bag', '--output', 'out')
    assert code == 1 and ' 2 bad messages ' in line and line.startswith('bag: 2 images, ')
    assert [error.partition(' of ')[0] for error in errors] == [
        'trt_perception: bag: frame 1', 'trt_perception: bag: frame 2']
    assert [entry['frame'] for entry in lines('out/bag')] == [0, 3]
    record = json.loads(Path('out/bag/annotation.json').read_text())
    assert len(record['problems']) == record['counts']['bad'] == 2
    # It is not done again, and the exit code still says that it is not complete.
    code, [line], errors = run(capfd, 'bag', '--output', 'out')
    assert code == 1 and errors == [] and line.startswith('bag: already annotated, 2 images, ')


def test_many_bad_messages_are_counted(capfd):
    messages = list(images('coffee', 1)) * 30
    for message in messages:
        message[3]['encoding'] = 'unknown'
    write_bag(Path('bag'), {'/image': messages})
    code, [line], errors = run(capfd, 'bag', '--output', 'out')
    assert code == 1 and ' 30 bad messages ' in line
    assert len(errors) == 21 and errors[-1] == 'trt_perception: and 10 more of this bag'


@pytest.mark.parametrize('with_folder', [True, False])
def test_a_bag_that_is_cut_off(capfd, with_folder):
    write_bag(Path('bag'), {'/image': list(images('coffee', 60))})
    file = Path('bag/bag.mcap')
    content = file.read_bytes()
    file.write_bytes(content[:len(content) * 2 // 3])
    if not with_folder:
        Path('bag/metadata.yaml').unlink()
    code, [line], [error] = run(capfd, 'bag' if with_folder else file, '--output', 'out')
    assert code == 1 and ' is cut off' in error and ' 1 damaged parts ' in line
    # The storage of rosbags has chunks of 1 MB; an image has 58 kB.
    assert [entry['frame'] for entry in lines('out/bag')] == list(range(38))
    assert len(written(Path('out/bag/annotations'))[0]['/image/detections']) == 38


def test_a_bag_of_which_nothing_can_be_read_is_not_finished(capfd):
    write_bag(Path('bag'), {'/image': list(images('coffee', 3))}, 'sqlite3')
    file = Path('bag/bag.db3')
    content = file.read_bytes()
    file.write_bytes(content[:len(content) // 2])
    code, [line], [error] = run(capfd, 'bag', '--output', 'out')
    assert (code, line) == (1, 'bag: not annotated') and 'recover' in error
    assert [path.name for path in Path('out').iterdir()] == ['.annotate.lock']
    file.write_bytes(content)
    assert run(capfd, 'bag', '--output', 'out')[0] == 0


def test_a_bag_that_cannot_be_read_does_not_end_the_run(capfd):
    two_cameras(Path('good'))
    Path('bad.mcap').write_bytes(b'nothing')
    code, out, errors = run(capfd, 'missing', 'bad.mcap', 'good', '--output', 'out')
    assert code == 1
    assert [line.partition(':')[0] for line in out] == ['missing', 'bad.mcap', 'good']
    assert len(errors) == 2 and 'no such file' in errors[0] and 'not an MCAP file' in errors[1]
    assert len(lines('out/good')) == 9


# Places


def test_outputs_never_replace_inputs(capfd):
    two_cameras(Path('bag'))
    before = digests('bag')
    for output in ('bag', 'bag/results', 'bag/../bag'):
        code, _, [error] = run(capfd, 'bag', '--output', output)
        assert code == 1 and '--output' in error and 'this command reads' in error
    for bag, output in (('bag/bag.mcap', 'bag'), ('bag/bag.mcap', 'bag/results')):
        code, _, [error] = run(capfd, bag, '--output', output)
        assert code == 1 and 'this command reads' in error, (bag, output)
    Path('file').write_text('mine')
    code, _, [error] = run(capfd, 'bag', '--output', 'file')
    assert code == 1 and 'it is a file; expected a folder' in error
    # A folder beside the bags, with the name of the bag: results go into another name.
    code, [line], _ = run(capfd, 'bag', '--output', '.')
    assert code == 0 and line.partition(' -> ')[2].startswith('bag-')
    assert digests('bag') == before


def test_bags_of_one_name(capfd):
    for name in 'ab':
        write_bag(Path(name, 'bag'), {'/image': list(images('coffee', 1 if name == 'a' else 2))})
    assert run(capfd, 'a/bag', 'b/bag', '--output', 'out', '--formats', 'json')[0] == 0
    [second] = [path for path in Path('out').iterdir() if path.name.startswith('bag-')]
    assert [len(lines('out/bag')), len(lines(second))] == [1, 2]
    shutil.rmtree('out')
    assert run(capfd, 'b/bag', '--output', 'out', '--formats', 'json')[0] == 0
    assert run(capfd, 'a/bag', '--output', 'out', '--formats', 'json')[0] == 0
    assert len(lines('out/bag')) == 2


def test_a_split_bag(capfd):
    write_bag(Path('bag'), {'/image': list(images('coffee', 2))})
    write_bag(Path('next'), {'/image': list(images('rocket', 3, 10**9))})
    shutil.move('next/next.mcap', 'bag')
    edit_metadata(Path('bag'), lambda info: info['relative_file_paths'].append('next.mcap'))
    assert run(capfd, 'bag', '--output', 'out', '--formats', 'json')[0] == 0
    assert [(line['frame'], line['log_ns'] >= START + 10**9) for line in lines('out/bag')] == [
        (0, False), (1, False), (2, True), (3, True), (4, True)]


def test_wrong_arguments(capfd):
    with pytest.raises(SystemExit):
        main(['annotate', 'bag', '--output', 'out'])
    assert '--model' in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main(['annotate', 'bag', '--output', 'out', '--model', 'm.onnx', '--formats', 'bag,xml'])
    assert "invalid choice: 'xml' (choose from bag, json, coco, parquet, video)" in capfd.readouterr().err


# Several images at the same time


@pytest.mark.parametrize('options', [
    ('--concurrent', '3'), ('--concurrent', '1'), ('--concurrent', '1', '--max-batch', '4')])
def test_images_that_run_together_give_the_same_in_the_same_order(capfd, folder, options):
    """Also with bad messages between them, and images of other sizes."""
    dynamic_color_detector(folder / 'm.onnx', {'names': {0: 'red', 1: 'green', 2: 'blue'}, 'task': 'detect'})
    messages = list(images('coffee', 11))
    messages[4][3]['encoding'] = 'unknown'
    small = cv2.resize(photo('coffee', 6), (64, 48))
    messages[6][3].update(height=48, width=64, step=192, data=small.reshape(-1))
    write_bag(Path('bag'), {'/image': messages})
    code, _, errors = run(
        capfd, 'bag', '--output', 'out', '--formats', 'json', '--input-size', '64', '64', '--threads', '4', *options)
    assert code == 1 and len(errors) == 1 and 'frame 4 of /image' in errors[0]
    assert main(['predict', 'm.onnx', 'bag', '--score', '0.4', '--input-size', '64', '64', '--json', '-']) == 1
    expected = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line['frame'] for line in lines('out/bag')] == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert [line['width'] for line in lines('out/bag')][5] == 64
    assert [line['detections'] for line in lines('out/bag')] == [line['detections'] for line in expected]
    backend = json.loads(Path('out/bag/annotation.json').read_text())['backend']
    assert backend.get('concurrent_inferences', '1') == options[1]
    assert backend.get('max_batch', '1') == (options[-1] if '--max-batch' in options else '1')
