# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: values worked out by hand, against pycocotools, and what it refuses."""

import contextlib
import io
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trt_perception.cli.main import main
from trt_perception.evaluation.matching import match

needs_library = pytest.mark.skipif(
    find_spec('faster_coco_eval') is None, reason='needs faster_coco_eval: make setup')
# Two images, three boxes, two classes.
TRUTH = {
    'images': [{'id': 7, 'file_name': 'val/a.jpg', 'width': 100, 'height': 80},
               {'id': 9, 'file_name': 'val/b.jpg', 'width': 100, 'height': 80}],
    'categories': [{'id': 3, 'name': 'cup'}, {'id': 5, 'name': 'cat'}],
    # The id 0 is allowed. COCO's own evaluation would take a detection that matches it for a wrong one.
    'annotations': [{'id': 0, 'image_id': 7, 'category_id': 3, 'bbox': [0, 0, 10, 10], 'area': 100, 'iscrowd': 0},
                    {'id': 1, 'image_id': 9, 'category_id': 3, 'bbox': [20, 20, 20, 20]},
                    {'id': 2, 'image_id': 9, 'category_id': 5, 'bbox': [50, 0, 40, 40]}]}
# cup: 0.9 right in a; 0.8 wrong in a; 0.2 right in b. cat: 0.7 right at IoU 0.8 (the upper 40x32 of 40x40).
FOUND = [
    ('photos/a.jpg', [('cup', 0.9, [0, 0, 10, 10]), ('cup', 0.8, [60, 60, 70, 70])]),
    ('photos/b.jpg', [('cat', 0.7, [50, 0, 90, 32]), ('cup', 0.2, [20, 20, 40, 40])])]
# Precision of the cups after each detection: 1, 1/2, 2/3, at recall 1/2, 1/2, 1. The interpolated precision is 1 up to
# recall 0.5 (51 of the 101 points) and 2/3 above (50 points). All boxes are exact, so it is the same at each IoU.
CUP = (51 * 1 + 50 * 2 / 3) / 101
# The cat is right at IoU 0.5, 0.55 ... 0.8: 7 of 10.
CAT, CAT50 = 0.7, 1.0


def record(source, found, size=(100, 80)):
    return {'source': source, 'frame': 0, 'width': size[0], 'height': size[1], 'detections': [
        {'class_id': name, 'class_index': 0, 'score': score, 'bbox': box} for name, score, box in found],
        'timings_ms': {}}


def classes(source, names):
    return {'source': source, 'frame': 0, 'width': 9, 'height': 9, 'classifications': [
        {'class_id': name, 'class_index': 0, 'score': 0.5 - i / 10} for i, name in enumerate(names)]}


def write(truth, records):
    Path('truth.json').write_text(json.dumps(truth))
    Path('found.jsonl').write_text(''.join(json.dumps(entry) + '\n' for entry in records))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(TRUTH, [record(*entry) for entry in FOUND])
    return tmp_path


