# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`annotate`, and what reads its results, with what happens in the field: names, sizes, times, and wrong folders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
import numpy as np
from support.bags import IMAGE, write_bag
from support.mcap_file import image_bytes, write_mcap
from support.subprocesses import python_environment, without_progress
from support.tiny_models import color_detector
from test_annotate import START, images, lines, photo, raw

from trt_perception.annotate import annotate as annotating
from trt_perception.annotate.topic_files import topic_file_names
from trt_perception.cli.main import main

NOT_UTF8 = os.fsdecode(b'n\xff')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    return tmp_path


def run(capfd, *arguments):
    """(exit code, lines of stdout, lines of stderr)."""
    code = main([*map(str, arguments)])
    out, err = capfd.readouterr()
    return code, out.splitlines(), without_progress(err).splitlines()


def annotated(capfd, *arguments):
    return run(capfd, 'annotate', *arguments, '--model', 'm.onnx', '--score', '0.4')


def plain_images(*sizes):
    for number, (width, height) in enumerate(sizes):
        yield IMAGE, START + number, START + 10**8 * number, {
            'height': height, 'width': width, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 3 * width,
            'data': np.full(3 * width * height, 90, np.uint8)}


# Names


def test_no_two_topics_have_the_same_file_name():
    topics = ['/a_b', '/a/b', '/A/b', '/a_b_1', '/c']
    names = topic_file_names(topics)
    assert names == topic_file_names(reversed(topics)) and list(names) == sorted(topics)
    assert len({name.casefold() for name in names.values()}) == 5
    assert names['/A/b'] == 'A_b' and names['/a/b'] == 'a_b_1' and names['/c'] == 'c'


def test_long_topics_have_files(capfd):
    # ROS has topics of 247 bytes; with a number and an ending they would be longer than a file name may be.
    topics = [f'/{"n" * 220}/{end}/image_raw' for end in ('front', 'rear')]
    write_bag(Path('bag'), {topic: list(images('coffee', 2)) for topic in topics})
    code, _, err = annotated(capfd, 'bag', '--output', 'out', '--formats', 'coco,video,json', '--coco-every', '1')
    assert code == 0, err
    assert sorted(path.name.lstrip('n') for path in Path('out/bag/video').iterdir()) == [
        '_front_image_raw.webm', '_rear_image_raw.webm']
    assert len(list(Path('out/bag/coco/images').iterdir())) == 4
    same_end = topic_file_names([f'/{number}{"n" * 240}' for number in range(3)])
    assert len(set(same_end.values())) == 3 and all(len(name) < 210 for name in same_end.values())
    assert all(name.encode().decode() == name for name in topic_file_names(['/' + '画' * 80]).values())


def test_topics_that_differ_by_a_slash_have_pictures_of_their_own(capfd):
    write_bag(Path('bag'), {'/a/b': list(images('coffee', 2)), '/a_b': list(images('rocket', 2))})
    assert annotated(
        capfd, 'bag', '--output', 'out', '--formats', 'coco,video,json', '--coco-every', '1')[0] == 0
    coco = json.loads(Path('out/bag/coco/annotations/instances_default.json').read_text())
    assert len(list(Path('out/bag/coco/images').iterdir())) == len(coco['images']) == 4
    for image in coco['images']:
        number = int(image['file_name'][-5])
        shown = cv2.imread(f'out/bag/coco/images/{image["file_name"]}').astype(int)
        expected = photo('coffee' if image['topic'] == '/a/b' else 'rocket', number)
        assert np.abs(shown - expected).mean() < 6
    assert {path.name for path in Path('out/bag/video').iterdir()} == {'a_b.webm', 'a_b_1.webm'}
    # compare finds the same picture when the bag is gone.
    annotated(capfd, 'bag', '--output', 'new', '--formats', 'json', '--score', '0.7')
    Path('bag/bag.mcap').unlink()
    code, _, errors = run(capfd, 'compare', 'out', 'new', '--html', 'page.html')
    assert code == 0 and not [line for line in errors if 'without' in line]


def test_the_folder_above_is_a_bag(capfd, monkeypatch):
    write_bag(Path('day'), {'/image': list(images('coffee', 1))})
    Path('day/notes').mkdir()
    monkeypatch.chdir('day/notes')
    assert main(['annotate', '..', '--model', '../../m.onnx', '--output', '../../out', '--formats', 'json']) == 0
    assert len(lines('../../out/day')) == 1


