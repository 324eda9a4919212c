# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`predict`: no source ends the run of the others, records have stamps, and the options of the node."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import numpy as np
from support.picture_files import animated_gif, tiff
from support.subprocesses import without_progress
from support.tiny_models import color_detector

from trt_perception.cli.main import main

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model and an image with a red and a blue cell."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    cv2.imwrite('p.png', picture())
    return tmp_path


def picture():
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[16:32, 32:48] = 0, 0, 255
    pixels[32:48, 96:112] = 255, 0, 0
    return pixels


def write_video(name, count, fps=10):
    writer = cv2.VideoWriter(name, cv2.VideoWriter_fourcc(*'MJPG'), fps, (64, 48))
    for _ in range(count):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()


def run(capfd, *arguments):
    """(exit code, records, lines on stderr)."""
    code = main(['predict', 'm.onnx', *map(str, arguments), '--json', '-'])
    out, err = capfd.readouterr()
    # FFmpeg reads its log level when it is first used: here by the tests.
    lines = [line for line in without_progress(err).splitlines() if not line.startswith('[')]
    return code, [json.loads(line) for line in out.splitlines()], lines


def found(records):
    return [(Path(record['source']).name, record['frame']) for record in records]


def test_a_folder_with_the_name_of_a_catalogue_video_comes_first(capfd, folder):
    (folder / 'bikes').mkdir()
    (folder / 'p.png').rename(folder / 'bikes' / 'p.png')
    code, records, said = run(capfd, 'bikes')
    assert (code, found(records), said) == (0, [('p.png', 0)], [])


# One bad source


@pytest.mark.parametrize('make, says', [
    (lambda: write_video('bad.avi', 0), 'bad.avi: '),
    (lambda: Path('bad.avi').write_bytes(bytes(1000)), 'bad.avi: not an image, video or bag that can be read'),
    (lambda: Path('bad.avi').write_bytes(b''), 'bad.avi: '),
    (lambda: Path('bad.avi').write_bytes(b'\0\0\0\x20ftypavif\0\0\0\0avifmif1' + bytes(200)), 'AVIF'),
    (lambda: None, 'bad.avi: no such file or folder'),
    (lambda: Path('bad.avi').mkdir(), 'bad.avi: no images in this folder'),
    (lambda: Path('bad.avi').symlink_to('bad.avi'), 'bad.avi: '),
    (lambda: Path('bad.avi').symlink_to('/dev/zero'), 'bad.avi: a device or socket')])
def test_a_bad_source_does_not_end_the_run(capfd, make, says):
    make()
    code, records, errors = run(capfd, 'bad.avi', 'p.png', 'bad.avi', 'p.png')
    assert (code, found(records)) == (1, [('p.png', 0), ('p.png', 0)])
    assert len(errors) == 2 and errors[0] == errors[1]
    assert errors[0].startswith('trt_perception: ') and says in errors[0]


def test_a_video_without_frames_in_a_folder(capfd, folder):
    (folder / 'd').mkdir()
    write_video('d/a.avi', 0)
    cv2.imwrite('d/b.png', picture())
    code, records, errors = run(capfd, 'd')
    assert (code, found(records), len(errors)) == (1, [('b.png', 1)], 1)


def test_too_little_memory_for_one_source_does_not_end_the_run(capfd, monkeypatch):
    from trt_perception.sources import images

    decode = images._decode
    monkeypatch.setattr(
        images, '_decode', lambda path, *more: decode(path, *more) if path.name == 'p.png' else _no_memory())
    cv2.imwrite('large.png', picture())
    code, records, errors = run(capfd, 'large.png', 'p.png')
    assert (code, found(records)) == (1, [('p.png', 0)])
    assert errors == ['trt_perception: large.png: out of memory: 20 GiB']


def _no_memory():
    raise MemoryError('20 GiB')


