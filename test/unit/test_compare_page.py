# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of `compare`: one file of bounded size, any names, the right pixels, in a real browser."""

import base64
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.annotations import START, box, image, line, write_annotation, write_lines
from support.browser import Browser, find_browser

from trt_perception.cli.main import main

cv2 = pytest.importorskip('cv2', reason='needs OpenCV: make setup')
PHOTO = Path(__file__).parents[1] / 'data' / 'photos' / 'coffee.jpg'
LONG = 'a_very_long_class_name_' * 8
NAMES = ('行人', '電動輔助自行車與載貨或載人的三輪車輛', LONG, '<b>&"x"', 'car')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page_of(*arguments, code=0):
    assert main(['compare', *map(str, arguments), '--html', 'page.html']) == code
    return Path('page.html').read_text(encoding='utf-8')


def random_lines(frames, seed=0, changes=0.0):
    """12 boxes an image; a part of them is lost, has another class or moves."""
    places, noise = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    for frame in range(frames):
        found = []
        for _ in range(12):
            (x, y), (wide, tall) = places.uniform(0, 400, 2), places.uniform(20, 80, 2)
            name, score = int(places.integers(5)), float(places.uniform(0.3, 0.99))
            kind = int(noise.integers(3)) if noise.random() < changes else 3
            if kind:
                x, name = x + (kind == 1) * wide / 6, (name + (kind == 2)) % 5
                found.append(box(NAMES[name], round(score, 6), *(round(float(v), 3) for v in (
                    x, y, x + wide, y + tall))))
        yield line(frame, found, stamp_ns=START + frame * 10**9)


def pictures(page):
    """The embedded images, HxWx3."""
    return [cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
            for text in re.findall('href="data:image/jpeg;base64,([^"]*)"', page)]


def views(page):
    return [tuple(map(int, text.split())) for text in re.findall('<svg viewBox="([^"]*)"', page)]


def test_the_page_is_one_file_that_loads_nothing_and_escapes_names():
    write_lines('a<i>.jsonl', random_lines(40))
    write_lines('b.jsonl', random_lines(40, changes=0.1))
    page = page_of('a<i>.jsonl', 'b.jsonl', '--max-lost', 0, code=1)
    assert re.findall(r'(?:src|href)="(.{5})', page) == ['data:'] and 'http' not in page and '<script' not in page
    assert '<b>&' not in page and '<i>.jsonl' not in page and '&lt;b&gt;&amp;&quot;x&quot;' in page
    for name in ('行人', '電動輔助自行車與載貨或載人的三輪車輛', LONG[:40]):
        assert name in page
    assert page.count('<figure>') == 24 and 'Not passed:' in page
    assert 'are not there any more' in page


def test_the_size_is_bounded_with_2000_differences():
    write_lines('a.jsonl', random_lines(1000))
    write_lines('b.jsonl', random_lines(1000, changes=0.25))
    page = page_of('a.jsonl', 'b.jsonl', '--pictures', 30)
    lost = int(re.search(r'<b>([\d,]+)</b><span class="soft">boxes lost', page).group(1).replace(',', ''))
    assert lost > 1900 and page.count('<figure>') == 30 and len(page) < 200_000
    assert '<figure>' not in page_of('a.jsonl', 'b.jsonl', '--pictures', 0)


def test_without_a_difference():
    write_lines('a.jsonl', random_lines(3))
    page = page_of('a.jsonl', 'a.jsonl', '--max-lost', 0, '--max-gained', 0, '--max-score-difference', 0)
    assert '<p class="verdict">Passed: all limits hold.' in page and 'No image differs by 0.01 or more.' in page