def test_a_path_that_is_not_utf8(capfd, folder):
    """OpenCV ends the process with SIGSEGV for such a path."""
    write_bag(Path('bag'), {'/image': list(images('coffee', 2))})
    try:
        Path('bag').rename(NOT_UTF8)
    except OSError:
        pytest.skip('this file system has UTF-8 names only')
    writer = cv2.VideoWriter('v.avi', cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 64))
    writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    Path('v.avi').rename(f'{NOT_UTF8}.avi')

    def process(*arguments):
        done = subprocess.run(
            [sys.executable, '-m', 'trt_perception.cli.main', *arguments], capture_output=True, cwd=folder,
            env=python_environment(), timeout=600)
        return done.returncode, without_progress(done.stderr.decode()).splitlines()

    code, errors = process('annotate', NOT_UTF8, '--model', 'm.onnx', '--output', 'out', '--formats', 'json,video')
    assert code == 1 and len(errors) == 1 and errors[0].endswith(
        'the path of its videos is not UTF-8, but OpenCV needs UTF-8: rename the bag or --output, or leave video out '
        'of --formats')
    assert process(
        'annotate', NOT_UTF8, '--model', 'm.onnx', '--output', 'out', '--formats', 'bag,json,coco') == (0, [])
    assert len(lines(Path('out', NOT_UTF8))) == 2
    # Ray refuses the command line, and would be said not to answer.
    code, errors = process('annotate', NOT_UTF8, '--model', 'm.onnx', '--output', 'out', '--ray')
    assert code == 1 and errors == [
        'trt_perception: --ray: Ray takes no path that is not UTF-8: rename these bags or --output, or annotate them '
        'without --ray']
    code, errors = process('predict', 'm.onnx', f'{NOT_UTF8}.avi')
    assert code == 1 and errors == [
        r'trt_perception: n\udcff.avi: this path is not UTF-8, but OpenCV needs UTF-8: rename the file or its folder']


# Sizes and times


def test_sizes_that_a_video_cannot_have(capfd):
    """They are drawn in another shape: one strange bag does not end the run for all others."""
    write_bag(Path('small'), {'/image': list(plain_images((1, 1), (3, 1), (40, 30)))})
    write_bag(Path('long'), {'/image': list(plain_images((20_000, 1), (1, 20_000)))})
    code, out, errors = annotated(capfd, 'small', 'long', '--output', 'out', '--formats', 'video')
    assert code == 0 and errors == [] and len(out) == 2
    for name, count, size in (('small', 3, (16, 16)), ('long', 2, (16_382, 16))):
        capture = cv2.VideoCapture(f'out/{name}/video/image.webm')
        pictures = [capture.read()[1] for _ in range(count)]
        assert all(picture.shape[1::-1] == size for picture in pictures) and not capture.read()[0]


def test_a_size_that_a_jpeg_cannot_have(capfd):
    write_bag(Path('wide'), {'/image': list(plain_images((65_501, 1)))})
    write_bag(Path('bag'), {'/image': list(images('coffee', 1))})
    code, out, errors = annotated(capfd, 'wide', 'bag', '--output', 'out', '--formats', 'coco')
    assert code == 1 and errors == [
        'trt_perception: wide: frame 0 of /image: 65501x1 pixels, but a JPEG has at most 65500 on a side: leave coco '
        'out of --formats']
    assert out[0] == 'wide: not annotated' and out[1].startswith('bag: 1 images')


def test_a_time_of_recording_after_the_last_time_of_ros(capfd):
    """MCAP has times without a sign, ROS and Parquet with one."""
    formats = 'json,bag' if not _has('pyarrow') else 'json,bag,parquet'
    times = [0, 2**63 - 1, 2**63, 2**64 - 1]
    write_mcap(Path('bag.mcap'), [
        ('/image', IMAGE, time, time, image_bytes(raw('coffee', number), START)) for number, time in enumerate(times)])
    code, [line], errors = annotated(capfd, 'bag.mcap', '--output', 'out', '--formats', formats)
    assert code == 1 and line.startswith('bag.mcap: 2 images') and ' 2 bad messages ' in line
    assert errors[0] == (
        'trt_perception: bag.mcap: frame 2 of /image: its time of recording is 9223372036854775808 ns; expected at '
        'most 9223372036854775807, the last time of ROS')
    assert [entry['log_ns'] for entry in lines('out/bag')] == times[:2]


