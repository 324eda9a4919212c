# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes in space from synthetic scenes with known places; depth images of every kind; wrong inputs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_perception.depth.boxes import Core, Mask, measure
from trt_perception.depth.camera import Pinhole, pinhole, require_inside, require_same_size, scale_to_depth
from trt_perception.depth.image import depth_image, label_image
from trt_perception.errors import FrameError

CAMERA = Pinhole(640, 480, 500.0, 520.0, 319.5, 239.5)
KINDS = [('16UC1', 0, '<u2', 1000), ('16UC1', 1, '>u2', 1000), ('mono16', 0, '<u2', 1000), ('32FC1', 0, '<f4', 1),
         ('32FC1', 1, '>f4', 1)]


def message(metres, encoding='32FC1', is_bigendian=0, pixel='<f4', factor=1, padding=0):
    """The fields of an image with these depths, each row some bytes longer than its pixels."""
    values = np.round(metres * factor) if pixel[1] == 'u' else metres
    rows = np.ascontiguousarray(values.astype(pixel)).view(np.uint8).reshape(len(metres), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return depth_image(encoding, is_bigendian, metres.shape[1], metres.shape[0], rows.shape[1], rows.tobytes())


def scene(boxes, background=8.0, camera=CAMERA, size=(640, 480)):
    """Depths of flat objects in front of a wall, and the box of each in the image.

    boxes: centre x, y, z, width, height in metres, the farthest first. The projection is written here once more, with
    the centres of pixels.
    """
    metres = np.full((size[1], size[0]), background)
    v, u = np.mgrid[:size[1], :size[0]]
    found = []
    for x, y, z, width, height in boxes:
        inside = (np.abs((u - camera.cx) / camera.fx * z - x) <= width / 2) & (
            np.abs((v - camera.cy) / camera.fy * z - y) <= height / 2)
        metres[inside] = z
        found.append([
            (x - width / 2) / z * camera.fx + camera.cx + 0.5, (y - height / 2) / z * camera.fy + camera.cy + 0.5,
            (x + width / 2) / z * camera.fx + camera.cx + 0.5, (y + height / 2) / z * camera.fy + camera.cy + 0.5])
    return metres, found


SCENE = [(-0.8, -0.3, 4.0, 0.9, 1.2), (0.6, 0.2, 2.5, 0.5, 0.4), (0.0, 0.0, 1.0, 0.1, 0.2)]


@pytest.mark.parametrize('encoding, is_bigendian, pixel, factor', KINDS)
@pytest.mark.parametrize('padding', [0, 12])
def test_known_boxes_in_every_kind_of_image(encoding, is_bigendian, pixel, factor, padding):
    metres, boxes = scene(SCENE)
    depth = message(metres, encoding, is_bigendian, pixel, factor, padding)
    for (x, y, z, width, height), box in zip(SCENE, boxes):
        found = measure(box, depth, CAMERA, (1.0, 1.0), Core())
        assert found.centre == pytest.approx((x, y, z), abs=1e-3)
        assert found.size == pytest.approx((width, height, 0.0), abs=1e-3)


@given(
    st.floats(-0.5, 0.5), st.floats(-0.4, 0.4), st.floats(0.5, 6), st.floats(0.1, 0.5), st.floats(0.1, 0.5),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]))
def test_any_box_and_any_resolution_of_the_depth(x, y, z, width, height, scale):
    x, y = x * z, y * z
    coarse = Pinhole(
        round(640 * scale), round(480 * scale), CAMERA.fx * scale, CAMERA.fy * scale,
        (CAMERA.cx + 0.5) * scale - 0.5, (CAMERA.cy + 0.5) * scale - 0.5)
    metres, _ = scene([(x, y, z, width, height)], camera=coarse, size=(coarse.width, coarse.height))
    _, boxes = scene([(x, y, z, width, height)])
    depth = message(metres)
    found = measure(boxes[0], depth, CAMERA, scale_to_depth(CAMERA, depth), Core())
    if min(width, height) / z * 500 * scale < 4 or abs(x) / z * 500 > 310 or abs(y) / z * 520 > 230:
        return
    assert found.centre == pytest.approx((x, y, z), abs=1e-6)
    assert found.size[:2] == pytest.approx((width, height), abs=1e-6)


