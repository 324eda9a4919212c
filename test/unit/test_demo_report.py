# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's report: the sentence on the speed, the page with video and plots, opened in a real browser."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.browser import PLAYED, Browser, find_browser

from trt_perception.demo import html_report, plots
from trt_perception.demo.html_report import ReportData, write_html
from trt_perception.demo.report import Figures
from trt_perception.demo.verdict import is_too_slow, verdict
from trt_perception.results import video_file
from trt_perception.results.draw import draw_classifications, draw_detections
from trt_perception.results.results import Classifications, Detections
from trt_perception.results.video_file import VideoFile, video_size
from trt_perception.results.webm import VideoError

cv2 = pytest.importorskip('cv2', reason='needs OpenCV: make setup')
PHOTO = Path(__file__).parents[1] / 'data' / 'photos' / 'coffee.jpg'
FRAMES, FPS = 25, 12.5


def figures(network_ms=132.0, total_ms=140.0, p95=180.0, sent=250, **counts):
    numbers = {'received': sent, 'processed': sent - sum(counts.values()), **counts}
    stages = {
        'infer_ms_p50': network_ms, 'infer_ms_p95': p95, 'infer_ms_p99': p95,
        'total_ms_p50': total_ms, 'total_ms_p95': p95, 'total_ms_p99': p95}
    return Figures(
        sent, {key: str(value) for key, value in {**numbers, **stages}.items()}, [150.0, 160.0, 170.0],
        [('cup', 9), ('<b>&', 1)], 'objects, over all images')


def test_the_sentence_has_the_numbers_of_the_run():
    slow = figures(replaced=170, stale=5)
    assert verdict(slow, 40.0) == (
        'This machine is too slow for this video: the network needs 132 ms, the video has a frame every 40 ms; '
        '175 of 250 frames were skipped.')
    assert is_too_slow(slow)
    fast = figures(5.26, 7.0)
    assert verdict(fast, 1000 / 30) == (
        'This machine is fast enough: a frame takes 7.0 ms in the node, the video has a frame every 33 ms.')
    assert not is_too_slow(fast)
    # The network is fast enough, but not the whole frame.
    assert 'the node needs 45 ms for a frame, the video has' in verdict(figures(38.0, 45.0, replaced=30), 40.0)
    at_times = verdict(figures(20.0, 25.0, 95.0, replaced=30), 40.0)
    assert 'sometimes too slow' in at_times and 'up to 25 ms in the node, but one in twenty 95 ms or more' in at_times


def test_the_sentence_tolerates_the_first_frames_and_names_other_losses():
    assert verdict(figures(17.0, 19.0, replaced=5), 40.0).endswith('every 40 ms (5 of 250 frames were skipped).')
    lost = Figures(250, {**figures(17.0, 19.0).diagnostics, 'received': '249', 'failed': '2'}, [1.0], [], 'objects')
    assert verdict(lost, 40.0).endswith(
        'In addition: 1 frame lost between the processes, 2 frames without a result, because the inference failed. '
        'Why frames are lost: see the line "shared memory" of trt_perception doctor.')
    failed = Figures(250, {**figures(17.0, 19.0).diagnostics, 'failed': '2'}, [1.0], [], 'objects')
    assert verdict(failed, 40.0).endswith('because the inference failed.')
    # A run that is over before the node has reported its stages.
    assert verdict(Figures(9, {'received': '9'}, [1.0], [], 'objects'), 40.0) == (
        'This machine is fast enough: the video has a frame every 40 ms.')


@pytest.mark.parametrize('size, expected', [
    ((640, 272), (640, 272)), ((83, 61), (83, 61)), ((1920, 1080), (854, 480)), ((1080, 1920), (480, 854))])
def test_a_large_video_is_drawn_smaller_in_its_shape(size, expected):
    assert video_size(*size) == expected


def test_a_dimmed_drawing_lets_the_image_through():
    image = np.full((200, 300, 3), 100, np.uint8)
    boxes = Detections(np.array([[50, 60, 150, 160]], np.float32), np.array([0.9], np.float32), np.array([0]))
    classes = Classifications(np.array([0]), np.array([0.9], np.float32))
    for draw, result in ((draw_detections, boxes), (draw_classifications, classes)):
        full, dimmed = draw(image, result, ['cup']), draw(image, result, ['cup'], dimmed=True)
        assert (image == 100).all()
        # 0.4 of the difference remains, in each pixel and channel.
        expected = 100 + 0.4 * (full.astype(float) - 100)
        assert np.abs(dimmed - expected).max() <= 1
        assert np.abs(full.astype(int) - 100).max() >= 100


def make_video(folder):
    photo = cv2.resize(cv2.imread(str(PHOTO)), (320, 214))
    with VideoFile(folder / 'annotated', FPS) as file:
        for shift in range(FRAMES):
            file.write(np.roll(photo, 4 * shift, 1))
    file.check()
    return file.path