@pytest.mark.parametrize('damage', ['missing', 'file', 'message'])
def test_a_damaged_bag_does_not_end_the_run(capfd, folder, damage):
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import grey_image, write_bag

    messages = [grey_image(100 + value, value, value) for value in range(1, 20)]
    if damage == 'message':
        messages[5] = grey_image(105, 6, 6, step=3)
    write_bag(folder / 'bag', {'/image': messages})
    storage = folder / 'bag' / 'bag.mcap'
    data = bytearray(storage.read_bytes())
    if damage == 'missing':
        storage.unlink()
    elif damage == 'file':
        data[60:2000] = bytes(1940)
        storage.write_bytes(data)
    code, records, errors = run(capfd, 'bag', 'p.png')
    assert code == 1
    assert found(records)[-1] == ('p.png', 0)
    assert errors and all(line.startswith('trt_perception: bag: ') for line in errors)


def test_what_a_folder_skips_is_a_note_and_no_failure(capfd, folder):
    (folder / 'd').mkdir()
    cv2.imwrite('d/a.png', picture())
    (folder / 'd' / 'notes.txt').write_text('')
    code, records, errors = run(capfd, 'd')
    assert (code, found(records)) == (0, [('a.png', 0)])
    assert errors == ['note: d: skipped 1 file of other types (notes.txt)']


def test_all_pictures_of_files_with_several(capfd, folder):
    grey = [np.full((24, 32), value, np.uint8) for value in (60, 80, 100)]
    (folder / 'a.gif').write_bytes(animated_gif(grey, delay_ms=200))
    (folder / 'b.tif').write_bytes(tiff(grey))
    code, records, errors = run(capfd, 'a.gif', 'b.tif')
    assert (code, errors) == (0, [])
    assert found(records) == [('a.gif', 0), ('a.gif', 1), ('a.gif', 2), ('b.tif', 0), ('b.tif', 1), ('b.tif', 2)]
    assert [record.get('stamp_ns') for record in records][:1] == [0]
    assert records[2]['stamp_ns'] == pytest.approx(400_000_000, abs=1e7)
    assert all('stamp_ns' not in record for record in records[3:])


def test_the_project_photos_in_every_format_of_this_opencv(capfd, folder):
    """The result does not depend on the format in which a lossless copy is stored."""
    (folder / 'd').mkdir()
    photo = cv2.resize(cv2.imread(str(PHOTOS / 'coffee.jpg')), (128, 96))
    formats = [
        suffix for suffix in ('.png', '.bmp', '.tiff', '.ppm', '.jp2', '.ras')
        if cv2.haveImageWriter(f'x{suffix}')]
    for index, suffix in enumerate(formats):
        assert cv2.imwrite(f'd/{index}{suffix}', photo)
    code, records, errors = run(capfd, 'd')
    assert (code, errors, len(records)) == (0, [], len(formats))
    exact = [record['detections'] for record in records if not record['source'].endswith('.jp2')]
    assert all(one == exact[0] for one in exact) and exact[0]


# Stamps


def test_records_of_a_video_have_its_time(capfd):
    write_video('v.avi', 4, fps=10)
    code, records, _ = run(capfd, 'v.avi', 'p.png')
    assert code == 0
    assert [record.get('stamp_ns') for record in records] == [0, 100_000_000, 200_000_000, 300_000_000, None]
    assert list(records[0]) == ['source', 'frame', 'width', 'height', 'stamp_ns', 'detections', 'timings_ms']
    assert list(records[4]) == ['source', 'frame', 'width', 'height', 'detections', 'timings_ms']


def test_records_of_a_bag_have_the_stamp_of_the_header(capfd, folder):
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import grey_image, write_bag

    stamps = [1_700_000_000_123_456_789, 1_700_000_000_223_456_789]
    write_bag(folder / 'bag', {'/image': [grey_image(99, 5, stamp) for stamp in stamps]})
    code, records, _ = run(capfd, 'bag')
    assert (code, [record['stamp_ns'] for record in records]) == (0, stamps)


# Options


