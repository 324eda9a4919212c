# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of an image that the network sees, and boxes back on the whole image."""

from types import SimpleNamespace

import numpy as np
import pytest

from trt_perception.errors import FrameError, ParameterError
from trt_perception.image.cut import cut_out
from trt_perception.image.frame import Frame
from trt_perception.node.perception.camera_regions import regions_of
from trt_perception.parameters.camera_names import CameraName
from trt_perception.parameters.settings import Settings
from trt_perception.results.masks import Masks
from trt_perception.results.regions import ROTATIONS, Region, areas_for, encloses_one_area, inside, parse_area
from trt_perception.results.results import Classifications, Detections

WIDTH, HEIGHT = 60, 40


def found(*boxes):
    """Detections of these boxes; the class is the index."""
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.linspace(1, 0.5, len(boxes)).astype(np.float32),
        np.arange(len(boxes)))


def box_of(pixels):
    """The box around the white pixels."""
    rows, columns = np.nonzero(pixels.reshape(*pixels.shape[:2], -1).max(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize('encoding, channels', [('mono8', 1), ('bgr8', 3), ('rgba8', 4)])
@pytest.mark.parametrize('roi', [(0, 0, 0, 0), (10, 5, 0, 0), (0, 0, 45, 30), (7, 3, 41, 29), (7, 3, 1000, 1000)])
@pytest.mark.parametrize('rotate', [0, 90, 180, 270])
def test_a_box_in_the_part_is_the_box_in_the_image(rotate, roi, encoding, channels):
    image = np.zeros((HEIGHT, WIDTH, channels), np.uint8)
    box = (20, 8, 33, 27)
    image[box[1]:box[3], box[0]:box[2]] = 255
    frame = Frame.from_pixels(encoding, image[..., 0] if channels == 1 else image)
    region = Region(*roi, rotate)
    seen = cut_out(frame, region)
    left, top, right, bottom = region.within(WIDTH, HEIGHT)
    size = (right - left, bottom - top)
    assert (seen.width, seen.height) == (size[::-1] if rotate in (90, 270) else size)
    pixels, _ = seen.view()
    restored = region.restored(found(box_of(pixels)), WIDTH, HEIGHT)
    assert restored.boxes.tolist() == [list(box)]
    assert restored.boxes.dtype == np.float32


def test_predicted_boxes_are_in_sight():
    """Clipped to what the network sees, without those outside of it and those in an ignored area."""
    region = Region(10, 5, 30, 0, 90, (((0, 0), (20, 0), (20, 20), (0, 20)),))
    predicted = Detections(
        np.array([[5, 8, 18, 12], [30, 20, 50, 60], [40, 20, 60, 30], [0, 0, 10, 40], [12, 0, 36, 39]], np.float32),
        np.zeros(5, np.float32), np.arange(5), np.arange(1, 6))
    seen = region.within_sight(predicted, WIDTH, HEIGHT)
    assert seen.boxes.tolist() == [[30, 20, 40, 40], [12, 5, 36, 39]]
    assert (seen.class_indices.tolist(), seen.ids.tolist()) == ([1, 4], [2, 5])
    whole = Region().within_sight(predicted, 100, 100)
    assert whole.boxes.tolist() == predicted.boxes.tolist()


def test_the_turn_is_clockwise():
    image = np.zeros((2, 3), np.uint8)
    image[0, 2] = 255  # At the right of the top row: after a quarter clockwise at the bottom of the right column.
    pixels, _ = cut_out(Frame.from_pixels('mono8', image), Region(rotate=90)).view()
    assert pixels.tolist() == [[0, 0], [0, 0], [0, 255]]


def test_encodings_that_are_not_packed_are_converted_first():
    mosaic = np.full((HEIGHT, WIDTH), 100, np.uint8)
    seen = cut_out(Frame.from_pixels('bayer_rggb8', mosaic), Region(1, 1, 20, 10))
    assert (seen.encoding, seen.width, seen.height) == ('bgr8', 20, 10)
    assert set(seen.data.tolist()) == {100}


def test_the_whole_image_is_not_copied():
    frame = Frame.from_pixels('mono8', np.zeros((4, 4), np.uint8))
    assert cut_out(frame, Region()) is frame
    assert cut_out(frame, Region(ignored=(((0, 0), (1, 0), (1, 1)),))) is frame
    result = found((1, 1, 2, 2))
    assert Region().restored(result, 4, 4) is result


@pytest.mark.parametrize('region', [Region(60), Region(0, 40), Region(100, 100, 10, 10)])
def test_a_region_outside_the_image_is_a_bad_image(region):
    frame = Frame.from_pixels('mono8', np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(FrameError, match='outside the image of 60x40 pixels: expected'):
        cut_out(frame, region)


def test_ignored_areas():
    """Centres inside, outside, and inside the notch of a polygon that is not convex."""
    notched = ((0, 0), (30, 0), (30, 30), (20, 30), (20, 10), (10, 10), (10, 30), (0, 30))
    points = np.array([(5, 5), (15, 5), (15, 20), (25, 25), (5, 29), (31, 5), (15, -1)])
    assert inside(notched, points).tolist() == [True, True, False, True, True, False, False]
    boxes = [(x - 2, y - 1, x + 2, y + 1) for x, y in points]
    result = Region(ignored=(notched, ((30, 0), (40, 0), (40, 10), (30, 10)))).restored(found(*boxes), 100, 100)
    assert result.class_indices.tolist() == [2, 6]
    assert result.boxes.tolist() == [list(boxes[2]), list(boxes[6])]
    assert len(result.scores) == 2
    # In coordinates of the image as it is published, also if the network sees it turned.
    turned = Region(rotate=180, ignored=(((0, 0), (10, 0), (10, 10), (0, 10)),))
    assert len(turned.restored(found((51, 31, 59, 39)), WIDTH, HEIGHT)) == 0
    assert len(turned.restored(found((1, 1, 9, 9)), WIDTH, HEIGHT)) == 1
    assert len(turned.restored(Detections.empty(), WIDTH, HEIGHT)) == 0


def test_classes_have_no_place():
    result = Classifications(np.array([3]), np.array([0.5], np.float32))
    assert Region(rotate=90, ignored=(((0, 0), (9, 0), (9, 9)),)).restored(result, 9, 9) is result


@pytest.mark.parametrize('text, area', [
    ('0,0 640,0 640,80', ('', ((0, 0), (640, 0), (640, 80)))),
    ('  0,0   1.5,-2  3,4 ', ('', ((0, 0), (1.5, -2), (3, 4)))),
    ('/front/image_raw: 0,0 1,0 1,1', ('/front/image_raw', ((0, 0), (1, 0), (1, 1)))),
    ('rear:0,0 1,0 1,1', ('rear', ((0, 0), (1, 0), (1, 1)))),
    ('0,0 1,0', None), ('0,0 1,0 1', None), ('0,0 1,0 a,b', None), (': 0,0 1,0 1,1', None), ('red', None), ('', None),
    ('0,0 1,0 nan,1', None)])
def test_texts_of_areas(text, area):
    assert parse_area(text) == area


@pytest.mark.parametrize('polygon, one_area', [
    ('0,0 10,0 10,10', True), ('0,10 10,0 0,0', True), ('0,0 10,0 10,10 0,10 0,0', True),
    ('0,0 30,0 30,30 20,30 20,10 10,10 10,30 0,30', True),
    # With a hole, and a corner on an edge.
    ('0,0 9,0 9,9 0,9 0,0 3,3 3,6 6,6 6,3 3,3', True), ('0,0 9,0 9,9 5,0 0,9', True),
    # The corners of a rectangle in the order of its rows, two opposite corners, a star.
    ('0,0 640,0 0,80 640,80', False), ('0,0 640,80 0,0', False), ('0,0 5,5 9,9', False), ('7,7 7,7 7,7', False),
    ('50,0 79,90 2,35 98,35 21,90', False)])
def test_polygons_with_one_area(polygon, one_area):
    _, corners = parse_area(polygon)
    assert encloses_one_area(corners) == one_area
    assert encloses_one_area(corners[::-1]) == encloses_one_area(corners[2:] + corners[:2]) == one_area


def test_corners_in_a_wrong_order_are_refused():
    with pytest.raises(ParameterError) as caught:
        Settings().changed({'ignore_areas': ['0,0 1,0 1,1', 'rear: 0,0 640,0 0,80 640,80']})
    assert str(caught.value).endswith(
        "expected corners in their order around an area, so that no edges cross, unlike 'rear: 0,0 640,0 0,80 640,80'")


def test_areas_of_a_camera():
    texts = ('0,0 1,0 1,1', 'front: 0,0 2,0 2,2', '/rear: 0,0 3,0 3,3')
    assert [polygon[1][0] for polygon in areas_for(texts, ('front', '/robot/front'))] == [1, 2]
    assert [polygon[1][0] for polygon in areas_for(texts, ('rear', '/rear'))] == [1, 3]


CAMERAS = [CameraName(name, 'raw', name, f'/robot/{name}') for name in ('front', 'rear')]


def test_values_for_all_cameras_or_for_each():
    one = regions_of(Settings(roi=(1, 2, 3, 4), rotate=(90,)), CAMERAS)
    assert one == [Region(1, 2, 3, 4, 90)] * 2
    each = regions_of(Settings(
        roi=(1, 2, 3, 4, 5, 6, 7, 8), rotate=(0, 180), ignore_areas=('/robot/rear: 0,0 1,0 1,1',)), CAMERAS)
    assert each == [Region(1, 2, 3, 4, 0), Region(5, 6, 7, 8, 180, (((0, 0), (1, 0), (1, 1)),))]


@pytest.mark.parametrize('values, reason', [
    ({'roi': (0,) * 12}, 'roi has 12 numbers: expected x, y, width and height for all cameras, or for each of the 2'),
    ({'rotate': (0, 90, 180)}, 'rotate has 3 numbers: expected one for all cameras'),
    ({'ignore_areas': ('left: 0,0 1,0 1,1',)}, "ignore_areas names 'left': expected one of image_topics, front, rear")])
def test_values_that_do_not_fit_the_cameras(values, reason):
    with pytest.raises(ParameterError) as caught:
        regions_of(Settings(**values), CAMERAS)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize('name, value', [
    ('roi', [1, 2, 3]), ('roi', [-1, 0, 0, 0]), ('roi', []), ('rotate', [45]), ('rotate', []), ('rotate', None),
    ('ignore_areas', ['0,0 1,1']), ('image_topics', []), ('image_topics', [''])])
def test_values_that_are_always_wrong(name, value):
    with pytest.raises(ParameterError, match=rf'^{name} is .*: expected '):
        Settings().changed({name: value})


# Names


def names_of(*topics, transport='raw'):
    from trt_perception.parameters.camera_names import cameras_of

    node = SimpleNamespace(
        resolve_topic_name=lambda name, only_expand=False: name if name.startswith('/') else f'/robot/{name}')
    return [(camera.topic, camera.output('detections')) for camera in cameras_of(node, topics, transport)]


def test_the_outputs_of_one_camera_stay_where_they_were():
    assert names_of('image') == [('/robot/image', 'detections')]
    assert names_of('/front/image_raw') == [('/front/image_raw', 'detections')]


def test_the_outputs_of_several_cameras_are_beside_their_images():
    assert names_of('/front/image_raw', 'rear/image_raw', '/left/image/compressed') == [
        ('/front/image_raw', '/front/detections'), ('/robot/rear/image_raw', '/robot/rear/detections'),
        ('/left/image/compressed', '/left/detections')]
    assert names_of('/front/image', '/rear/image', transport='compressed') == [
        ('/front/image/compressed', '/front/detections'), ('/rear/image/compressed', '/rear/detections')]


def test_topics_in_one_folder_have_their_outputs_under_their_names():
    assert names_of('/cameras/left', '/cameras/right', '/front/image') == [
        ('/cameras/left', '/cameras/left/detections'), ('/cameras/right', '/cameras/right/detections'),
        ('/front/image', '/front/detections')]
    # The folder of one is the name of the other.
    assert names_of('/a', '/a/image') == [('/a', '/a/detections'), ('/a/image', '/a/image/detections')]


@pytest.mark.parametrize('rotate', ROTATIONS)
def test_masks_come_back_to_the_image(rotate):
    """A mask that was made on what the network sees covers the same pixels of the image."""
    image = np.zeros((48, 80), bool)
    image[12:20, 30:41] = np.random.default_rng(3).random((8, 11)) > 0.4
    image[12, 30] = image[19, 40] = True
    region = Region(16, 8, 40, 32, rotate)
    seen = np.rot90(image[8:40, 16:56], -rotate // 90)
    rows, columns = np.nonzero(seen)
    y, x = rows.min(), columns.min()
    part = seen[y:rows.max() + 1, x:columns.max() + 1]
    height, width = part.shape
    boxes = np.array([[x, y, x + width, y + height]], np.float32)
    masks = Masks((part,), np.array([[x, y]]), seen.shape[1], seen.shape[0])
    found = region.restored(
        Detections(boxes, np.array([0.9], np.float32), np.array([1]), masks=masks), image.shape[1], image.shape[0])
    np.testing.assert_array_equal(found.boxes, [[30, 12, 41, 20]])
    np.testing.assert_array_equal(found.masks[0], image)


def test_masks_of_ignored_detections_are_dropped():
    parts = (np.ones((2, 3), bool), np.ones((4, 1), bool))
    detections = Detections(
        np.array([[0, 0, 3, 2], [20, 20, 21, 24]], np.float32), np.array([0.9, 0.8], np.float32), np.array([0, 1]),
        masks=Masks(parts, np.array([[0, 0], [20, 20]]), 40, 30))
    found = Region(ignored=(((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)),)).restored(detections, 40, 30)
    assert len(found) == len(found.masks) == 1
    assert found.masks[0].sum() == 4
    assert found.masks[0][20:24, 20].all()