def test_the_pictures_come_from_the_bag_then_from_coco_then_there_are_none(capsys):
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import IMAGE, write_bag

    photos = [np.roll(cv2.resize(cv2.imread(str(PHOTO)), (160, 120)), 9 * n, axis=1) for n in range(3)]
    write_bag(Path('bag'), {'/front/image_raw': [
        (IMAGE, START + n * 10**9 + 5, START + n * 10**9, {
            'height': 120, 'width': 160, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 480, 'data': photo.reshape(-1)})
        for n, photo in enumerate(photos)]})

    def lines(found):
        return [line(n, boxes, '/front/image_raw', (160, 120), START + n * 10**9) for n, boxes in enumerate(found)]

    car, dog = box('car', 0.9, 100, 70, 130, 100), box('dog', 0.5, 10, 10, 20, 20)
    file = str(Path('bag/bag.mcap').resolve())
    write_annotation('a/bag', lines([[car], [dog], [dog]]), bag=file)
    write_annotation('b/bag', lines([[], [dog], []]), bag=file)

    def require(count, tolerance):
        """The part of the image that the view says, from the photo of its frame."""
        page = page_of('a', 'b')
        found = pictures(page)
        assert len(found) == count and len(views(page)) == 2
        for (x, y, width, height), picture, frame in zip(views(page), found, (0, 2)):
            expected = photos[frame][y:y + height, x:x + width]
            assert picture.shape == expected.shape
            assert np.abs(picture.astype(int) - expected).mean() < tolerance
        return page

    page = require(2, 6)
    # 1.6 times the box of the lost car, 30x30, and as wide as 4:3: 64x48 around its centre, 115, 85.
    assert views(page)[0] == (83, 61, 64, 48) and 'lost</b> car 0.90' in page
    # The bag is gone, and A has images for labelling.
    shutil.move('bag', 'moved')
    Path('a/bag/coco/images').mkdir(parents=True)
    for frame in (0, 2):
        cv2.imwrite(f'a/bag/coco/images/front_image_raw_{frame:06d}.jpg', photos[frame])
    require(2, 8)
    shutil.rmtree('a/bag/coco')
    capsys.readouterr()
    assert 'bag: 2 of 2 images are not there any more' in require(0, 0)
    assert 'bag.mcap: no such file)' in capsys.readouterr().err
    # Another recording has the place of the bag now.
    write_bag(Path('bag'), {'/front/image_raw': [
        (IMAGE, n + 5, n + 7, {'height': 120, 'width': 160, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 480,
                               'data': photos[0].reshape(-1)}) for n in range(3)]})
    assert 'bag has another image there now' in require(0, 0).replace('bag.mcap', 'bag')


def test_pictures_of_images_that_predict_read():
    cv2.imwrite('photo.png', cv2.resize(cv2.imread(str(PHOTO)), (160, 120)))
    write_lines('a.jsonl', [image('photo.png', [('cup', 0.9), ('bowl', 0.1)], size=(160, 120))])
    write_lines('b.jsonl', [image('photo.png', [('bowl', 0.7), ('cup', 0.2)], size=(160, 120))])
    page = page_of('a.jsonl', 'b.jsonl')
    [picture] = pictures(page)
    assert np.abs(picture.astype(int) - cv2.imread('photo.png')).mean() < 8
    assert views(page) == [(0, 0, 160, 120)] and 'cup 0.90 → bowl 0.70' in page


def test_pictures_of_a_bag_with_several_topics_whose_lines_are_alone():
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import IMAGE, write_bag

    photo = cv2.resize(cv2.imread(str(PHOTO)), (160, 120))
    photos = {'/front/image_raw': photo, '/rear/image_raw': photo[::-1]}
    write_bag(Path('bag'), {topic: [
        (IMAGE, START, START, {'height': 120, 'width': 160, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 480,
                               'data': pixels.reshape(-1)})] for topic, pixels in photos.items()})
    for name, scores in (('a', (0.9, 0.8)), ('b', (0.2, 0.3))):
        # Without annotation.json beside them: copied from there.
        write_lines(f'{name}.jsonl', [
            {**line(0, [box('cup', score, 10, 10, 80, 80)], topic, (160, 120), START), 'source': 'bag'}
            for score, topic in zip(scores, photos)])
    found = pictures(page_of('a.jsonl', 'b.jsonl'))
    assert len(found) == 2
    for picture, pixels in zip(found, photos.values()):
        assert np.abs(picture.astype(int) - pixels).mean() < 8


@pytest.mark.parametrize('width, height', [(1200, 900), (390, 800)])
def test_the_page_in_a_browser(width, height):
    """Nothing is wider than the window, nothing is loaded, and names stay in their pictures."""
    if find_browser() is None:
        pytest.skip('needs Chromium: apt-get install chromium')
    write_annotation('a/' + 'long name ' * 12, random_lines(60), names=NAMES)
    write_annotation('b/' + 'long name ' * 12, random_lines(60, changes=0.2), names=NAMES)
    page_of('a', 'b', '--max-lost', 0, '--each-class', 1, code=1)
    with Browser() as browser:
        browser.open(Path('page.html').resolve(), width, height)
        assert browser.evaluate('document.documentElement.scrollWidth') <= width
        assert browser.evaluate("document.querySelectorAll('figure').length") == 24
        outside = """[...document.querySelectorAll('svg')].flatMap((svg) => {
            const area = svg.viewBox.baseVal;
            return [...svg.querySelectorAll('text')].filter((text) => {
                const box = text.getBBox();
                return box.x < area.x || box.x + box.width > area.x + area.width + 1;
            }).map((text) => text.textContent);
        })"""
        assert browser.evaluate(outside) == []
        assert browser.errors == []
        assert [request for request in browser.requests if not request.startswith(('file:', 'data:'))] == []