def test_only_the_chosen_classes_are_reported(capfd):
    def classes(*options):
        code, [record], _ = run(capfd, 'p.png', '--score', '0.9', *options)
        assert code == 0
        return sorted(entry['class_id'] for entry in record['detections'])

    assert classes() == ['blue', 'red']
    assert classes('--classes', 'red') == ['red']
    assert classes('--classes', 'red', 'green', '--classes', 'blue') == ['blue', 'red']
    assert classes('--classes', 'green') == []
    assert classes('--max-detections', '1') in (['blue'], ['red'])
    assert main(['predict', 'm.onnx', 'p.png', '--classes', 'gren']) == 1
    assert "classes names 'gren', which m.onnx does not know: did you mean 'green'?" in capfd.readouterr().err


def test_overlapping_boxes_of_different_classes(capfd):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:32, 16:32] = 255, 0, 255
    cv2.imwrite('both.png', pixels)
    _, [apart], _ = run(capfd, 'both.png', '--score', '0.4')
    _, [together], _ = run(capfd, 'both.png', '--score', '0.4', '--class-agnostic')
    assert len(together['detections']) <= len(apart['detections'])


def test_at_most_so_many_frames(capfd):
    write_video('v.avi', 5)
    code, records, _ = run(capfd, 'v.avi', 'p.png', 'v.avi', '--max-frames', '2')
    assert (code, found(records)) == (0, [('v.avi', 0), ('v.avi', 1), ('p.png', 0), ('v.avi', 0), ('v.avi', 1)])


# Names of others on the terminal


@pytest.mark.skipif(find_spec('yaml') is None, reason='needs yaml: make setup')
def test_names_cannot_control_the_terminal(capfd, folder):
    bad = 'r\x1b[31med\n\x1b]0;title\x07'
    color_detector(folder / 'm.onnx', metadata={'names': {0: bad, 1: 'green\r', 2: 'b\u202elue'}})
    name = 'p\x1b[2J\n.png'
    cv2.imwrite('p.png', picture())
    Path('p.png').rename(name)
    outputs = []
    for arguments in (
            ('predict', 'm.onnx', name, '--draw', 'out'), ('inspect', 'm.onnx'), ('predict', 'm.onnx', f'none{name}'),
            ('predict', 'm.onnx', name, '--topic', bad), ('predict', 'm.onnx', name, '--classes', bad[:-1]),
            ('predict', f'{bad}.onnx', name), ('benchmark', 'm.onnx', '--image', name, '--frames', '1')):
        main(list(arguments))
        outputs += capfd.readouterr()
    text = ''.join(outputs)
    assert 'r\\x1b[31med\\n\\x1b]0;title\\x07' in text
    assert all(c.isprintable() or c == '\n' for c in text), [c for c in text if not c.isprintable() and c != '\n']
    assert not any(line.startswith(('.png', ']0')) for line in text.splitlines())
    # JSON keeps the name; its encoding has escapes of its own.
    code, [record], _ = run(capfd, name, '--score', '0.9')
    assert code == 0 and bad in {entry['class_id'] for entry in record['detections']}
    assert record['source'] == name


# Ids that stay


def write_walk(name, count, fps=10):
    """A video of a red and a blue square; red is weak in every third frame."""
    writer = cv2.VideoWriter(name, cv2.VideoWriter_fourcc(*'FFV1'), fps, (128, 64))
    for number in range(count):
        pixels = np.zeros((64, 128, 3), np.uint8)
        pixels[16:32, 32:48] = 0, 0, 77 if number % 3 == 2 else 255
        pixels[32:48, 96:112] = 255, 0, 0
        writer.write(pixels)
    writer.release()


def without_ids(records):
    return [[{key: value for key, value in entry.items() if key != 'id'} for entry in record['detections']]
            for record in records]


