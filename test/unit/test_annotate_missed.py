# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`annotate --coco-missed-by`: images with objects that another model misses."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bags import IMAGE, write_bag
from support.subprocesses import without_progress
from support.tiny_models import color_classifier, color_detector, fixed_outputs

from trt_perception.annotate.missed import OtherModel, missed_objects
from trt_perception.cli.main import main
from trt_perception.results.results import Classifications, Detections

NAMES = ('red', 'green', 'blue')
COCO = 'bag/coco/annotations/instances_default.json'
OTHER_NAMES = ('blue', 'dog', 'red')
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def detections(*objects):
    """(class, x_min, y_min, x_max, y_max) each."""
    return Detections(
        np.array([entry[1:] for entry in objects], np.float32).reshape(-1, 4),
        np.full(len(objects), 0.9, np.float32), np.array([entry[0] for entry in objects], np.int64))


def missed(result, other):
    return missed_objects(result, NAMES, other, OTHER_NAMES).tolist()


def test_classes_are_compared_by_name():
    red = (0, 0, 0, 10, 10)
    assert missed(detections(red), detections((2, 0, 0, 10, 10))) == [False]
    assert missed(detections(red), detections((0, 0, 0, 10, 10))) == [True]
    # A class that the other model does not know: there is nothing to compare.
    assert missed(detections((1, 0, 0, 10, 10), red), detections()) == [False, True]
    assert missed(detections(red), None) == [True]
    assert missed(detections(), detections((2, 0, 0, 10, 10))) == []


def test_boxes_are_the_same_from_an_iou_of_one_half_on():
    objects = detections((0, 0, 0, 30, 10), (2, 100, 0, 130, 10))
    # Moved by 10 of 30: 20 / 40. By 11: 19 / 41.
    assert missed(objects, detections((2, 10, 0, 40, 10))) == [False, True]
    assert missed(objects, detections((2, 11, 0, 41, 10), (0, 100, 0, 130, 10))) == [True, False]
    # A further object of the other model does not count.
    assert missed(objects, detections((2, 0, 0, 30, 10), (0, 100, 0, 130, 10), (2, 300, 0, 310, 10))) == [False, False]


def test_the_first_class_of_a_classification():
    def classes(*indices):
        return Classifications(np.array(indices, np.int64), np.linspace(0.9, 0.1, len(indices)).astype(np.float32))

    assert missed(classes(0, 1, 2), classes(2, 0)) == [False, False, False]
    assert missed(classes(0, 1, 2), classes(0, 2)) == [True, False, False]
    assert missed(classes(1, 0, 2), classes(0, 2)) == [False, False, False]


# The command. The other model finds a red square of 8 pixels at (8, 8) in every image, and nothing else.


def squares(*places):
    pixels = np.zeros((64, 64, 3), np.uint8)
    for color, x, y in places:
        pixels[y:y + 8, x:x + 8] = color
    return pixels


def bag(path, pictures):
    write_bag(Path(path), {'/image': [
        (IMAGE, 10**9 + number * 10**8, 10**9 + number * 10**8, {
            'height': 64, 'width': 64, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 192,
            'data': pixels.reshape(-1)}) for number, pixels in enumerate(pictures)]})


PICTURES = [
    squares((RED, 8, 8)), squares((RED, 8, 8), (RED, 40, 40)), squares(), squares((GREEN, 16, 16)),
    squares((BLUE, 24, 24), (RED, 8, 8)), squares((RED, 48, 48)), squares((RED, 48, 48)), squares((RED, 8, 8))]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with two models and a bag."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    other_model(tmp_path / 'other.onnx')
    bag('bag', PICTURES)
    return tmp_path


def other_model(path, names=('blue', 'dog', 'red'), score=0.9):
    output = np.zeros((1, 7, 64), np.float32)
    output[0, :4] = np.array([[12], [12], [8], [8]])
    output[0, 6, 0] = score
    names = {} if names is None else {'names': dict(enumerate(names))}
    fixed_outputs(path, output, metadata={**names, 'task': 'detect'})


