# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trt_perception.errors import ModelError
from trt_perception.model.geometry import RESIZE_MODES, Geometry, center_crop, letterbox, make_geometry, stretch

sides = st.integers(1, 8000)
network_sides = st.integers(8, 1536)
modes = st.sampled_from(RESIZE_MODES)
fractions = st.floats(0.05, 1.0)


def corners(x_min, y_min, x_max, y_max):
    return np.array([[x_min, y_min, x_max, y_max]], np.float64)


@given(modes, sides, sides, network_sides, network_sides, fractions,
       st.lists(st.tuples(*[st.floats(-0.5, 1.5)] * 4), min_size=1, max_size=5))
def test_to_image_is_the_inverse_of_to_network(mode, width, height, network_width, network_height, fraction, parts):
    geometry = make_geometry(mode, width, height, network_width, network_height, fraction)
    boxes = np.array(parts) * [width, height, width, height]
    back = geometry.to_image(geometry.to_network(boxes))
    # Doubles: 1e-12 of the largest intermediate coordinate.
    limit = 1e-11 * max(width, height) * max(1, geometry.crop_width, geometry.crop_height)
    np.testing.assert_allclose(back, boxes, rtol=0, atol=limit)


@given(modes, sides, sides, network_sides, network_sides, fractions)
def test_the_used_part_lands_on_the_target_and_both_are_inside(
        mode, width, height, network_width, network_height, fraction):
    g = make_geometry(mode, width, height, network_width, network_height, fraction)
    assert (g.image_width, g.image_height, g.network_width, g.network_height) == (
        width, height, network_width, network_height)
    assert 0 <= g.crop_x < g.crop_x + g.crop_width <= width
    assert 0 <= g.crop_y < g.crop_y + g.crop_height <= height
    assert 0 <= g.target_x < g.target_x + g.target_width <= network_width
    assert 0 <= g.target_y < g.target_y + g.target_height <= network_height
    crop = corners(g.crop_x, g.crop_y, g.crop_x + g.crop_width, g.crop_y + g.crop_height)
    target = corners(g.target_x, g.target_y, g.target_x + g.target_width, g.target_y + g.target_height)
    np.testing.assert_allclose(g.to_network(crop), target, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(g.to_image(target), crop, rtol=1e-12, atol=1e-9)


@given(sides, sides, network_sides, network_sides)
@example(1920, 1080, 640, 640)
@example(1280, 720, 416, 416)
@example(640, 480, 640, 640)
@example(10000, 3, 640, 640)
@example(333, 500, 640, 384)
def test_letterbox_is_that_of_yolov5(width, height, network_width, network_height):
    # The formula of YOLOv5's training code (auto=False, scaleFill=False, scaleup=True), written from its description:
    # scale by the smaller ratio, round the size, split the padding into two halves and round the first one down.
    scale = min(network_height / height, network_width / width)
    new_width, new_height = round(width * scale), round(height * scale)
    half_x, half_y = (network_width - new_width) / 2, (network_height - new_height) / 2
    left, right = round(half_x - 0.1), round(half_x + 0.1)
    top, bottom = round(half_y - 0.1), round(half_y + 0.1)
    g = letterbox(width, height, network_width, network_height)
    if min(new_width, new_height) >= 1:
        assert (g.target_x, g.target_y, g.target_width, g.target_height) == (left, top, new_width, new_height)
        assert network_width - g.target_x - g.target_width == right
        assert network_height - g.target_y - g.target_height == bottom
    else:  # YOLOv5 gives no result if a side vanishes; here one pixel is kept.
        assert (g.target_width, g.target_height) == (max(1, new_width), max(1, new_height))
    assert (g.crop_x, g.crop_y, g.crop_width, g.crop_height) == (0, 0, width, height)


@pytest.mark.parametrize('size, expected', [
    # width, height -> target x, y, width, height in 640x640, calculated by hand
    ((1920, 1080), (0, 140, 640, 360)),
    ((1280, 720), (0, 140, 640, 360)),
    ((480, 640), (80, 0, 480, 640)),
    ((320, 320), (0, 0, 640, 640)),
    ((1000, 333), (0, 213, 640, 213)),  # 213.12 rows: of the 427 rows of padding, 213 are above and 214 below
    ((999, 1000), (0, 0, 639, 640)),  # 639.36 columns: the one column of padding is on the right
])
def test_letterbox_by_hand(size, expected):
    g = letterbox(*size, 640, 640)
    assert (g.target_x, g.target_y, g.target_width, g.target_height) == expected


def test_letterbox_box_by_hand():
    # 1280x720 into 640x640: half size, 140 rows of padding above.
    g = letterbox(1280, 720, 640, 640)
    box = corners(100, 200, 300, 700)
    np.testing.assert_array_equal(g.to_network(box), corners(50, 240, 150, 490))
    np.testing.assert_array_equal(g.to_image(corners(50, 240, 150, 490)), box)


def test_scales_differ_by_axis_where_rounding_makes_them():
    g = letterbox(1000, 333, 640, 640)
    assert g.scale_x == 0.64
    assert g.scale_y == 213 / 333
    # The bottom edge of the image is the bottom edge of the target, not 0.64 * 333 = 213.12.
    assert g.to_network(corners(0, 0, 1000, 333))[0, 3] == 213 + 213


@pytest.mark.parametrize('size, network, fraction, expected', [
    # torchvision: resize the shorter side to 256, centre crop 224. 500x320 -> 400x256, crop at (88, 16); in image
    # pixels times 320/256 = 1.25.
    ((500, 320), (224, 224), 0.875, (110, 20, 280, 280)),
    # 640x480 -> 341x256; crop 224 is 420 image pixels: (640 - 420) / 2, (480 - 420) / 2
    ((640, 480), (224, 224), 0.875, (110, 30, 420, 420)),
    ((480, 640), (224, 224), 0.875, (30, 110, 420, 420)),
    # Ultralytics: the whole shorter side
    ((640, 480), (224, 224), 1.0, (80, 0, 480, 480)),
    # Already as large as the crop
    ((256, 256), (224, 224), 0.875, (16, 16, 224, 224)),
    # A network twice as wide as high uses a part of that shape
    ((1000, 1000), (256, 128), 1.0, (0, 250, 1000, 500)),
    ((1, 1), (224, 224), 0.875, (0, 0, 1, 1)),
])
def test_center_crop_by_hand(size, network, fraction, expected):
    g = center_crop(*size, *network, fraction)
    assert (g.crop_x, g.crop_y, g.crop_width, g.crop_height) == expected
    assert (g.target_x, g.target_y, g.target_width, g.target_height) == (0, 0, *network)


@given(sides, sides, network_sides, network_sides, fractions)
def test_center_crop_is_central_and_keeps_the_aspect_ratio(width, height, network_width, network_height, fraction):
    g = center_crop(width, height, network_width, network_height, fraction)
    assert abs((width - g.crop_width) - 2 * g.crop_x) <= 1
    assert abs((height - g.crop_height) - 2 * g.crop_y) <= 1
    side = min(width / network_width, height / network_height) * fraction
    # Rounded to whole pixels, at least one.
    assert abs(g.crop_width - max(1.0, side * network_width)) <= 0.5 + 1e-6
    assert abs(g.crop_height - max(1.0, side * network_height)) <= 0.5 + 1e-6


def test_stretch_uses_all_of_both():
    g = stretch(1920, 1080, 640, 320)
    assert g == Geometry(1920, 1080, 640, 320, 0, 0, 1920, 1080, 0, 0, 640, 320)
    np.testing.assert_allclose(g.to_image(corners(64, 32, 320, 160)), corners(192, 108, 960, 540), rtol=1e-14)


@given(sides, sides, st.lists(st.tuples(*[st.floats(-1e5, 1e5)] * 4), min_size=1, max_size=5))
def test_clip_keeps_boxes_inside_the_image(width, height, boxes):
    clipped = letterbox(width, height, 640, 640).clip(np.array(boxes))
    for before, after in zip(boxes, clipped):
        for value, result, limit in zip(before, after, (width, height, width, height)):
            assert result == min(max(value, 0.0), limit)


def test_no_boxes():
    g = letterbox(640, 480, 320, 320)
    for function in (g.to_image, g.to_network, g.clip):
        assert function(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_float32_boxes_are_mapped_in_doubles():
    g = letterbox(7680, 4320, 640, 640)
    image = g.to_image(np.array([[0.1, 200.3, 639.9, 400.7]], np.float32))
    assert image.dtype == np.float64
    assert math.isclose(image[0, 2], float(np.float32(639.9)) * 12, rel_tol=1e-12)


def test_unknown_mode_names_the_known_ones():
    with pytest.raises(ModelError, match="resize_mode is 'crop': expected one of letterbox, center_crop, stretch"):
        make_geometry('crop', 1, 1, 1, 1)


@given(sides, sides, network_sides, st.sampled_from([0.5, 0.875, 224 / 232, 1.0]))
@example(1280, 720, 224, 0.875)
@example(451, 300, 224, 0.875)
def test_a_crop_after_the_resize_is_that_of_torchvision(width, height, side, fraction):
    # torchvision: Resize(size) makes the longer side int(size * long / short), CenterCrop begins at round(rest / 2).
    size = round(side / fraction)
    longer = int(size * max(width, height) / min(width, height))
    across, down = (longer, size) if width > height else (size, longer)
    g = make_geometry('center_crop', width, height, side, side, fraction, 'bilinear_antialias')
    assert g.resized == (across, down, round((across - side) / 2), round((down - side) / 2))
    corner = g.to_network(corners(0, 0, width, height))
    np.testing.assert_allclose(corner, [[
        -g.resized.x, -g.resized.y, across - g.resized.x, down - g.resized.y]], rtol=0, atol=1e-6)


@given(sides, sides, network_sides, network_sides, fractions)
def test_a_crop_after_the_resize_lies_inside_the_image(width, height, network_width, network_height, fraction):
    g = make_geometry('center_crop', width, height, network_width, network_height, fraction, 'bilinear_antialias')
    assert 0 <= g.resized.x <= g.resized.width - network_width
    assert 0 <= g.resized.y <= g.resized.height - network_height
    assert g.crop_x + g.crop_width <= width * (1 + 1e-9)
    assert g.crop_y + g.crop_height <= height * (1 + 1e-9)