def test_unknown_depths_do_not_count():
    """A third of the object has no depth: NaN, infinity, 0 and negative numbers."""
    metres, boxes = scene([(0.0, 0.0, 2.0, 0.8, 0.8)])
    rng = np.random.default_rng(0)
    for value in (np.nan, np.inf, -np.inf, 0.0, -1.0):
        broken = np.where(rng.random(metres.shape) < 0.33, value, metres)
        assert measure(boxes[0], message(broken), CAMERA, (1.0, 1.0), Core()).centre == pytest.approx((0, 0, 2))
    broken = np.where(rng.random(metres.shape) < 0.33, 0, metres)
    depth = message(broken, '16UC1', 0, '<u2', 1000)
    assert measure(boxes[0], depth, CAMERA, (1.0, 1.0), Core()).centre == pytest.approx((0, 0, 2))


@pytest.mark.parametrize('value', [np.nan, np.inf, 0.0, 0.01, 50.0])
def test_a_box_without_depths_has_no_place(value):
    metres, boxes = scene([(0.0, 0.0, 2.0, 0.8, 0.8)])
    rng = np.random.default_rng(0)
    # 5 % of the depths are known, and 10 % are needed.
    broken = np.where(rng.random(metres.shape) < 0.95, value, metres)
    assert measure(boxes[0], message(broken), CAMERA, (1.0, 1.0), Core()) is None
    assert measure(boxes[0], message(broken), CAMERA, (1.0, 1.0), Core(known=0.02)).centre[2] == 2.0


def test_the_wall_beside_an_object_does_not_count():
    """The box is a quarter too wide on each side: the core has the object only."""
    metres, boxes = scene([(0.0, 0.0, 2.0, 0.5, 0.8)])
    left, top, right, bottom = boxes[0]
    wide = [left - (right - left) / 4, top, right + (right - left) / 4, bottom]
    found = measure(wide, message(metres), CAMERA, (1.0, 1.0), Core())
    assert found.centre == pytest.approx((0, 0, 2))
    assert found.size[2] == 0


def test_extent_and_covariance_are_those_of_the_spread():
    """A plane that is 0.3 m deep, with noise of 2 cm."""
    rng = np.random.default_rng(0)
    metres = 2.0 + np.linspace(-0.3, 0.3, 640)[None] * np.ones((480, 1))
    flat = 2.0 + rng.normal(0, 0.02, (480, 640))
    box = [120, 140, 520, 340]
    # The core is half as wide as the box: 200 of 640 columns, of which 5 % to 95 % count.
    sloped = measure(box, message(metres), CAMERA, (1.0, 1.0), Core())
    assert sloped.size[2] == pytest.approx(0.6 * 200 / 640 * 0.9, rel=0.02)
    noisy = measure(box, message(flat), CAMERA, (1.0, 1.0), Core())
    assert math.sqrt(noisy.covariance[2, 2]) == pytest.approx(0.02, rel=0.05)
    # x and y: a twentieth of the box.
    assert math.sqrt(noisy.covariance[0, 0]) == pytest.approx(noisy.size[0] / 20, rel=0.01)
    for found in (sloped, noisy):
        assert np.linalg.eigvalsh(found.covariance).min() > 0
        assert np.array_equal(found.covariance, found.covariance.T)


def test_a_far_object_at_the_side_is_uncertain_along_its_ray():
    rng = np.random.default_rng(0)
    metres, boxes = scene([(3.0, 0.0, 6.0, 0.3, 0.3)])
    found = measure(boxes[0], message(metres + rng.normal(0, 0.3, metres.shape)), CAMERA, (1.0, 1.0), Core())
    values, vectors = np.linalg.eigh(found.covariance)
    assert np.abs(vectors[:, -1] @ [3, 0, 6]) / math.hypot(3, 6) > 0.99
    assert math.sqrt(values[-1]) == pytest.approx(0.3 * math.hypot(3, 6) / 6, rel=0.15)