def make_report(folder, video):
    sheet = folder / 'contact_sheet.png'
    cv2.imwrite(str(sheet), cv2.resize(cv2.imread(str(PHOTO)), (320, 214)))
    data = ReportData(
        'my <model>.onnx', 'clip & co.mp4', video, sheet, verdict(figures(replaced=22, sent=25), 80.0),
        figures(replaced=22, sent=25), 80.0, FPS, {0: 150.0, 9: 160.0, 20: 170.0}, 10.0)
    write_html(folder / 'report.html', data)
    return (folder / 'report.html').read_text(encoding='utf-8')


def test_the_page_is_one_file_that_loads_nothing(tmp_path):
    page = make_report(tmp_path, make_video(tmp_path))
    assert re.findall(r'(?:src|href)="(.{5})', page) == ['data:', 'data:']
    assert 'http' not in page.replace('http-equiv', '')
    assert '<h1>my &lt;model&gt;.onnx on clip &amp; co.mp4</h1>' in page and '<b>&' not in page
    assert page.count('<svg') == 4
    # Three dots and 22 ticks.
    dots, ticks = (re.search(rf'class="{name}" d="([^"]*)"', page).group(1) for name in ('dots', 'skips'))
    assert dots.count('h0') == 3 and ticks.count('v8') == 22


@pytest.mark.parametrize('width, height', [(1200, 900), (390, 800)])
def test_the_video_plays_in_a_browser(tmp_path, width, height):
    if find_browser() is None:
        pytest.skip('needs Chromium: apt-get install chromium')
    make_report(tmp_path, make_video(tmp_path))
    (tmp_path / 'annotated.webm').unlink()  # The page has it inside.
    with Browser() as browser:
        browser.open(tmp_path / 'report.html', width, height)
        assert browser.evaluate(PLAYED) > 0.1
        shown = '[v.videoWidth, v.videoHeight, Math.round(v.duration * 10), v.error]'
        assert browser.evaluate(f"(() => {{const v = document.querySelector('video'); return {shown}}})()") == [
            320, 214, 20, None]
        # A click in the middle of the timeline goes to the middle of the video, and the line follows.
        assert browser.evaluate("""new Promise((resolve) => {
            const video = document.querySelector('video'), area = document.getElementById('timeline');
            video.pause();
            video.addEventListener('seeked', () => setTimeout(() => resolve([video.currentTime,
                document.getElementById('playhead').transform.baseVal[0].matrix.e / area.width.baseVal.value]), 50));
            const box = area.getBoundingClientRect();
            area.dispatchEvent(new MouseEvent('click', {clientX: box.left + box.width / 2, clientY: box.top + 5}));
        })""") == pytest.approx([1.0, 0.5], abs=0.02)
        # Nothing is wider than the window.
        assert browser.evaluate('document.documentElement.scrollWidth') <= width
        assert browser.errors == []


def test_a_long_video_stays_beside_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, 'EMBED_BYTES', 1000)
    page = make_report(tmp_path, make_video(tmp_path))
    assert 'src="annotated.webm"' in page and 'keep annotated.webm in the same folder' in page
    if find_browser() is None:
        pytest.skip('needs Chromium: apt-get install chromium')
    with Browser() as browser:
        browser.open(tmp_path / 'report.html')
        assert browser.evaluate(PLAYED) > 0.1
        assert browser.errors == []


def test_without_a_vp8_encoder_the_page_says_so_and_shows_frames(tmp_path, monkeypatch):
    # A codec that no OpenCV has, in place of VP8.
    monkeypatch.setattr(video_file, '_FORMATS', (('.webm', 'XXXX'), ('.mp4', 'mp4v')))
    video = make_video(tmp_path)
    assert video.name == 'annotated.mp4' and not (tmp_path / 'annotated.webm').exists()
    page = make_report(tmp_path, video)
    assert '<video' not in page and 'src="data:image/png;base64,' in page
    assert 'this OpenCV has no VP8 encoder (libvpx), so it is MPEG-4 Part 2' in page


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path, capfd):
    missing = tmp_path / 'missing' / 'annotated'
    with VideoFile(missing, 25.0) as file, pytest.raises(VideoError, match='neither VP8 nor'):
        file.write(np.zeros((20, 20, 3), np.uint8))
    assert capfd.readouterr().err == ''


def test_plots_of_extreme_values_are_drawn():
    for page in (
            plots.timeline([0.0], [0.0], [], 0.0, 1e-6), plots.timeline([0.0], [1e6], [0.0], 3600.0, 40.0),
            plots.histogram([0.01], (50, 95, 99)), plots.histogram([0.0, 1e5], (50,)), plots.bars([], '', 'none'),
            plots.bars([('x' * 50, 0.0, None)], '', 'zero')):
        assert page.startswith('<svg') and 'nan' not in page and 'inf' not in page
