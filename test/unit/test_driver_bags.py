# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One picture as many drivers record it: `annotate` finds the same in each bag, and names what it cannot read."""

import contextlib
import io
import json

import numpy as np
import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bag_storage import STORAGES
from support.driver_bags import (
    COLOR,
    DEPTH,
    GREY,
    PERIOD_NS,
    START_NS,
    UNREADABLE,
    VARIANTS,
    pictures,
    shown,
    write_variant,
)
from support.tiny_models import color_detector

from trt_perception.cli.main import main
from trt_perception.image.frame import Frame
from trt_perception.image.message import frame_from_compressed_image, frame_from_image
from trt_perception.sources.bag_messages import deserialize
from trt_perception.sources.bag_metadata import BagTopic
from trt_perception.sources.bag_reader import BagReader
from trt_perception.sources.bag_recording import recorded
from trt_perception.tracking.overlap import iou

FRAMES = 3
# Chroma is halved, interpolated or quantised: a score, which is the mean of a cell, changes by at most this.
SCORE = 0.02
# Of so many boxes one may have the other of two classes with equal scores, or be above the threshold in one bag only.
BOXES_PER_OTHER = 50
# Nothing is lost but the channel order and the alpha channel.
EXACT = ('bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8', 'mono16')
WHY = {
    'realsense_compressed_depth': 'depth images are not supported', 'h264_compressed': 'H.264 video is not supported',
    'usb_cam_raw_mjpeg': 'data has ', 'zstd_compressed': 'images compressed with zstd are not supported'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The folder of all bags, and their paths."""
    folder = tmp_path_factory.mktemp('drivers')
    color_detector(folder / 'm.onnx', 128, 96)
    photos = pictures(FRAMES)
    bags = [write_variant(variant, folder, photos) for variant in VARIANTS]
    return folder, bags


@pytest.fixture(scope='module')
def annotated(folder):
    """The exit code, and what is said on stdout and about problems, of one command for all bags."""
    place, bags = folder
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(['annotate', *map(str, bags), '--model', str(place / 'm.onnx'), '--output', str(place / 'out'),
                     '--formats', 'json', '--score', '0.5'])
    said = [line for line in err.getvalue().splitlines() if line.startswith('trt_perception: ')]
    return code, out.getvalue().splitlines(), said


def lines(folder, variant):
    return [json.loads(line) for line in (folder[0] / 'out' / variant.name / 'results.jsonl').read_text().splitlines()]


def reference(folder, variant):
    name = {COLOR: 'oakd_bgr8', GREY: 'realsense_infra1'}[variant.shows]
    return lines(folder, next(entry for entry in VARIANTS if entry.name == name))


def test_the_variants_are_different_and_use_every_storage():
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS) >= 20
    assert sum(variant.shows in (COLOR, GREY) for variant in VARIANTS) >= 20
    assert {variant.storage for variant in VARIANTS} == set(STORAGES)


@pytest.mark.parametrize('variant', [v for v in VARIANTS if v.shows in (COLOR, GREY)], ids=lambda v: v.name)
def test_the_same_picture_gives_the_same_boxes(folder, annotated, variant):
    found, wanted = lines(folder, variant), reference(folder, variant)
    assert [line['frame'] for line in found] == list(range(FRAMES))
    boxes = others = 0
    for number, (line, expected) in enumerate(zip(found, wanted, strict=True)):
        assert (line['topic'], line['frame_id'], line['width'], line['height']) == (
            variant.topic, variant.frame_id, 320, 240)
        assert line['stamp_ns'] == START_NS + number * PERIOD_NS and line['log_ns'] == line['stamp_ns'] + 4_000_000
        if variant.encoding in EXACT or (variant.codec in ('.png', '.tiff') and not variant.stored):
            assert line['detections'] == expected['detections'], number
        boxes += len(expected['detections'])
        others += unmatched(line['detections'], expected['detections'])
        others += unmatched(expected['detections'], line['detections'])
    assert boxes > 100 and others <= boxes / BOXES_PER_OTHER


def unmatched(found, expected):
    """How many objects have no equal one: box, class, and score within SCORE."""
    if not found or not expected:
        return len(found)
    overlap = iou(*(np.array([entry['bbox'] for entry in objects]) for objects in (found, expected)))

    def same(entry, other, share):
        return share > 0.99 and entry['class_id'] == other['class_id'] and abs(entry['score'] - other['score']) <= SCORE

    return sum(
        not any(same(entry, other, share) for other, share in zip(expected, row)) for entry, row in zip(found, overlap))


def test_what_is_no_picture_is_counted_and_named(folder, annotated):
    code, out, errors = annotated
    unreadable = [variant for variant in VARIANTS if variant.shows == UNREADABLE]
    assert code == 1 and len(out) == len(VARIANTS) and {variant.name for variant in unreadable} == set(WHY)
    assert len(errors) == FRAMES * len(unreadable)
    for variant in VARIANTS:
        [line] = [line for line in out if line.partition(':')[0].removesuffix('.mcap').endswith(f'/{variant.name}')]
        counts = json.loads((folder[0] / 'out' / variant.name / 'annotation.json').read_text())['counts']
        bad = FRAMES if variant in unreadable else 0
        assert (counts['images'], counts['bad'], counts['damaged'], counts['places']) == (FRAMES - bad, bad, 0, 0)
        assert (f', {bad} bad messages' in line) == bool(bad)
        said = [error for error in errors if f'/{variant.name}: ' in error]
        assert len(said) == bad and all(WHY[variant.name] in error for error in said)


@pytest.mark.parametrize('variant', [v for v in VARIANTS if v.shows != UNREADABLE], ids=lambda v: v.name)
def test_the_pixels_are_those_of_the_picture(folder, variant):
    """Not only as the network sees them: a swapped channel or a shifted row would be far off."""
    bag = BagReader(folder[1][VARIANTS.index(variant)], cut_off=True)
    [topic] = [topic for topic in bag.image_topics if topic.count]
    assert isinstance(topic, BagTopic) and topic.name == variant.topic
    convert = frame_from_image if variant.encoding else frame_from_compressed_image
    frames = [convert(deserialize(message)) for message in recorded(bag, [topic], pytest.fail)]
    for frame, picture in zip(frames, pictures(FRAMES), strict=True):
        assert isinstance(frame, Frame)
        wanted = picture.max(axis=2)[..., None] if variant.shows == DEPTH else shown(variant, picture)
        difference = np.abs(frame.bgr().astype(int) - wanted)
        # Bayer interpolates two of three values, in the fur of the cat and the leaves too.
        assert difference.mean() < (6 if 'bayer' in variant.name else 4), variant.name