@pytest.mark.parametrize('box, known', [
    ([-20, -20, 20, 20], True), ([630, 470, 640, 480], True), ([0, 0, 640, 480], True),
    ([100, 100, 100.2, 100.3], True),
    ([700, 100, 800, 200], False), ([-300, 10, -200, 20], False), ([100, 480, 120, 500], False)])
def test_boxes_at_the_border_and_tiny_ones(box, known):
    found = measure(box, message(np.full((480, 640), 3.0)), CAMERA, (1.0, 1.0), Core())
    assert (found is not None) == known
    if known:
        assert found.centre[2] == 3.0


def test_a_value_that_is_not_known_in_a_huge_box():
    """Only some of the pixels of a large box are looked at."""
    metres = np.full((1200, 1600), 3.0)
    metres[::2] = np.nan
    found = measure([0, 0, 1600, 1200], message(metres), Pinhole(1600, 1200, 900, 900, 800, 600), (1, 1), Core())
    assert found is not None and found.centre[2] == 3.0


def frame_of(boxes, size=(480, 640)):
    """Labels of objects that are a frame: the middle of each box is not theirs."""
    labels = np.zeros(size, np.uint16)
    for number, (left, top, right, bottom) in enumerate(boxes, 1):
        labels[top:bottom, left:right] = number
        labels[top + 40:bottom - 40, left + 40:right - 40] = 0
    return labels