def _has(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def test_a_bag_that_changes_while_it_is_annotated(capfd, monkeypatch):
    """Its results are not those of the content that annotation.json would name."""
    write_bag(Path('bag'), {'/image': list(images('coffee', 3))})
    write_bag(Path('next'), {'/image': list(images('rocket', 2))})
    work, grown = annotating.annotate_bag, []

    def and_grow(bag, *arguments, **options):
        done = work(bag, *arguments, **options)
        if not grown:
            grown.append(bag.path)
            with Path('bag/bag.mcap').open('ab') as file:
                file.write(b'more')
        else:
            # Only its time changes, as by a copy that sets it.
            os.utime('next/next.mcap', ns=(0, 0))
        return done

    monkeypatch.setattr(annotating, 'annotate_bag', and_grow)
    code, out, errors = annotated(capfd, 'bag', 'next', '--output', 'out', '--formats', 'json')
    assert code == 1 and out[0] == 'bag: not annotated' and out[1].startswith('next: 2 images')
    assert errors == [
        'trt_perception: bag/bag.mcap: it changed while it was annotated; expected a recording that is closed: stop '
        'the recorder, and run the command again']
    assert sorted(path.name for path in Path('out').iterdir()) == ['.annotate.lock', 'next']


# Wrong folders and names


def test_a_folder_of_bags_and_a_folder_of_results(capfd):
    for name in ('night', 'day'):
        write_bag(Path(f'trip/{name}'), {'/image': list(images('coffee', 1))})
    code, _, [error] = annotated(capfd, 'trip', '--output', 'out')
    assert code == 1 and error.endswith('; it has bags in subfolders, give these: trip/day, trip/night')
    annotated(capfd, 'trip/day', '--output', 'out')
    code, _, [error] = annotated(capfd, 'out/day', '--output', 'again')
    assert code == 1 and error.endswith('; it has results of trt_perception annotate: give the recording')


def test_a_class_that_the_model_does_not_know(capfd):
    write_bag(Path('bag'), {'/image': list(images('coffee', 1))})
    code, _, [error] = annotated(capfd, 'bag', '--output', 'out', '--formats', 'coco', '--coco-classes', 'rad')
    assert code == 1 and error == (
        "trt_perception: --coco-classes names 'rad', which m.onnx does not know: did you mean 'red'?")


@pytest.mark.parametrize('arguments, says', [
    (['--coco-every', '2s'], '--coco-every chooses images of coco: add coco to --formats, or leave it out'),
    (['--coco-most', '3'], '--coco-most chooses images of coco: add coco to --formats, or leave it out'),
    (['--formats', 'coco', '--coco-below-score', '0.3'],
     '--coco-below-score is 0.3, and no object has a score below 0.4 (--score): expected a higher one')])
def test_rules_that_would_choose_nothing(capfd, arguments, says):
    write_bag(Path('bag'), {'/image': list(images('coffee', 1))})
    code, _, errors = annotated(capfd, 'bag', '--output', 'out', *arguments)
    assert code == 1 and errors == [f'trt_perception: {says}'] and not Path('out').exists()


def test_a_folder_that_may_not_be_written(capfd):
    write_bag(Path('bag'), {'/image': list(images('coffee', 1))})
    code, _, [error] = annotated(capfd, 'bag', '--output', 'm.onnx/out')
    assert code == 1 and error == (
        'trt_perception: --output m.onnx/out: cannot be written: Not a directory; choose another folder')
    Path('link').symlink_to('/nowhere/at/all')
    assert annotated(capfd, 'bag', '--output', 'link')[2] == [
        'trt_perception: --output link: cannot be written: File exists; choose another folder']


def test_results_of_a_recording_are_not_those_of_image_files(capfd):
    write_bag(Path('bag'), {'/image': list(images('coffee', 1))})
    annotated(capfd, 'bag', '--output', 'out', '--formats', 'coco,json')
    truth = 'out/bag/coco/annotations/instances_default.json'
    code, _, [error] = run(capfd, 'evaluate', '--truth', truth, 'out/bag/results.jsonl')
    assert code == 1 and error == (
        'trt_perception: predictions out/bag/results.jsonl: expected the results of image files, found those of a '
        f'recording (bag): run trt_perception predict on the images of {truth}')


def test_a_bag_without_a_readable_image_does_not_end_a_comparison(capfd):
    message = next(images('coffee', 1))
    write_bag(Path('bad'), {'/image': [(*message[:3], {**message[3], 'encoding': 'unknown'})]})
    write_bag(Path('bag'), {'/image': list(images('coffee', 2))})
    assert annotated(capfd, 'bad', 'bag', '--output', 'out', '--formats', 'json')[0] == 1
    code, out, errors = run(capfd, 'compare', 'out', 'out')
    assert code == 0 and out[0].startswith('2 images of 1 bag: agreement 1.0000')
    assert errors == ['note: not compared: no image of bad could be read, in A and in B']
    code, _, [error] = run(capfd, 'compare', 'out/bad', 'out/bad')
    assert code == 1 and error.endswith('no image of bad could be read: there is nothing to compare')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_bag_that_lacks_messages_which_its_index_has(capfd, storage):
    """For instance, a file was copied before it was complete."""
    write_bag(Path('bag'), {'/a': list(images('coffee', 3)), '/b': list(images('rocket', 2))}, storage=storage)
    metadata = Path('bag/metadata.yaml')
    text = metadata.read_text()
    assert text.count('message_count: 3') == 1
    metadata.write_text(text.replace('message_count: 3', 'message_count: 5'))
    code, _, errors = annotated(capfd, 'bag', '--output', 'out', '--formats', 'json')
    assert code == 1
    assert errors == [
        'trt_perception: bag: metadata.yaml counts 7 messages of /a, /b, but the storage files have only 5: copy the '
        'bag again if the copy was not finished, or run `ros2 bag reindex bag` to count again']
    assert len(lines(Path('out/bag'))) == 5
    # Also when the finished bag is skipped.
    assert annotated(capfd, 'bag', '--output', 'out', '--formats', 'json')[0] == 1
    # Of the other topic nothing is missing.
    assert annotated(capfd, 'bag', '--topic', '/b', '--output', 'other', '--formats', 'json')[0] == 0
