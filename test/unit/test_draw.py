# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_perception.results.draw import (
    class_color,
    contact_sheet,
    draw_classifications,
    draw_detections,
    lay_out_labels,
)
from trt_perception.results.results import Classifications, Detections
from trt_perception.results.text_label import text_color

NAMES = ['person', 'bicycle', 'traffic light', 'Zebrastreifen vor der Ampel, groß', '停车标志']
PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'


def detections(boxes, classes=None, scores=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    return Detections(
        boxes, np.array(scores if scores is not None else np.linspace(0.9, 0.3, n), np.float32),
        np.array(classes if classes is not None else np.arange(n) % 5, np.int64))


def where_drawn(image, before):
    """Return the bounds (left, top, right, bottom) of the changed pixels, in pixel edges."""
    rows, columns = np.nonzero((image != before).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def area_of(image, color):
    rows, columns = np.nonzero((image == color).all(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize('size', [(320, 240), (640, 480), (1920, 1080), (3840, 2160)])
def test_the_line_lies_on_the_edges_of_the_box(size):
    width, height = size
    image = np.full((height, width, 3), 127, np.uint8)
    box = np.array([0.25 * width, 0.4 * height, 0.75 * width, 0.8 * height])
    drawn = draw_detections(image, detections([box], [0]), NAMES)
    color = class_color(0)
    left, top, right, bottom = (int(v) for v in box)
    # First and last pixel inside the box, at the middle of each side, away from the label.
    for x, y in ((left, (top + bottom) // 2), (right - 1, (top + bottom) // 2),
                 ((left + right) // 2, bottom - 1)):
        assert drawn[y, x].tolist() == list(color)
    # Lines grow with the image; the inside is unchanged. OpenCV draws up to two pixels more.
    line = np.count_nonzero((drawn[(top + bottom) // 2] == color).all(axis=1)) / 2
    asked = max(2, 0.0022 * (width * height) ** 0.5)
    assert asked - 1 < line < asked + 2.5
    assert (drawn[top + height // 20:bottom - height // 20,
                  left + width // 20:right - width // 20] == 127).all()


@pytest.mark.parametrize('size', [(320, 240), (3840, 2160)])
def test_labels_are_readable(size):
    width, height = size
    [(_, label)] = lay_out_labels(
        detections([[0.3 * width, 0.5 * height, 0.8 * width, 0.9 * height]], [0]), NAMES,
        width, height, 2)
    assert label.text == 'person 0.90'
    canvas = np.zeros((height, width, 3), np.uint8)
    label.draw(canvas, (0, 0, 0))  # White on black: only the letters.
    left, top, right, bottom = where_drawn(canvas, np.zeros_like(canvas))
    # From the top of d to the bottom of p: about 1.3 capitals.
    assert bottom - top >= 9
    assert 0.015 <= (bottom - top) / (width * height) ** 0.5 <= 0.06
    assert 4 < (right - left) / (bottom - top) < 12
    assert left > label.x and right < label.x + label.width
    assert top > label.y and bottom < label.y + label.height


@given(size=st.tuples(st.integers(1, 400), st.integers(1, 300)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_anything_is_drawn_without_error_and_the_input_is_left_alone(size, seed):
    rng = np.random.default_rng(seed)
    width, height = size
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    corners = np.sort(rng.random((6, 2, 2)), axis=1) * (width, height)
    result = detections(corners.reshape(6, 4), rng.integers(0, 9, 6), rng.random(6))
    drawn = draw_detections(image, result, NAMES)
    listed = draw_classifications(
        image, Classifications(np.array([4, 0, 99, 3]), np.array([.5, .3, .1, .1])), NAMES)
    for output in (drawn, listed):
        assert output.shape == image.shape and output.dtype == np.uint8
        assert not np.shares_memory(output, image)
    np.testing.assert_array_equal(image, before)


@given(size=st.tuples(st.integers(1, 500), st.integers(1, 400)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_labels_stay_inside_the_image(size, seed):
    rng = np.random.default_rng(seed)
    width, height = size
    corners = np.sort(rng.choice([0, 0.01, 0.3, 0.7, 0.99, 1], (8, 2, 2)), axis=1) * size
    result = detections(corners.reshape(8, 4), rng.integers(0, 9, 8), rng.random(8))
    labels = lay_out_labels(result, NAMES, width, height, 2)
    for _, label in labels:
        assert label.x >= 0 and label.x + label.width <= width
        assert label.y >= 0 and label.y + label.height <= height
        # The letters stay inside their rectangle, and therefore inside the image.
        canvas = np.zeros((height, width, 3), np.uint8)
        label.draw(canvas, (0, 0, 0))
        left, top, right, bottom = where_drawn(canvas, np.zeros_like(canvas))
        assert left >= label.x and right <= label.x + label.width
        assert top >= label.y and bottom <= label.y + label.height
    if width >= 150 and height >= 30:
        assert len(labels) == 8
        assert [result.scores[i] for i, _ in labels] == sorted(result.scores, reverse=True)


def test_labels_lie_at_their_box():
    def place(*box):
        [(_, label)] = lay_out_labels(detections([box], [0]), NAMES, 640, 480, 2)
        return label.x, label.y, label.x + label.width, label.y + label.height
    above = place(200, 200, 330, 330)
    assert 197 <= above[0] <= 200 and 195 <= above[3] <= 200
    inside_top = place(200, 3, 330, 330)
    assert inside_top[1] <= 3 < inside_top[3] < 40
    at_the_right = place(600, 200, 640, 330)
    assert at_the_right[2] == 640 and at_the_right[0] < 600


def test_labels_of_equal_boxes_do_not_hide_each_other():
    result = detections([[200, 200, 330, 330]] * 4, [0, 1, 2, 0], [0.9, 0.8, 0.7, 0.6])
    labels = [label for _, label in lay_out_labels(result, NAMES, 640, 480, 2)]
    for index, label in enumerate(labels):
        assert not any(label.overlaps(other) for other in labels[:index])


def test_long_and_foreign_names():
    [(_, short)] = lay_out_labels(detections([[0, 0, 50, 50]], [3]), NAMES, 160, 120, 2)
    assert short.text.startswith('Zebrastreifen') and short.text.endswith('..')
    [(_, plain)] = lay_out_labels(detections([[0, 0, 50, 50]], [3]), NAMES, 2000, 900, 2)
    assert plain.text == 'Zebrastreifen vor der Ampel, gro? 0.90'
    [(_, number)] = lay_out_labels(detections([[0, 0, 50, 50]], [77]), NAMES, 640, 480, 2)
    assert number.text == '77 0.90'


def test_colours_are_stable_distinct_and_carry_readable_text():
    colors = [class_color(i) for i in range(80)]
    assert colors == [class_color(i) for i in range(80)]
    assert len(set(colors)) == 80
    for a, b in itertools.pairwise(colors):
        assert np.abs(np.subtract(a, b)).max() > 100
    for color in colors:
        assert contrast(color, text_color(color)) >= 4.5  # WCAG AA.
    assert text_color((255, 255, 255)) == (0, 0, 0)
    assert text_color((0, 0, 0)) == text_color((255, 0, 0)) == (255, 255, 255)


def contrast(a, b):
    def luminance(bgr):
        c = np.array(bgr) / 255
        c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return c @ [0.0722, 0.7152, 0.2126] + 0.05
    low, high = sorted((luminance(a), luminance(b)))
    return high / low


def test_the_highest_score_is_on_top():
    image = np.zeros((480, 640, 3), np.uint8)
    result = detections([[100, 100, 300, 300]] * 2, [0, 1], [0.4, 0.8])
    drawn = draw_detections(image, result, NAMES)
    assert drawn[200, 100].tolist() == list(class_color(1))


def test_nothing_found_is_an_equal_copy():
    image = np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3)
    image.setflags(write=False)  # Like the view of a message's bytes.
    drawn = draw_detections(image, Detections.empty(), NAMES)
    np.testing.assert_array_equal(drawn, image)
    assert drawn.flags.writeable


def test_classifications_are_listed_at_the_top_left():
    image = np.full((480, 640, 3), 127, np.uint8)
    result = Classifications(np.array([1, 0, 7]), np.array([0.7, 0.2, 0.1], np.float32))
    drawn = draw_classifications(image, result, NAMES)
    left, top, right, bottom = where_drawn(drawn, image)
    assert (left, top) == (0, 0) and right < 320 and bottom < 120
    rows = [area_of(drawn, class_color(c))[1] for c in (1, 0, 7)]
    assert rows == sorted(rows) and len(set(rows)) == 3
    # If the image is too low for three, the first ones are drawn.
    low = draw_classifications(image[:40], result, NAMES)
    assert (low == class_color(1)).all(axis=2).any()
    assert not (low == class_color(7)).all(axis=2).any()


def test_contact_sheet():
    images = [np.full((90, 160, 3), v, np.uint8) for v in (50, 100, 150, 200)]
    images.append(np.full((300, 100, 3), 250, np.uint8))  # Another shape: fitted, not stretched.
    sheet = contact_sheet(images, columns=3, caption='five frames', cell_width=320)
    # Two rows of 180 pixels and three columns of 320, gaps of 4, and the caption.
    assert sheet.shape[1] == 3 * 320 + 4 * 4
    assert 2 * 180 + 3 * 4 < sheet.shape[0] < 2 * 180 + 3 * 4 + 60
    head = sheet.shape[0] - 2 * (180 + 4)
    areas = [area_of(sheet[head:], (v, v, v)) for v in (50, 100, 150, 200, 250)]
    assert [(r - x, b - y) for x, y, r, b in areas[:4]] == [(320, 180)] * 4
    assert [(a[0], a[1] - areas[0][1]) for a in areas[:4]] == [
        (4, 0), (328, 0), (652, 0), (4, 184)]
    x, y, right, bottom = areas[4]
    assert (right - x, bottom - y) == (60, 180) and (x + right) / 2 == 328 + 160
    assert (sheet[:head, :400] > 200).any() and (sheet[:head, 800:] == 32).all()  # The caption.
    assert contact_sheet(images[:1], columns=3, cell_width=160).shape == (90 + 4, 160 + 4, 3)
    for arguments in (([],), (images, 0), (images, 2, '', 0)):
        with pytest.raises(ValueError, match='expected images'):
            contact_sheet(*arguments)


def test_drawing_on_a_photograph_changes_it_at_the_boxes_only():
    image = cv2.imread(str(PHOTOS / 'astronaut.jpg'))
    if image is None:
        pytest.skip(f'{PHOTOS} has no astronaut.jpg')
    height, width = image.shape[:2]
    box = [0.3 * width, 0.3 * height, 0.6 * width, 0.7 * height]
    drawn = draw_detections(image, detections([box], [0]), NAMES)
    left, top, right, bottom = where_drawn(drawn, image)
    margin = 0.08 * height
    assert left >= box[0] - 6 and right <= box[2] + 6
    assert top >= box[1] - margin and bottom <= box[3] + 6


@pytest.mark.parametrize('text, shown', [
    ('cat', 'cat'), ('Käfer', 'Kafer'), ('型', '?'), ('a\nb\r\x1b[31m\x07', 'a?b??[31m?'), ('a\u202eb\u200d', 'a?b?'),
    ('\ud800', '?')])
def test_labels_are_one_line_of_printable_ascii(text, shown):
    from trt_perception.results.text_label import to_ascii

    assert to_ascii(text) == shown


def test_a_name_with_line_breaks_stays_in_its_label():
    names = ['a\nb\nc\nd']
    result = Detections(np.array([[20, 60, 100, 90]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int64))
    picture = draw_detections(np.zeros((120, 160, 3), np.uint8), result, names)
    plain = draw_detections(np.zeros((120, 160, 3), np.uint8), result, ['a?b?c?d'])
    np.testing.assert_array_equal(picture, plain)


def test_an_object_with_an_id_shows_it_and_keeps_its_colour():
    """The colour is that of the id: another class in one image does not change it."""
    image = np.full((240, 320, 3), 127, np.uint8)
    plain = detections([[40, 60, 200, 200]], [0], [0.9])
    tracked = [Detections(plain.boxes, plain.scores, np.array([index]), np.array([12])) for index in (0, 1)]
    labels = [lay_out_labels(result, NAMES, 320, 240, 2)[0][1].text for result in (plain, *tracked)]
    assert labels == ['person 0.90', '#12 person 0.90', '#12 bicycle 0.90']
    for result in tracked:
        # The label on the box begins at the outer edge of its line.
        assert area_of(draw_detections(image, result, NAMES), class_color(12))[0] == 38
    # An object without an id is drawn as without tracking.
    new = Detections(plain.boxes, plain.scores, plain.class_indices, np.array([0]))
    assert (draw_detections(image, new, NAMES) == draw_detections(image, plain, NAMES)).all()