def run(capsys, *arguments, truth='truth.json'):
    """(exit code, output, lines on stderr)."""
    code = main(['evaluate', '--truth', str(truth), 'found.jsonl', *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def figures(capsys, *arguments, **more):
    code, out, notes = run(capsys, '--json', 'figures.json', *arguments, **more)
    assert code == 0, notes
    return json.loads(Path('figures.json').read_text()), out, notes


# Values


@needs_library
def test_values_worked_out_by_hand(capsys):
    values, out, notes = figures(capsys)
    cup, cat = values['classes']
    assert (cup['name'], cup['map50'], cup['map50_95']) == ('cup', pytest.approx(CUP, abs=1e-6), cup['map50'])
    assert (cat['name'], cat['map50'], cat['map50_95']) == ('cat', CAT50, pytest.approx(CAT))
    assert values['map50'] == pytest.approx((CUP + CAT50) / 2, abs=1e-6)
    assert values['map50_95'] == pytest.approx((CUP + CAT) / 2, abs=1e-6)
    # At score 0.25: two right, one wrong, three boxes.
    assert (values['precision'], values['recall']) == (pytest.approx(2 / 3, abs=1e-6), pytest.approx(2 / 3, abs=1e-6))
    assert (cup['precision'], cup['recall'], cat['precision'], cat['recall']) == (0.5, 0.5, 1, 1)
    assert (values['images'], values['boxes'], values['detections'], values['score']) == (2, 3, 4, 0.25)
    assert out.splitlines() == [
        '2 images, 3 boxes, 4 detections',
        'mAP50      0.917',
        'mAP50-95   0.767',
        'precision  0.667  at score 0.25, IoU 0.5: 2 right, 1 wrong',
        'recall     0.667  at score 0.25, IoU 0.5: 2 of 3 boxes',
        '',
        'class  boxes  mAP50  mAP50-95  precision  recall',
        'cup        2  0.835     0.835      0.500   0.500',
        'cat        1  1.000     0.700      1.000   1.000']
    assert notes == ['note: the lowest score in found.jsonl is 0.200; mAP also counts weaker detections: run predict '
                     'with --score 0.001']


@needs_library
def test_the_score_changes_precision_and_recall_only(capsys):
    before = figures(capsys)[0]
    low, high = figures(capsys, '--score', '0.1')[0], figures(capsys, '--score', '0.85')[0]
    assert (low['precision'], low['recall']) == (0.75, 1.0)
    assert (high['precision'], high['recall']) == (1.0, pytest.approx(1 / 3, abs=1e-6))
    assert low['map50'] == high['map50'] == before['map50']
    assert high['classes'][1]['precision'] is None and high['classes'][1]['recall'] == 0


@needs_library
def test_nothing_found(capsys):
    write(TRUTH, [record(name, []) for name, _ in FOUND])
    values, out, notes = figures(capsys)
    assert (values['map50'], values['map50_95'], values['precision'], values['recall']) == (0, 0, None, 0)
    assert 'precision      -' in out and notes == []


@needs_library
def test_a_second_box_on_an_object_is_wrong_and_one_in_a_crowd_does_not_count(capsys):
    truth = json.loads(json.dumps(TRUTH))
    truth['annotations'].append(
        {'id': 3, 'image_id': 7, 'category_id': 3, 'bbox': [50, 50, 40, 30], 'area': 1200, 'iscrowd': 1})
    write(truth, [record('a.jpg', [*FOUND[0][1], ('cup', 0.85, [0, 0, 10, 9])]), record(*FOUND[1])])
    values = figures(capsys)[0]['classes'][0]
    # Right: 0.9. Wrong: 0.85, the same cup again. The detection at 60, 60 is in the crowd.
    assert (values['boxes'], values['right'], values['wrong']) == (2, 1, 1)


def random_case(seed):
    """A truth with crowds, and detections around its boxes and elsewhere."""
    rng = np.random.default_rng(seed)
    images = [{'id': i + 1, 'file_name': f'{i}.jpg', 'width': 200, 'height': 200} for i in range(12)]
    categories = [{'id': i + 1, 'name': f'c{i}'} for i in range(4)]
    annotations, found = [], {image['id']: [] for image in images}
    for image in images:
        for _ in range(rng.integers(0, 7)):
            x, y, w, h = (*rng.uniform(0, 120, 2), *rng.uniform(5, 80, 2))
            number = int(rng.integers(0, 3))
            annotations.append({
                'id': len(annotations) + 1, 'image_id': image['id'], 'category_id': number + 1,
                'bbox': [x, y, w, h], 'area': w * h, 'iscrowd': int(rng.random() < 0.1)})
            for _ in range(rng.integers(0, 3)):
                box = np.array([x, y, x + w, y + h]) + rng.normal(0, 4, 4)
                other = number if rng.random() < 0.9 else 3
                found[image['id']].append((f'c{other}', float(rng.random()), sorted_box(box)))
    return {'images': images, 'categories': categories, 'annotations': annotations}, found


def sorted_box(box):
    return [*np.minimum(box[:2], box[2:]).tolist(), *np.maximum(box[:2], box[2:]).tolist()]


@needs_library
@pytest.mark.parametrize('seed', range(6))
def test_as_pycocotools(capsys, seed):
    coco = pytest.importorskip('pycocotools.coco')
    from pycocotools.cocoeval import COCOeval

    truth, found = random_case(seed)
    write(truth, [record(f'x/{number - 1}.jpg', entries, (200, 200)) for number, entries in found.items()])
    values = figures(capsys)[0]
    with contextlib.redirect_stdout(io.StringIO()):
        labelled = coco.COCO('truth.json')
        results = labelled.loadRes([
            {'image_id': number, 'category_id': int(name[1:]) + 1, 'score': score,
             'bbox': [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
            for number, entries in found.items() for name, score, box in entries])
        evaluation = COCOeval(labelled, results, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert (values['map50_95'], values['map50']) == pytest.approx(
        (evaluation.stats[0], evaluation.stats[1]), abs=1e-6)
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    for number in range(3):
        mine = next(one for one in values['classes'] if one['name'] == f'c{number}')
        assert mine['map50_95'] == pytest.approx(precision[:, :, number].mean(), abs=1e-6)
    # Precision and recall at the score: from the matches at IoU 0.5 of each image and class, all sizes.
    right = wrong = boxes = 0
    for one in evaluation.evalImgs:
        if one is None or one['aRng'] != evaluation.params.areaRng[0]:
            continue
        counts = (np.array(one['dtScores']) >= 0.25) & ~one['dtIgnore'][0].astype(bool)
        right += int((counts & (one['dtMatches'][0] > 0)).sum())
        wrong += int((counts & (one['dtMatches'][0] == 0)).sum())
        boxes += int((np.array(one['gtIgnore']) == 0).sum())
    assert (values['right'], values['wrong'], values['boxes']) == (right, wrong, boxes)
    assert right > 5 and wrong > 2


@needs_library
def test_average_precision_from_our_own_matches(capsys):
    """An independent computation with NumPy: the area under the interpolated curve of the matches at IoU 0.5."""
    truth, found = random_case(11)
    write(truth, [record(f'{number - 1}.jpg', entries, (200, 200)) for number, entries in found.items()])
    values = figures(capsys)[0]
    for number in range(3):
        scores, kinds, boxes = [], [], 0
        for image, entries in found.items():
            mine = sorted((entry for entry in entries if entry[0] == f'c{number}'), key=lambda entry: -entry[1])
            there = [a for a in truth['annotations'] if (a['image_id'], a['category_id']) == (image, number + 1)]
            corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (a['bbox'] for a in there)]).reshape(-1, 4)
            crowd = np.array([bool(a['iscrowd']) for a in there], bool)
            scores += [entry[1] for entry in mine]
            kinds += match(np.array([entry[2] for entry in mine]).reshape(-1, 4), corners, crowd, 0.5).tolist()
            boxes += int((~crowd).sum())
        kinds = np.array(kinds)[np.argsort(-np.array(scores), kind='stable')]
        kinds = kinds[kinds >= 0]
        recall = np.cumsum(kinds) / boxes
        precision = np.cumsum(kinds) / np.arange(1, len(kinds) + 1)
        points = [max(precision[recall >= point - 1e-12], default=0.0) for point in np.linspace(0, 1, 101)]
        mine = next(one for one in values['classes'] if one['name'] == f'c{number}')
        assert mine['map50'] == pytest.approx(np.mean(points), abs=1e-6)


# The gate


@needs_library
@pytest.mark.parametrize('option, value, says', [
    ('--min-map50', '0.92', 'mAP50 is 0.9175, below 0.92 (--min-map50)'),
    ('--min-map', '0.8', 'mAP50-95 is 0.7675, below 0.8 (--min-map)')])
def test_a_figure_below_its_minimum_is_exit_code_1(capsys, option, value, says):
    code, out, lines = run(capsys, option, value, '--json', 'figures.json')
    assert (code, lines[-1]) == (1, f'trt_perception: {says}')
    # The figures are there all the same.
    assert out.startswith('2 images') and json.loads(Path('figures.json').read_text())['boxes'] == 3


@needs_library
def test_a_figure_above_its_minimum(capsys):
    assert run(capsys, '--min-map50', '0.917', '--min-map', '0.767')[0] == 0


@pytest.mark.parametrize('option, kind', [('--min-top1', 'detections'), ('--min-map50', 'classifications')])
def test_a_minimum_of_the_other_task_is_refused(capsys, option, kind):
    if kind == 'classifications':
        write(TRUTH, [classes('a.jpg', ['cup'])])
    code, out, [line] = run(capsys, option, '0.5')
    assert (code, out) == (1, '') and line.startswith(f'trt_perception: {option} is for ') and line.endswith(kind)


# Images


@needs_library
def test_images_that_only_one_file_has(capsys):
    write(TRUTH, [record(*FOUND[0]), record('photos/bb.jpg', [])])
    code, out, [line] = run(capsys)
    assert (code, out) == (1, '')
    assert line == (
        'trt_perception: 1 of 2 images of truth.json have no result in found.jsonl: val/b.jpg; 1 of 2 images of '
        'found.jsonl are not in truth.json: photos/bb.jpg; --partial evaluates the images that both files have')
    values, _, notes = figures(capsys, '--partial')
    assert (values['images'], values['boxes'], values['detections']) == (1, 1, 2)
    assert [note.split(':')[:2] for note in notes[:2]] == [['note', ' left out']] * 2


@needs_library
def test_the_folder_decides_between_images_of_one_name(capsys):
    truth = json.loads(json.dumps(TRUTH).replace('val/b.jpg', 'test/a.jpg'))
    write(truth, [record('/data/val/a.jpg', FOUND[0][1]), record('/data/test/a.jpg', FOUND[1][1])])
    assert figures(capsys)[0]['map50'] == pytest.approx((CUP + CAT50) / 2, abs=1e-6)
    write(truth, [record('elsewhere/a.jpg', FOUND[0][1])])
    assert 'no image has the same file name' in run(capsys)[2][0]


@pytest.mark.parametrize('records, says', [
    ([record('a.jpg', []), record('b.jpg', []), record('x/a.jpg', [])],
     'two results for the image val/a.jpg (a.jpg, x/a.jpg)'),
    ([record('a.jpg', [], (80, 100)), record('b.jpg', [])],
     'a.jpg: the truth is of 100x80 pixels, the predictions of 80x100'),
    ([record('c.jpg', [])], 'no image has the same file name in both files: 2 of 2 images of truth.json')])
def test_images_that_do_not_fit(capsys, records, says):
    write(TRUTH, records)
    code, out, [line] = run(capsys, '--partial')
    assert (code, out) == (1, '') and says in line


# Class names


@needs_library
def test_unknown_class_names(capsys):
    write(TRUTH, [record('a.jpg', [('cups', 0.9, [0, 0, 10, 10]), ('dog', 0.9, [0, 0, 5, 5])]), record(*FOUND[1])])
    code, out, [line] = run(capsys)
    assert (code, out) == (1, '')
    assert line == (
        'trt_perception: truth.json does not have 2 of the 4 predicted classes: cups (did you mean cup?), dog; '
        'expected its names (cup, cat): use --rename PREDICTED=TRUTH, or --ignore-other-classes to leave their '
        'detections out')
    values, _, notes = figures(capsys, '--rename', 'cups=cup', '--ignore-other-classes')
    assert (values['detections'], values['recall']) == (3, pytest.approx(2 / 3, abs=1e-6))
    assert notes[0] == 'note: left out: detections of 1 classes that the truth does not have'
    code, out, [line] = run(capsys, '--rename', 'cups=cupp')
    assert (code, line) == (1, 'trt_perception: --rename: truth.json has no class cupp (did you mean cup?)')


def test_class_numbers_instead_of_names(capsys):
    write(TRUTH, [record('a.jpg', [('0', 0.9, [0, 0, 10, 10])]), record('b.jpg', [])])
    code, _, [line] = run(capsys)
    assert code == 1 and 'the predictions have class numbers (0), but truth.json has names (cup, cat)' in line
    assert line.endswith('run predict with --labels FILE')


def test_ignoring_every_class_is_refused(capsys):
    write(TRUTH, [record('a.jpg', [('dog', 0.9, [0, 0, 10, 10])]), record('b.jpg', [])])
    code, out, [line] = run(capsys, '--ignore-other-classes')
    assert (code, out) == (1, '')
    # It does not advise what was given.
    assert line.endswith(
        'expected its names (cup, cat): use --rename PREDICTED=TRUTH; without their detections, none would be left')


# Classifiers


CSV = 'file,class\na.jpg,tabby\nsub/b.jpg,"tench, fish"\nc.jpg,tabby\n'
TOP = [classes('p/a.jpg', ['tabby', 'cup', 'x', 'y', 'z']),
       classes('p/sub/b.jpg', ['cup', 'y', 'z', 'v', 'tench, fish']),
       classes('p/c.jpg', ['cup', 'y', 'z', 'v', 'w', 'tabby'])]


def test_a_classifier_with_a_csv_file(capsys):
    Path('truth.csv').write_text(CSV)
    write(TRUTH, TOP)
    values, out, notes = figures(capsys, truth='truth.csv')
    # The sixth class does not count for top-5.
    assert (values['images'], values['top1'], values['top5']) == (3, pytest.approx(1 / 3, abs=1e-6),
                                                                  pytest.approx(2 / 3, abs=1e-6))
    assert values['classes'] == [{'name': 'tabby', 'images': 2, 'top1': 0.5, 'top5': 0.5},
                                 {'name': 'tench, fish', 'images': 1, 'top1': 0.0, 'top5': 1.0}]
    assert out.splitlines()[:2] == ['top-1  0.333  1 of 3 images', 'top-5  0.667  2 of 3 images'] and notes == []
    code, _, lines = run(capsys, '--min-top1', '0.5', truth='truth.csv')
    assert (code, lines) == (1, ['trt_perception: top-1 is 0.3333, below 0.5 (--min-top1)'])


def test_a_classifier_with_a_coco_file(capsys):
    truth = {'images': [{'id': 1, 'file_name': 'a.jpg'}, {'id': 2, 'file_name': 'c.jpg'}],
             'categories': [{'id': 1, 'name': 'tabby'}, {'id': 2, 'name': 'cupp'}],
             'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1}, {'id': 2, 'image_id': 2, 'category_id': 2}]}
    write(truth, [classes('a.jpg', ['tabby', 'cup']), classes('c.jpg', ['cup', 'tabby'])])
    values, _, notes = figures(capsys)
    assert (values['top1'], values['top5']) == (0.5, 0.5)
    assert notes == [
        'note: classes that are never predicted: cupp (did you mean cup?)',
        'note: a result has 2 classes, so top-5 counts fewer than 5: run predict with --top-k 5']
    assert figures(capsys, '--rename', 'cup=cupp')[0]['top1'] == 1.0


def test_an_image_with_two_classes_cannot_judge_a_classifier(capsys):
    write(TRUTH, [{**classes(name, ['cup']), 'width': 100, 'height': 80} for name in ('a.jpg', 'b.jpg')])
    code, _, [line] = run(capsys)
    assert code == 1 and 'val/b.jpg has 2 classes; expected one class for each image' in line


# Files


@pytest.mark.parametrize('name, content, says', [
    ('t.json', None, 'truth t.json: No such file or directory; expected a COCO file'),
    ('t.json', '{', 'truth t.json: not a JSON file'),
    ('t.json', '[' * 100000, 'truth t.json: not a JSON file'),
    ('t.json', '[]', 'truth t.json: not a COCO file; expected an object with the lists images'),
    ('t.json', '{"images": [], "categories": [], "annotations": []}', 'truth t.json: no images'),
    ('t.json', json.dumps({**TRUTH, 'categories': [{'id': 1, 'name': 'a'}]}),
     'annotations[0].category_id is 3, which no image or category has'),
    ('t.json', json.dumps({**TRUTH, 'categories': [{'id': 3, 'name': 'a'}, {'id': 5, 'name': 'a'}]}),
     'two categories have the name a; expected different ones, because classes are matched by name'),
    ('t.json', json.dumps({**TRUTH, 'images': [TRUTH['images'][0]] * 2}), 'images[1].id is 7; expected a number'),
    ('t.json', json.dumps({**TRUTH, 'annotations': [
        {'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [0, 0, -1, 5]}]}), 'annotations[0].bbox is [0, 0, -1, 5]'),
    ('t.json', json.dumps({**TRUTH, 'annotations': [
        {'id': 1, 'image_id': [7], 'category_id': 3}]}), 'annotations[0].image_id is [7]'),
    ('t.json', json.dumps({**TRUTH, 'annotations': [
        {'id': 1, 'image_id': '7', 'category_id': 3}]}), "annotations[0].image_id is '7', which no image"),
    # bool('0') is True: it made a crowd of an object.
    ('t.json', json.dumps({**TRUTH, 'annotations': [{**TRUTH['annotations'][0], 'iscrowd': '0'}]}),
     "annotations[0].iscrowd is '0'; expected the number 0 or 1"),
    ('t.json', json.dumps({**TRUTH, 'images': [{**TRUTH['images'][0], 'width': '100'}]}),
     "images[0].width is '100'; expected a number of pixels"),
    # The cup of b.jpg would be missing in the recall, and its detection would be wrong.
    ('t.json', json.dumps({**TRUTH, 'annotations': [
        {key: value for key, value in entry.items() if key != 'bbox' or entry['id'] != 1}
        for entry in TRUTH['annotations']]}), '1 of 3 annotations of the evaluated images have no bbox'),
    ('t.json', json.dumps({**TRUTH, 'annotations': []}), 'the evaluated images have no boxes'),
    ('t.csv', 'a.jpg,cat\n', 'truth t.csv: expected the first line file,class, found a.jpg,cat'),
    ('t.csv', '', 'expected the first line file,class, found an empty file'),
    ('t.csv', 'file,class\n', 'truth t.csv: no images'),
    ('t.csv', 'file,class\na.jpg,cat,dog\n', 'found a.jpg,cat,dog; a name with a comma is written in quotation marks'),
    ('t.csv', 'file,class\na.jpg,cat\na.jpg,cat\n', 'a.jpg is listed twice')])
def test_a_truth_that_cannot_be_used(capsys, name, content, says):
    if content is not None:
        Path(name).write_text(content)
    code, out, [line] = run(capsys, truth=name)
    assert (code, out) == (1, '') and says in line


@needs_library
def test_a_size_may_be_null(capsys):
    write({**TRUTH, 'images': [{**image, 'width': None, 'height': None} for image in TRUTH['images']]},
          [record(*entry, size=(120, 90)) for entry in FOUND])
    assert figures(capsys)[0]['right'] == 2


@needs_library
def test_a_crowd_may_be_a_boolean_or_null(capsys):
    truth = {**TRUTH, 'annotations': [
        {**entry, 'iscrowd': crowd} for entry, crowd in zip(TRUTH['annotations'], [False, True, None])]}
    write(truth, [record(*entry) for entry in FOUND])
    values = figures(capsys)[0]
    assert (values['boxes'], values['right'], values['wrong']) == (2, 2, 1)


@needs_library
def test_scores_of_quantised_outputs_may_be_a_step_outside(capsys):
    write(TRUTH, [record(*FOUND[0]), record('b.jpg', [('cat', 1.004, [50, 0, 90, 32])])])
    assert figures(capsys)[0]['right'] == 2


def test_two_names_of_the_truth_for_one_predicted_name(capsys):
    code, out, [line] = run(capsys, '--rename', 'cup=cat', '--rename', 'cup=cup')
    assert (code, out) == (1, '')
    assert line == ('trt_perception: --rename: cup is given as cat and as cup; expected one name of the truth for each '
                    'predicted name')


@pytest.mark.parametrize('content, says', [
    ('', 'predictions found.jsonl: the file is empty; expected the JSON lines of trt_perception predict --json'),
    ('{"source": 3}\n', 'predictions found.jsonl line 1: not a result of an image'),
    ('\n[{"image_id": 1}]\n', 'predictions found.jsonl line 2: a list, as in a COCO results file'),
    ('nothing', 'predictions found.jsonl line 1: not JSON'),
    (json.dumps(record('a.jpg', [('cup', float('nan'), [0, 0, 1, 1])])),
     'line 1: score is nan; expected a number from 0 to 1'),
    # In percent, each detection would be above --score.
    (json.dumps(record('a.jpg', [('cup', 73.5, [0, 0, 1, 1])])), 'score is 73.5; expected a number from 0 to 1'),
    (json.dumps(record('a.jpg', [('cup', -1, [0, 0, 1, 1])])), 'score is -1; expected a number from 0 to 1'),
    (json.dumps(record('a.jpg', [('cup', '0.5', [0, 0, 1, 1])])), "score is '0.5'; expected a number from 0 to 1"),
    (json.dumps(record('a.jpg', [])).replace('[]', '[{"class_id": "cup"}]'), 'has no class_id or no score'),
    (json.dumps(record('a.jpg', [('cup', 0.5, [0, 0, 1, 10 ** 400])])), 'bbox is [0, 0, 1, 1000'),
    (json.dumps(record('a.jpg', [('cup', 0.5, [0, 0, 1])])), 'bbox is [0, 0, 1]; expected [x_min, y_min'),
    (json.dumps(record('a.jpg', [])) + '\n' + json.dumps(classes('b.jpg', ['cup'])),
     'detections and classifications in one file')])
def test_predictions_that_cannot_be_used(capsys, content, says):
    Path('found.jsonl').write_text(content)
    code, out, [line] = run(capsys)
    assert (code, out) == (1, '') and says in line


def test_predictions_that_are_no_text(capsys):
    # As the > of Windows' PowerShell writes them.
    Path('found.jsonl').write_bytes(Path('found.jsonl').read_text().encode('utf-16'))
    code, out, [line] = run(capsys)
    assert (code, out) == (1, '')
    assert line.startswith('trt_perception: predictions found.jsonl line 1: not UTF-8 text; expected the JSON lines')


@needs_library
def test_predictions_with_a_byte_order_mark_and_the_line_ends_of_windows(capsys):
    before = figures(capsys)
    Path('found.jsonl').write_bytes(b'\xef\xbb\xbf' + Path('found.jsonl').read_bytes().replace(b'\n', b'\r\n'))
    assert figures(capsys) == before


@pytest.mark.parametrize('name', ['truth.json', 'found.jsonl'])
def test_the_figures_do_not_replace_an_input(capsys, name):
    before = Path(name).read_bytes()
    code, _, [line] = run(capsys, '--json', name)
    assert code == 1 and name in line and Path(name).read_bytes() == before