def test_tracking(capfd):
    write_walk('walk.avi', 12)
    code, plain, _ = run(capfd, 'walk.avi', '--score', '0.5')
    assert code == 0 and 'id' not in plain[0]['detections'][0]
    # Twice: each source has ids from 1 on.
    code, records, errors = run(capfd, 'walk.avi', 'walk.avi', '--score', '0.5', '--tracking')
    assert (code, errors) == (0, [])
    assert without_ids(records) == without_ids(plain) * 2
    for half in (records[:12], records[12:]):
        ids = [{entry['class_id']: entry['id'] for entry in record['detections']} for record in half]
        assert ids[0] == {'red': '', 'blue': ''}
        assert sorted(ids[1].values()) == ['1', '2']
        for number, seen in enumerate(ids[1:], 1):
            expected = ids[1] if number % 3 != 2 else {'blue': ids[1]['blue']}
            assert seen == expected, number


def test_ids_in_the_text_and_in_the_pictures(capfd):
    write_walk('walk.avi', 2)
    assert main(['predict', 'm.onnx', 'walk.avi', '--tracking', '--draw', 'tracked']) == 0
    assert main(['predict', 'm.onnx', 'walk.avi', '--draw', 'plain']) == 0
    lines = capfd.readouterr().out.splitlines()
    assert '#' not in lines[0] and '#1 ' in lines[1] and '#2 ' in lines[1] and '#' not in lines[3]
    first, second = ((cv2.imread(f'tracked/{name}') == cv2.imread(f'plain/{name}')).all()
                     for name in ('walk_000000.png', 'walk_000001.png'))
    assert first and not second


def test_images_of_a_folder_are_tracked_as_a_video(capfd):
    Path('frames').mkdir()
    for number in range(3):
        cv2.imwrite(f'frames/{number}.png', picture())
    _, records, _ = run(capfd, 'frames', '--tracking')
    assert [sorted(entry['id'] for entry in record['detections']) for record in records] == [
        ['', ''], ['1', '2'], ['1', '2']]


def test_tracking_with_a_classifier_is_one_line(capfd, folder):
    from support.tiny_models import color_classifier

    color_classifier(folder / 'c.onnx')
    assert main(['predict', 'c.onnx', 'p.png', '--tracking']) == 1
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert error.endswith('--tracking needs a detector, but c.onnx is a classifier: leave --tracking out')


def test_a_bag_is_tracked_by_the_stamps_of_its_headers(capfd, folder):
    """The same picture three times: within the buffer it is the same object, after a long pause another one."""
    from support.bags import write_bag

    def image(header_s):
        return 'sensor_msgs/msg/Image', int(header_s * 1e9), int(header_s * 1e9), {
            'height': 64, 'width': 128, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 384,
            'data': picture().ravel()}

    write_bag(folder / 'bag', {'/image': [image(second) for second in (10.0, 10.2, 10.9, 20.0, 20.2)]})
    code, records, _ = run(capfd, 'bag', '--tracking', '--tracking-buffer', '0.5')
    assert code == 0
    assert [sorted(entry['id'] for entry in record['detections']) for record in records] == [
        ['', ''], ['1', '2'], ['1', '2'], ['', ''], ['3', '4']]


@pytest.mark.parametrize('kind, given, said', [
    ('detector', ['--top-k', '2'], ['note: no effect of --top-k: for classifiers, and m.onnx is a detector']),
    ('classifier', ['--top-k', '2'], []),
    ('detector', ['--score', '0.3', '--iou', '0.5', '--classes', 'red', '--max-detections', '9'], []),
    ('classifier', ['--score', '0.3', '--max-detections', '9', '--class-agnostic'],
     ['note: no effect of --score, --class-agnostic, --max-detections: for detectors, and m.onnx is a classifier']),
    ('detector', [], []), ('classifier', [], [])])
def test_options_for_the_other_kind_of_model_are_named(tmp_path, monkeypatch, capsys, kind, given, said):
    from support.tiny_models import color_classifier, color_detector

    monkeypatch.chdir(tmp_path)
    (color_detector if kind == 'detector' else color_classifier)(tmp_path / 'm.onnx')
    cv2.imwrite('p.png', np.zeros((64, 64, 3), np.uint8))
    assert main(['predict', 'm.onnx', 'p.png', *given]) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if 'effect' in line] == said
