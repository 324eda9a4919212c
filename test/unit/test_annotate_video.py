# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`annotate --formats video`: every image with its boxes and ids, at the time of its stamp."""

import json
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
import numpy as np
from support.bags import IMAGE, write_bag
from support.browser import PLAYED, Browser, find_browser
from support.tiny_models import color_classifier, color_detector

from trt_perception.cli.main import main
from trt_perception.results import video_file, webm
from trt_perception.sources.bag_source import open_bag

START = 1_700_000_000 * 10**9
# A driver that slows down, an image that was lost, a clock that is set back and one that jumps by a day.
STEPS_MS = [40, 41, 39, 40, 80, 100, 100, -500, 100, 86_400_000, 100, 100, 35_000, 100]
TIMES_MS = [0, 40, 81, 120, 160, 240, 340, 440, 540, 640, 740, 840, 940, 35_940, 36_040]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    return tmp_path


def pixels(number, size=(128, 96)):
    """A red square that moves to the right on grey, and below it the bits of the number in black and grey."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[height // 2:height // 2 + 16, 16 * (number // 3):16 * (number // 3) + 16] = 0, 0, 255
    for bit in range(4):
        image[-12:, 16 * bit:16 * bit + 16] = 90 * (number >> bit & 1)
    return image


def number_of(picture):
    """The number that the bits of a picture say."""
    return sum((int(picture[-6, 16 * bit + 8, 0]) > 45) << bit for bit in range(4))


def messages(steps_ms=STEPS_MS, size=(128, 96)):
    stamps = START + 10**6 * np.cumsum([0, *steps_ms])
    return [(IMAGE, START + 10**7 * number, int(stamp), {
        'height': size[1], 'width': size[0], 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 3 * size[0],
        'data': pixels(number, size).reshape(-1)}) for number, stamp in enumerate(stamps)]


def run(capfd, *arguments):
    code = main(['annotate', 'bag', '--model', 'm.onnx', '--score', '0.4', '--output', 'out', '--formats', 'video',
                 *map(str, arguments)])
    out, err = capfd.readouterr()
    return code, out, err


def frames(path):
    """(times in ms, pictures) of a video."""
    capture = cv2.VideoCapture(str(path))
    times, pictures = [], []
    while True:
        done, picture = capture.read()
        if not done:
            return times, pictures
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        pictures.append(picture)


def coloured(picture):
    """Pixels that are not grey: the square, its box and its label."""
    return (np.ptp(picture.astype(int), axis=2) > 60).sum()


def test_every_image_is_a_frame_at_the_time_of_its_stamp(capfd):
    write_bag(Path('bag'), {'/front/image_raw': messages(), '/back/image_raw': messages([40] * 5)})
    assert run(capfd)[0] == 0
    assert sorted(path.name for path in Path('out/bag/video').iterdir()) == [
        'back_image_raw.webm', 'front_image_raw.webm']
    times, pictures = frames('out/bag/video/front_image_raw.webm')
    # Newer versions of OpenCV give the time of the frame, older ones that of the next one.
    first = times[0]
    assert [round(time - first) for time in times[1:-1]] in (TIMES_MS[1:-1], [time - 40 for time in TIMES_MS[2:]])
    assert len(times) == len(TIMES_MS)
    for number, picture in enumerate(pictures):
        assert number_of(picture) == number
        # The box and its label are drawn.
        assert coloured(picture) > 1.2 * coloured(pixels(number)), number
    assert len(frames('out/bag/video/back_image_raw.webm')[0]) == 6


def test_ids_are_drawn_and_the_bytes_do_not_change(capfd):
    write_bag(Path('bag'), {'/image': messages([40] * 14)})
    assert run(capfd)[0] == 0
    content = Path('out/bag/video/image.webm').read_bytes()
    _, plain = frames('out/bag/video/image.webm')
    assert run(capfd, '--output', 'again')[0] == 0
    assert Path('again/bag/video/image.webm').read_bytes() == content
    assert run(capfd, '--tracking')[0] == 0
    _, tracked = frames('out/bag/video/image.webm')
    # The first image has no ids yet. With ids the text begins with '#1 ', and the colour is that of the id.
    differ = [np.abs(a.astype(int) - b).mean() for a, b in zip(plain, tracked, strict=True)]
    assert differ[0] < 1 < min(differ[1:3])


def test_the_provenance_is_a_tag(capfd):
    """By hand, FFmpeg (PyAV 18.1) showed the same text."""
    write_bag(Path('bag'), {'/image': messages([40] * 3)})
    assert run(capfd)[0] == 0
    content = Path('out/bag/video/image.webm').read_bytes()
    place = content.index(b'TRT_PERCEPTION') + len(b'TRT_PERCEPTION')
    # TagString (RFC 9559, 5.1.8.1.2.3), and a size of eight bytes.
    assert content[place:place + 3] == b'\x44\x87\x01'
    size = int.from_bytes(content[place + 3:place + 10], 'big')
    found = json.loads(content[place + 10:place + 10 + size])
    record = json.loads(Path('out/bag/annotation.json').read_text())
    assert found['run'] == record['run'] and found['settings'] == record['settings']
    # The segment ends with the file.
    segment = content.index(b'\x18\x53\x80\x67') + 4
    assert segment + 8 + int.from_bytes(content[segment + 1:segment + 8], 'big') == len(content)


def test_large_images_and_odd_sizes(capfd):
    """1080p is drawn smaller, as in the demo, with the box where the object is; an odd size gets a row and a column."""
    write_bag(Path('bag'), {
        '/large': messages([40] * 3, (1920, 1080)), '/odd': messages([40] * 3, (129, 97)), '/a/b': messages([40]),
        '/a_b': messages([40])})
    assert run(capfd)[0] == 0
    _, [first, *_] = frames('out/bag/video/large.webm')
    assert first.shape == (480, 854, 3)
    _, pictures = frames('out/bag/video/odd.webm')
    assert [picture.shape for picture in pictures] == [(98, 130, 3)] * 4
    assert len(list(Path('out/bag/video').iterdir())) == 4


def test_a_classifier_and_another_size_in_between(capfd, folder):
    color_classifier(folder / 'm.onnx')
    mixed = messages([40] * 3)
    mixed[2] = (*mixed[2][:3], messages([40] * 3, (64, 48))[2][3])
    write_bag(Path('bag'), {'/image': mixed})
    assert run(capfd)[0] == 0
    _, pictures = frames('out/bag/video/image.webm')
    assert [picture.shape for picture in pictures] == [(96, 128, 3)] * 4
    # The label is at the top left.
    assert all(coloured(picture[:20, :64]) > 50 for picture in pictures)


def test_a_browser_plays_it_and_seeks(capfd, folder):
    if find_browser() is None:
        pytest.skip('needs Chromium: apt-get install chromium')
    write_bag(Path('bag'), {'/image': messages([100] * 40)})
    assert run(capfd)[0] == 0
    (folder / 'page.html').write_text('<video muted src="out/bag/video/image.webm"></video>')
    with Browser() as browser:
        browser.open(folder / 'page.html')
        assert browser.evaluate(PLAYED) > 0.1
        shown = '[v.videoWidth, v.videoHeight, Math.round(v.duration * 10), v.error]'
        assert browser.evaluate(f"(() => {{const v = document.querySelector('video'); return {shown}}})()") == [
            128, 96, 41, None]
        assert browser.evaluate("""new Promise((resolve) => {
            const video = document.querySelector('video');
            video.pause();
            video.addEventListener('seeked', () => resolve(video.currentTime));
            video.currentTime = 3.25;
        })""") == pytest.approx(3.25, abs=0.01)


def test_missing_frames_are_one_error(tmp_path):
    """As after a full disk, which OpenCV's writer does not report."""
    with video_file.VideoFile(tmp_path / 'a', 25.0) as file:
        for number in range(30):
            file.write(pixels(number))
    content = file.path.read_bytes()
    file.path.write_bytes(content[:len(content) // 2])
    with pytest.raises(webm.VideoError, match=r'b\.webm: 30 frames were written, but 1?[0-9] are in the file'):
        webm.copy_with_times(file.path, tmp_path / 'b.webm', range(0, 300, 10), 10, file.size, 'test', {})


def test_without_vp8_the_rate_is_constant(capfd, monkeypatch):
    # A codec that no OpenCV has, in place of VP8.
    monkeypatch.setattr(video_file, '_FORMATS', (('.webm', 'XXXX'), ('.mp4', 'mp4v')))
    write_bag(Path('bag'), {'/image': messages([100] * 5)})
    assert run(capfd)[0] == 0
    [path] = Path('out/bag/video').iterdir()
    assert path.name == 'image.mp4' and len(frames(path)[1]) == 6
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(10)


def test_the_video_is_a_source_for_predict(capfd):
    """Its stamps are those of the bag, from its beginning."""
    from trt_perception.sources.open_source import open_source

    steps = [40, 60, 40, 80, 200, 40, 40]
    write_bag(Path('bag'), {'/image': messages(steps)})
    assert run(capfd)[0] == 0
    with open_bag(Path('bag'), None, None) as bag, open_source('out/bag/video/image.webm') as video:
        stamps = [item.stamp_ns for item in bag]
        found = [item.stamp_ns for item in video]
    assert len(found) == len(stamps) and found[:-1] == [stamp - stamps[0] for stamp in stamps][:-1]