def run(capfd, output, *arguments, formats='coco', model='m.onnx', code=0):
    """(images of the COCO file with their objects, lines of stderr)."""
    assert main(['annotate', 'bag', '--output', output, '--model', model, '--formats', formats, '--score', '0.5',
                 '--coco-every', '1', *arguments]) == code
    errors = without_progress(capfd.readouterr().err).splitlines()
    return (content(output) if code == 0 else None), errors


def content(output):
    coco = json.loads(Path(output, COCO).read_text())
    return [
        (int(image['file_name'][-10:-4]), [
            (coco['categories'][entry['category_id'] - 1]['name'], entry['bbox'][:2], entry['attributes']['missed'])
            for entry in coco['annotations'] if entry['image_id'] == image['id']]) for image in coco['images']]


MISSED = [
    (1, [('red', [8, 8], False), ('red', [40, 40], True)]),
    (4, [('red', [8, 8], False), ('blue', [24, 24], True)]),
    (5, [('red', [48, 48], True)]), (6, [('red', [48, 48], True)])]


def in_order(images):
    return [(number, sorted(objects, key=lambda entry: entry[1])) for number, objects in images]


def test_images_are_taken_of_which_the_other_model_misses_an_object(capfd):
    """Green is a class that the other model does not know."""
    found, errors = run(capfd, 'out', '--coco-missed-by', 'other.onnx')
    assert (in_order(found), errors) == (MISSED, [])
    record = json.loads(Path('out/bag/annotation.json').read_text())
    settings = record['settings']['missed_by']
    assert settings['model_sha256'] == hashlib.sha256(Path('other.onnx').read_bytes()).hexdigest()
    assert settings['names'] == ['blue', 'dog', 'red'] and 'score_threshold=0.5' in settings['thresholds']
    assert record['missed_by'] == 'other.onnx' and record['other_backend']['backend'] == record['backend']['backend']


def test_the_other_model_runs_on_the_images_that_all_other_rules_take(capfd, monkeypatch):
    asked = []
    original = OtherModel.missed
    monkeypatch.setattr(OtherModel, 'missed', lambda self, frame, result: asked.append(
        frame.data.tobytes()) or original(self, frame, result))
    found, _ = run(
        capfd, 'out', '--coco-missed-by', 'other.onnx', '--coco-classes', 'red', '--coco-unlike', '1', '--coco-most',
        '2')
    # Images 2 and 3 have no red. Then there are two, and no other image is looked at.
    assert [PICTURES[number].tobytes() for number in (0, 1, 4)] == asked
    assert [number for number, _ in found] == [1, 4]
    # An image that is not taken is no near-duplicate of later ones: image 7 is as 0, but 6 as 5, which is taken.
    asked.clear()
    assert [number for number, _ in run(capfd, 'all', '--coco-missed-by', 'other.onnx', '--coco-unlike', '1')[0]] == [
        1, 4, 5]
    assert asked == [PICTURES[number].tobytes() for number in (0, 1, 2, 3, 4, 5, 7)]


def test_the_same_whatever_runs_at_the_same_time_and_again(capfd):
    first, _ = run(capfd, 'one', '--coco-missed-by', 'other.onnx', '--concurrent', '1')
    again, _ = run(capfd, 'two', '--coco-missed-by', 'other.onnx', '--concurrent', '3', '--threads', '3')
    assert first == again
    files = [{file.name: file.read_bytes() for file in Path(name, 'bag/coco/images').iterdir()} for name in (
        'one', 'two')]
    assert files[0] == files[1] and len(files[0]) == 4


def test_another_other_model_is_another_run(capfd):
    arguments = ['annotate', 'bag', '--output', 'out', '--model', 'm.onnx', '--formats', 'coco', '--coco-missed-by',
                 'other.onnx']
    said = []
    for change in (None, None, lambda: other_model(Path('other.onnx'), score=0.8)):
        if change:
            change()
        assert main(arguments) == 0
        said.append('already annotated' in capfd.readouterr().out)
    assert said == [False, True, False]