@pytest.mark.parametrize('step', [1, 2])
def test_the_depths_of_a_mask(step):
    """One looks through the object: the core shows the wall. The depth image may be half as large."""
    boxes = [(100, 100, 300, 300), (260, 120, 460, 320)]
    labels = frame_of(boxes)
    metres = np.full((480, 640), 6.0)
    for number, z in ((1, 2.0), (2, 3.0)):
        metres[labels == number] = z
    depth = message(metres[step // 2::step, step // 2::step])
    scale = scale_to_depth(CAMERA, depth)
    for number, (box, z) in enumerate(zip(boxes, (2.0, 3.0)), 1):
        assert measure(box, depth, CAMERA, scale, Core()).centre[2] == 6.0 or number == 2
        found = measure(box, depth, CAMERA, scale, Core(), Mask(labels, number))
        assert found.centre[2] == z
        assert found.size[:2] == pytest.approx((200 / CAMERA.fx * z, 200 / CAMERA.fy * z))
        assert found.size[2] == 0
    # A mask without pixels, and one without depths.
    assert measure(boxes[0], depth, CAMERA, scale, Core(), Mask(labels, 3)) is None
    metres[labels == 1] = np.nan
    assert measure(boxes[0], message(metres), CAMERA, (1.0, 1.0), Core(), Mask(labels, 1)) is None


@pytest.mark.parametrize('encoding, is_bigendian, pixel', [
    ('16UC1', 0, '<u2'), ('16UC1', 1, '>u2'), ('mono8', 0, 'u1')])
def test_labels_of_a_message(encoding, is_bigendian, pixel):
    labels = np.arange(12).reshape(3, 4)
    rows = labels.astype(pixel)
    read = label_image(encoding, is_bigendian, 4, 3, rows.strides[0], rows.tobytes())
    assert read.tolist() == labels.tolist()
    with pytest.raises(FrameError, match=r"masks have the encoding 'bgr8': expected 16UC1"):
        label_image('bgr8', 0, 4, 3, 12, bytes(36))
    with pytest.raises(FrameError, match=r'masks have 4x3 pixels, but camera_info is for 640x480'):
        require_same_size(CAMERA, read)


# The camera


def test_the_camera_of_a_camera_info():
    k = [500, 0, 320, 0, 510, 240, 0, 0, 1]
    p = [480, 0, 310, 0, 0, 490, 230, 0, 0, 0, 1, 0]
    assert pinhole(640, 480, k, p) == Pinhole(640, 480, 480, 490, 310, 230)
    assert pinhole(640, 480, k, [0.0] * 12) == Pinhole(640, 480, 500, 510, 320, 240)
    assert pinhole(640, 480, k, p, (2, 2), (100, 80, 400, 200)) == Pinhole(200, 100, 240, 245, 105, 75)


@pytest.mark.parametrize('k', [[0.0] * 9, [math.nan, 0, 1, 0, math.nan, 1, 0, 0, 1], [-5, 0, 1, 0, 5, 1, 0, 0, 1]])
def test_a_camera_that_is_not_calibrated(k):
    with pytest.raises(FrameError, match=r'expected a calibrated camera; .*camera_info_url'):
        pinhole(640, 480, k, [0.0] * 12)


@pytest.mark.parametrize('k', [
    # In widths and heights in place of pixels, and too small for a division.
    [0.8, 0, 0.5, 0, 1.1, 0.5, 0, 0, 1], [500, 0, 320, 0, 1.1, 240, 0, 0, 1], [1e-308, 0, 1, 0, 1e-308, 1, 0, 0, 1]])
def test_numbers_that_are_not_in_pixels(k):
    with pytest.raises(FrameError, match='for an image of 640x480: expected a calibrated camera; they are in pixels'):
        pinhole(640, 480, k, [0.0] * 12)
    # A wide view is one.
    assert pinhole(640, 480, [6.5, 0, 320, 0, 5.0, 240, 0, 0, 1], [0.0] * 12).fx == 6.5


def test_a_binning_without_pixels():
    k = [500, 0, 320, 0, 510, 240, 0, 0, 1]
    for binning in ((641, 1), (1, 481), (2**32 - 1, 2**32 - 1)):
        with pytest.raises(FrameError, match=rf'a binning of {binning[0]}x{binning[1]} for 640x480 pixels: expected'):
            pinhole(640, 480, k, [0.0] * 12, binning)
    assert pinhole(640, 480, k, [0.0] * 12, (640, 480)).width == 1


def test_another_view_is_refused():
    for size in ((320, 240), (212, 159), (1280, 960)):
        assert scale_to_depth(CAMERA, message(np.ones((size[1], size[0])))) == pytest.approx(
            (size[0] / 640, size[1] / 480))
    with pytest.raises(FrameError, match=r'848x480 pixels, but camera_info is for 640x480: another .*align_depth'):
        scale_to_depth(CAMERA, message(np.ones((480, 848))))
    require_inside(CAMERA, 640.5, 480.0)
    with pytest.raises(FrameError, match='ends at 1279, 700, but camera_info is for an image of 640x480'):
        require_inside(CAMERA, 1279, 700)


# Wrong images


@pytest.mark.parametrize('encoding, width, height, step, size, says', [
    ('bgr8', 4, 2, 12, 24, r"encoding 'bgr8': expected 16UC1 \(millimetres\) or 32FC1"),
    ('16UC1', 4, 2, 6, 12, 'step of 6 bytes: expected at least 8'),
    ('32FC1', 4, 2, 18, 36, 'a multiple of 4'),
    ('32FC1', 4, 2, 16, 31, '31 bytes: expected 32'),
    ('16UC1', 0, 2, 8, 16, '0x2 pixels'),
])
def test_images_without_depth(encoding, width, height, step, size, says):
    with pytest.raises(FrameError, match=says):
        depth_image(encoding, 0, width, height, step, bytes(size))


def test_the_last_row_may_lack_its_padding():
    assert depth_image('16UC1', 0, 2, 2, 6, b'\x01\0\x02\0\xff\xff\x03\0\x04\0').values.tolist() == [[1, 2], [3, 4]]
