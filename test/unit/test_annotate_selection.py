# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which images are taken for labelling."""

from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')

from trt_perception.annotate.item import Annotated, BagImage
from trt_perception.annotate.selection import Selection, Selector, difference_hash
from trt_perception.image.frame import Frame
from trt_perception.results.results import Detections

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'


def item(index, scores=(0.9,), classes=(0,), topic='/image', pixels=None, stamp_ns=None):
    """An image with these objects, 0.1 s after the one before."""
    pixels = np.zeros((32, 32, 3), np.uint8) if pixels is None else pixels
    stamp_ns = index * 100_000_000 + 10**9 if stamp_ns is None else stamp_ns
    image = BagImage(topic, index, stamp_ns, stamp_ns, *divmod(stamp_ns, 10**9), '', Frame.from_bgr(pixels))
    boxes = np.zeros((len(scores), 4), np.float32)
    return Annotated(image, Detections(boxes, np.array(scores, np.float32), np.array(classes, np.int64)))


def taken(selection, items):
    selector = Selector(selection)
    return [(entry.image.topic, entry.image.index) for entry in items if selector.take(entry)]


def indices(selection, items):
    return [index for _, index in taken(selection, items)]


def test_every_image_of_each_topic():
    both = [item(index, topic=topic) for index in range(5) for topic in ('/a', '/b')]
    assert taken(Selection(every=2), both) == [(t, n) for n in (0, 2, 4) for t in ('/a', '/b')]
    assert taken(Selection(every=1, most=3), both) == [('/a', 0), ('/b', 0), ('/a', 1)]


def test_seconds_between_images():
    assert indices(Selection(every=1, seconds=0.25), [item(n) for n in range(8)]) == [0, 3, 6]
    # A clock that was set back does not end the selection.
    back = [item(0, stamp_ns=9 * 10**9), item(1, stamp_ns=10**9), item(2, stamp_ns=10**9 + 1)]
    assert indices(Selection(every=1, seconds=1), back) == [0, 1]


def test_low_scores_and_classes():
    items = [item(0, (0.9, 0.3), (0, 1)), item(1, (0.5,), (1,)), item(2, (), ()), item(3, (0.49,), (2,))]
    assert indices(Selection(every=1, below_score=0.5), items) == [0, 3]
    assert indices(Selection(every=1, classes=(1,)), items) == [0, 1]
    assert indices(Selection(every=1, classes=(2, 1), below_score=0.5), items) == [0, 3]
    assert indices(Selection(every=1), items) == [0, 1, 2, 3]


def test_near_duplicates():
    """The same scene with noise, darker, smaller and as a JPEG is one; other photos are others."""
    photos = [
        cv2.resize(cv2.imread(str(PHOTOS / f'{name}.jpg')), (320, 240)) for name in ('coffee', 'rocket', 'chelsea')]
    first = photos[0]
    noise = np.random.default_rng(0).normal(0, 4, first.shape)
    like = [
        first, np.clip(first + noise, 0, 255).astype(np.uint8), (first * 0.8).astype(np.uint8),
        cv2.resize(first, (160, 120)), cv2.imdecode(cv2.imencode('.jpg', first)[1], cv2.IMREAD_COLOR)]
    items = [item(number, pixels=pixels) for number, pixels in enumerate([*like, *photos[1:], photos[1]])]
    assert indices(Selection(every=1, distance=6), items) == [0, 5, 6]
    # Another topic has its own.
    items.append(item(8, topic='/other', pixels=first))
    assert indices(Selection(every=1, distance=6), items) == [0, 5, 6, 8]


def test_the_hash_by_its_definition():
    """A picture of 9x8 pixels is its own grid."""
    grey = np.random.default_rng(1).integers(0, 256, (8, 9), np.uint8)
    expected = 0
    for row in grey.tolist():
        for column in range(8):
            expected = 2 * expected + (row[column] < row[column + 1])
    assert difference_hash(Frame.from_bgr(np.repeat(grey[..., None], 3, 2))) == expected