def test_classifiers(capfd):
    """The first class is a box around the image."""
    color_classifier(Path('c.onnx'))
    color_classifier(Path('d.onnx'), metadata={'names': {0: 'red', 1: 'blue', 2: 'green'}})
    shutil.rmtree('bag')
    bag('bag', [np.full((64, 64, 3), color, np.uint8) for color in (RED, GREEN, BLUE)])
    assert main(['annotate', 'bag', '--output', 'all', '--model', 'c.onnx', '--formats', 'coco', '--coco-every', '1',
                 '--coco-classes', 'green', 'blue']) == 0
    coco = json.loads(Path('all', COCO).read_text())
    assert [{key: entry[key] for key in entry if key != 'score'} for entry in coco['annotations']] == [
        {'id': number, 'image_id': number, 'category_id': number + 1, 'iscrowd': 0, 'bbox': [0, 0, 64, 64],
         'area': 4096, 'segmentation': []} for number in (1, 2)]
    # `evaluate` takes it as the truth of a classifier.
    main(['predict', 'd.onnx', 'all/bag/coco/images', '--json', 'd.jsonl'])
    capfd.readouterr()
    assert main(['evaluate', '--truth', f'all/{COCO}', 'd.jsonl', '--min-top1', '0.01']) == 1
    assert 'top-1 is 0.0000' in capfd.readouterr().err
    assert main(['annotate', 'bag', '--output', 'out', '--model', 'c.onnx', '--formats', 'coco', '--coco-every', '1',
                 '--coco-missed-by', 'd.onnx']) == 0
    coco = json.loads(Path('out', COCO).read_text())
    assert [image['file_name'] for image in coco['images']] == ['image_000001.jpg', 'image_000002.jpg']
    assert [entry['attributes'] for entry in coco['annotations']] == [{'missed': True}] * 2


def test_models_that_cannot_be_compared(capfd):
    other_model(Path('strange.onnx'), ('cat', 'dog', 'cow'))
    color_classifier(Path('c.onnx'))
    for name, text in (
            ('strange.onnx', 'strange.onnx and m.onnx have no class name in common (cat, dog, cow; red, green, blue)'),
            ('c.onnx', 'c.onnx is a classification model, and m.onnx a detection model: choose a detection model'),
            ('missing.onnx', 'missing.onnx')):
        _, [error] = run(capfd, 'out', '--coco-missed-by', name, code=1)
        assert text in error
    output = np.full((1, 7, 64), np.nan, np.float32)
    fixed_outputs(Path('nan.onnx'), output, metadata={'names': dict(enumerate(NAMES)), 'task': 'detect'})
    _, [error] = run(capfd, 'nan', '--coco-missed-by', 'nan.onnx', code=1)
    assert "nan.onnx: output 'output0' holds values that are not finite" in error
    assert [path.name for path in Path('nan').iterdir()] == ['.annotate.lock']
    _, [error] = run(capfd, 'out', '--coco-missed-by', 'other.onnx', formats='json', code=1)
    assert error.endswith('--coco-missed-by chooses images of coco: add --formats coco')
    assert not Path('out').exists()
    _, [error] = run(capfd, '.', '--coco-missed-by', 'bag/other.onnx', code=1)
    assert 'bag/other.onnx' in error


def test_labels_name_the_classes_of_a_file_without_names(capfd):
    Path('names.txt').write_text('blue\ndog\nred\n')
    other_model(Path('m.onnx'), names=None)
    other_model(Path('other.onnx'), names=None, score=0.4)
    found, _ = run(capfd, 'out', '--coco-missed-by', 'other.onnx', '--labels', 'names.txt')
    assert found == [(number, [('red', [8, 8], True)]) for number in range(8)]
    other_model(Path('other.onnx'), ('blue', 'dog', 'red'), score=0.4)
    assert run(capfd, 'own', '--coco-missed-by', 'other.onnx', '--labels', 'names.txt')[0] == found
