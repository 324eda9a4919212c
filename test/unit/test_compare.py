# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`compare`: what is matched, what only one has, limits and exit codes, and what cannot be compared."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.annotations import box, image, line, write_annotation, write_lines
from support.subprocesses import python_environment

from trt_perception.cli.main import main
from trt_perception.measure.table import plain

CAR, SHIFTED = box('car', 0.9, 0, 0, 100, 100), box('car', 0.8, 0, 0, 100, 70)
DOG = box('dog', 0.6, 300, 300, 340, 340)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    """(exit code, lines of stdout, lines of stderr, the JSON object or None)."""
    Path('out.json').unlink(missing_ok=True)
    code = main(['compare', *map(str, arguments), '--json', 'out.json'])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines(), (
        json.loads(Path('out.json').read_text()) if Path('out.json').exists() else None)


def two_bags(name, first, second):
    """An --output folder: bags with the contents one and two."""
    write_annotation(f'{name}/morning', first, 'one')
    write_annotation(f'{name}/evening', second, 'two')


# What is matched


def test_bags_by_content_images_by_topic_and_number(capsys):
    front, back = '/front/image_raw', '/back/image_raw'
    two_bags('a', [line(0, [CAR], front), line(0, [DOG], back), line(1, [CAR, DOG], front)], [line(7, [CAR])])
    # Another order, other names of the bags, and the dog is lost in one of two images.
    write_annotation('b/x', [line(7, [CAR])], 'two')
    write_annotation('b/y', [line(1, [SHIFTED, DOG], front), line(0, [CAR], front), line(0, [], back)], 'one')
    code, out, err, found = run(capsys, 'a', 'b')
    assert (code, err) == (0, [])
    assert out[0] == (
        '4 images of 2 bags: agreement 0.8889, 4 boxes matched, 1 lost, 0 gained, 1 moved, 0 with another class')
    assert (found['task'], found['images'], found['passed']) == ('detection', 4, None)
    assert {one['name']: (one['boxes_a'], one['boxes_b'], one['lost']) for one in found['classes']} == {
        'car': (3, 3, 0), 'dog': (2, 1, 1)}
    assert {bag['name']: (bag['content'], bag['images'], bag['lost']) for bag in found['bags']} == {
        'morning / y': ('one', 3, 1), 'evening / x': ('two', 1, 0)}
    assert found['total']['score_difference'] == {'mean': 0.025, 'p95': 0.1, 'max': 0.1, 'shift': -0.025}
    # The lost dog weighs 0.6, and the moved car 0.3 + 0.1: both at the second 0 of their topics.
    largest = [(one['topic'], one['frame'], one['weight']) for one in found['largest']]
    assert largest == [(back, 0, 0.6), (front, 1, 0.4)]
    assert found['largest'][1]['moved'] == [{
        'a': CAR, 'b': SHIFTED, 'iou': 0.7}]
    table = [row.split() for row in out[1:4]]
    assert table[0] == ['in', 'A', 'in', 'B', 'lost', 'gained', 'moved', 'other', 'agreement', 'score', 'p95']
    assert table[1] == ['all', '5', '4', '1', '0', '1', '0', '0.8889', '0.1000']
    assert table[2][:3] == ['dog', '2', '1']


def test_one_bag_and_files_of_lines(capsys):
    write_annotation('a/run', [line(0, [CAR])], 'one')
    write_annotation('b/run', [line(0, [CAR, DOG])], 'one')
    for first, second in (('a/run', 'b'), ('a/run/results.jsonl', 'b/run/results.jsonl')):
        code, _, _, found = run(capsys, first, second)
        assert (code, found['total']['gained']) == (0, 1)
    # The same without annotation.json, of images; their folders may differ.
    write_lines('a.jsonl', [image('photos/1.jpg', [CAR]), image('photos/2.jpg', [DOG])])
    write_lines('b.jsonl', [image('/data/photos/2.jpg', []), image('/data/photos/1.jpg', [CAR])])
    code, _, err, found = run(capsys, 'a.jsonl', 'b.jsonl')
    assert (code, err, found['total']['matched'], found['total']['lost']) == (0, [], 1, 1)


def test_classifiers(capsys):
    write_annotation('a/run', [line(n, [('cup', 0.5), ('bowl', 0.47)]) for n in range(4)], 'one', ('cup', 'bowl'))
    write_annotation('b/run', [
        line(0, [('cup', 0.6)]), line(1, [('bowl', 0.6), ('cup', 0.4)]), line(2, [('bowl', 0.9)]),
        line(3, [('cup', 0.5)])], 'one', ('cup', 'bowl'))
    code, out, _, found = run(capsys, 'a', 'b', '--min-top1', 0.5, '--min-agreement', 1, '--max-score-difference', 0.4)
    assert (code, found['task'], found['total']['top1'], found['total']['agreement']) == (1, 'classification', 0.5, 1.0)
    assert found['total']['score_difference'] == {'mean': 0.175, 'p95': 0.5, 'max': 0.5, 'shift': -0.125}
    assert [check['passed'] for check in found['checks']] == [False, True, True]
    assert out[0] == '4 images of 1 bag: top-1 agreement 0.5000, 2 with another first class'
    assert '2 x cup in A is bowl in B' in out
    code, _, [error], _ = run(capsys, 'a', 'b', '--max-lost', 0)
    assert (code, error) == (1, 'trt_perception: --max-lost is for detections, but a has classifications')


# What only one has


def test_what_only_one_has_is_named_and_fails_a_gate(capsys):
    two_bags('a', [line(0, [CAR]), line(1, [CAR]), line(0, [CAR], '/back')], [line(0, [CAR])])
    write_annotation('b/morning', [line(0, [CAR]), line(2, [CAR]), line(3, [CAR])], 'one')
    write_annotation('b/night', [line(0, [CAR])], 'three')
    notes = [
        'note: not compared: 1 bag is in A only: evening',
        'note: not compared: 1 bag is in B only: night',
        'note: not compared: morning: 2 images are in A only, among them all of /back',
        'note: not compared: morning: 2 images are in B only']
    code, _, err, found = run(capsys, 'a', 'b')
    assert (code, err) == (0, notes)
    assert found['not_compared'] == {
        'bags_only_a': ['evening'], 'bags_only_b': ['night'], 'classes': [], 'only_a': 2, 'only_b': 2, 'other': 0}
    code, _, err, found = run(capsys, 'a', 'b', '--max-lost', 0)
    assert (code, found['passed'], err[:4]) == (1, False, notes) and '--partial' in err[4] and len(err) == 5
    code, _, err, found = run(capsys, 'a', 'b', '--max-lost', 0, '--partial')
    assert (code, found['passed'], err) == (0, True, notes)


def test_an_image_with_another_stamp_or_size_is_not_the_same(capsys):
    write_lines('a.jsonl', [line(n, [CAR]) for n in range(3)])
    write_lines('b.jsonl', [line(0, [CAR]), line(1, [CAR], stamp_ns=5), line(2, [CAR], size=(320, 240))])
    code, _, [note], found = run(capsys, 'a.jsonl', 'b.jsonl')
    assert (code, found['images'], found['not_compared']['other']) == (0, 1, 2)
    assert note.endswith(': 2 images are in both with another stamp or size: not compared')


# Limits


@pytest.mark.parametrize('options, value', [
    (['--max-lost', '0.24'], "all: 0.2500 of A's boxes are lost, above 0.24 (--max-lost)"),
    (['--max-gained', '0'], "all: 0.2500 of B's boxes are gained, above 0 (--max-gained)"),
    (['--max-moved', '0.3'], 'all: 0.3333 of the matched boxes moved, above 0.3 (--max-moved)'),
    (['--max-score-difference', '0.09'], 'all: the score difference (p95) is 0.1000, above 0.09'),
    (['--min-agreement', '0.76'], 'all: the agreement is 0.7500, below 0.76 (--min-agreement)'),
    (['--max-lost', '0.3', '--each-class', '1'], "dog: 1.0000 of A's boxes are lost, above 0.3 (--max-lost)")])
def test_a_limit_that_is_exceeded_is_one_line(capsys, options, value):
    write_lines('a.jsonl', [line(0, [CAR]), line(1, [CAR]), line(2, [CAR, DOG])])
    write_lines('b.jsonl', [line(0, [CAR]), line(1, [CAR, box('car', 0.5, 200, 0, 300, 90)]), line(2, [SHIFTED])])
    code, _, [error], found = run(capsys, 'a.jsonl', 'b.jsonl', *options)
    assert code == 1 and error.startswith(f'trt_perception: {value}')
    assert (found['passed'], len(found['failures'])) == (False, 1)


def test_limits_that_hold(capsys):
    write_lines('a.jsonl', [line(0, [CAR]), line(1, [CAR]), line(2, [CAR, DOG])])
    write_lines('b.jsonl', [line(0, [CAR]), line(1, [CAR, box('car', 0.5, 200, 0, 300, 90)]), line(2, [SHIFTED])])
    code, _, err, found = run(
        capsys, 'a.jsonl', 'b.jsonl', '--max-lost', 0.25, '--max-gained', 0.25, '--max-moved', 0.334, '--min-agreement',
        0.75, '--max-score-difference', 0.1, '--each-class', 2)
    assert (code, err, found['passed'], len(found['checks'])) == (0, [], True, 10)


def test_a_gate_without_a_box_does_not_pass(capsys):
    write_lines('a.jsonl', [line(0, []), line(1, [])])
    write_lines('b.jsonl', [line(0, []), line(1, [])])
    assert run(capsys, 'a.jsonl', 'b.jsonl')[0] == 0
    code, _, [error], _ = run(capsys, 'a.jsonl', 'b.jsonl', '--max-lost', 0.1)
    assert code == 1 and 'nothing was detected in 2 images of A and B' in error


def test_many_limits_are_some_lines(capsys):
    names = [f'class {n}' for n in range(30)]
    write_lines('a.jsonl', [line(n, [box(name, 0.9, 0, 0, 9, 9)]) for n, name in enumerate(names)])
    write_lines('b.jsonl', [line(n, [box('class 0', 0.9, 50, 50, 59, 59)]) for n, name in enumerate(names)])
    code, _, err, found = run(capsys, 'a.jsonl', 'b.jsonl', '--max-lost', 0, '--each-class', 1)
    assert (code, len(found['failures']), len(err)) == (1, 31, 21)
    assert err[-1].endswith('and 11 more limits are exceeded')


def test_names_of_wide_letters_are_aligned():
    assert plain([('', 'lost'), ('行人', '5'), ('car', '12')]).splitlines() == [
        '      lost', '行人     5', 'car     12']


# Class names


def test_other_class_names_are_an_error_or_left_out(capsys):
    write_annotation('a/run', [line(0, [CAR, DOG])], names=('car', 'dog', 'cat'))
    write_annotation('b/run', [line(0, [CAR, box('bus', 0.9, 300, 0, 350, 50)])], names=('bus', 'car', 'cat'))
    code, _, [error], _ = run(capsys, 'a', 'b')
    assert code == 1 and 'other class names: only in A: dog; only in B: bus: ' in error and '--common-classes' in error
    code, _, [note], found = run(capsys, 'a', 'b', '--common-classes')
    assert (code, note) == (0, 'note: left out: classes that only one model has: bus, dog')
    assert (found['total']['boxes_a'], found['total']['lost'], found['not_compared']['classes']) == (
        1, 0, ['bus', 'dog'])


def test_another_order_of_the_names_and_names_that_do_not_occur(capsys):
    write_annotation('a/run', [line(0, [CAR])], names=('car', 'dog'))
    write_annotation('b/run', [line(0, [DOG])], names=('dog', 'car'))
    assert run(capsys, 'a', 'b')[3]['total']['lost'] == 1
    # Files without names: a class that is in one only may be lost, but not all of them.
    write_lines('a.jsonl', [line(0, [CAR, DOG])])
    write_lines('b.jsonl', [line(0, [CAR])])
    assert run(capsys, 'a.jsonl', 'b.jsonl')[3]['total']['lost'] == 1
    write_lines('b.jsonl', [line(0, [box('0', 0.9, 0, 0, 9, 9)])])
    code, _, [error], _ = run(capsys, 'a.jsonl', 'b.jsonl', '--common-classes')
    assert code == 1 and 'have no class in common (car, dog; 0)' in error


def test_other_thresholds_are_told(capsys):
    for name, score in (('a', 0.25), ('b', 0.4)):
        write_annotation(
            f'{name}/run', [line(0, [CAR])], thresholds=f'S(detection=D(score={score}, iou=0.45))', precision=name)
    _, _, notes, found = run(capsys, 'a', 'b')
    assert [(made[0]['precision'], made[0]['thresholds']) for made in found['made_by'].values()] == [
        ('a', 'score 0.25, iou 0.45'), ('b', 'score 0.4, iou 0.45')]
    assert notes == [
        'note: made with other thresholds (A: score 0.25; B: score 0.4): a box may be lost or gained for that reason '
        'alone']


# What cannot be compared


def test_folders_that_cannot_be_compared(capsys):
    def error(*arguments):
        code, out, [found], _ = run(capsys, *arguments)
        assert (code, out) == (1, [])
        return found

    write_annotation('a/run', [line(0, [CAR])], 'one')
    assert 'missing: there is no such file; expected a folder that trt_perception annotate' in error('a', 'missing')
    Path('empty').mkdir()
    assert 'empty: it has no finished annotation (annotation.json)' in error('empty', 'a')
    write_annotation('other/run', [line(0, [CAR])], 'two')
    assert 'a and other have no bag in common' in error('a', 'other')
    write_annotation('twice/run', [line(0, [CAR])], 'one')
    write_annotation('twice/copy', [line(0, [CAR])], 'one')
    assert 'twice: copy and run are annotations of the same bag' in error('a', 'twice')
    write_lines('b.jsonl', [line(0, [CAR])])
    assert 'twice has 2 bags, and b.jsonl is a file of JSON lines' in error('twice', 'b.jsonl')
    # Written with --formats parquet, and changed since.
    record = json.loads(Path('a/run/annotation.json').read_text())
    Path('a/run/annotation.json').write_text(json.dumps({**record, 'outputs': {}}))
    assert 'a/run: it has no results.jsonl' in error('a', 'b.jsonl') and '--formats json' in error('a', 'b.jsonl')
    Path('a/run/annotation.json').write_text(json.dumps({**record, 'outputs': {'results.jsonl': 1}}))
    assert 'a/run: its files are not those that annotation.json lists' in error('a', 'other')


@pytest.mark.parametrize('records, says', [
    ([], 'b.jsonl: it has no results'), ([[1]], 'b.jsonl line 1: a list, as in a COCO results file'),
    ([line(0, [CAR]), {'source': 'x'}], 'b.jsonl line 2: not a result of an image'),
    ([{**line(0, [CAR]), 'frame': '0'}], 'b.jsonl line 1: not a result of an image'),
    ([line(0, [box('car', float('nan'), 0, 0, 1, 1)])], 'b.jsonl line 1: score is nan; expected a number from 0 to 1'),
    # In percent, no limit of a score difference would hold.
    ([line(0, [box('car', 80, 0, 0, 1, 1)])], 'b.jsonl line 1: score is 80; expected a number from 0 to 1'),
    ([line(3, [CAR]), line(3, [CAR])], 'two results for frame 3 of /camera/image_raw'),
    ([line(0, [CAR]), line(1, [('cup', 0.5)])], 'detections and classifications in one file'),
    ([line(0, [('car', 0.5)])], 'a.jsonl has detections, and b.jsonl has classifications'),
    ([line(9, [CAR])], 'have no image in common: b.jsonl: 1 image')])
def test_lines_that_cannot_be_compared(capsys, records, says):
    write_lines('a.jsonl', [line(0, [CAR])])
    write_lines('b.jsonl', records)
    code, out, [error], _ = run(capsys, 'a.jsonl', 'b.jsonl')
    assert (code, out) == (1, []) and says in error.replace('a.jsonl / b.jsonl', 'b.jsonl')


def test_predict_against_annotate(capsys):
    write_annotation('a/run', [line(0, [CAR])])
    write_lines('b.jsonl', [image('1.jpg', [CAR])])
    for first, second in (('a', 'b.jsonl'), ('b.jsonl', 'a')):
        [error] = run(capsys, first, second)[2]
        assert 'b.jsonl is from predict, and a/run/results.jsonl is from annotate' in error


def test_bytes_that_are_no_text(capsys):
    write_lines('a.jsonl', [line(0, [CAR])])
    Path('b.jsonl').write_bytes(b'\xff\xfe\n')
    assert 'b.jsonl line 1: not UTF-8 text; expected the JSON lines of' in run(capsys, 'a.jsonl', 'b.jsonl')[2][0]


def test_lines_that_went_through_an_editor(capsys):
    """Windows' line ends, a byte order mark, blank lines, and a second file with its own mark behind the first."""
    write_lines('a.jsonl', [line(0, [CAR]), line(1, [])])
    first, second = Path('a.jsonl').read_bytes().splitlines()
    mark = b'\xef\xbb\xbf'
    Path('b.jsonl').write_bytes(mark + first + b'\r\n\r\n' + mark + second + b'\r\n')
    code, out, errors, _ = run(capsys, 'a.jsonl', 'b.jsonl', '--max-lost', '0')
    assert (code, errors) == (0, []) and out[0].startswith('2 images of 1 bag: agreement 1.0000, 1 boxes matched')


def test_an_output_does_not_replace_an_input(capsys):
    write_annotation('a/run', [line(0, [CAR])])
    write_annotation('b/run', [line(0, [CAR])])
    before = {path: path.read_bytes() for path in Path().rglob('*') if path.is_file()}
    for option in ('--json', '--html'):
        for name in ('a/run/results.jsonl', 'b/run/annotation.json'):
            assert main(['compare', 'a', 'b', option, name]) == 1
            assert name in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob('*') if path.is_file()} == before
    # Beside them is right, also a second time, and nothing else is left there.
    for _ in range(2):
        assert main(['compare', 'a', 'b', '--html', 'a/page.html', '--json', 'a/all.json']) == 0
    assert sorted(path.name for path in Path('a').iterdir()) == ['all.json', 'page.html', 'run']


# As a user does it


def test_annotate_twice_and_compare_as_processes(tmp_path):
    """Of a higher score threshold, exactly the boxes below it are lost."""
    pytest.importorskip('cv2')
    pytest.importorskip('onnxruntime')
    pytest.importorskip('rosbags.rosbag2')
    from support.bags import write_bag
    from support.tiny_models import color_detector
    from test_annotate import images

    color_detector('m.onnx')
    write_bag(Path('bag'), {'/image_raw': list(images('coffee', 6))})

    def command(*arguments):
        done = subprocess.run(
            [sys.executable, '-m', 'trt_perception.cli.main', *arguments], capture_output=True, text=True, timeout=300,
            env=python_environment())
        return done.returncode, done.stdout, done.stderr

    for name, score in (('low', '0.4'), ('high', '0.6')):
        assert command('annotate', 'bag', '--model', 'm.onnx', '--score', score, '--output', name)[0] == 0
    scores = [
        found['score'] for text in Path('low/bag/results.jsonl').read_text().splitlines()
        for found in json.loads(text)['detections']]
    weak = sum(score < 0.6 for score in scores)
    assert 0 < weak < len(scores)
    code, out, err = command('compare', 'low', 'high', '--max-lost', '0.01', '--json', 'c.json', '--html', 'c.html')
    assert code == 1
    assert f'6 images of 1 bag: agreement {2 * (len(scores) - weak) / (2 * len(scores) - weak):.4f}, ' in out
    assert f'{len(scores) - weak} boxes matched, {weak} lost, 0 gained, 0 moved' in out
    assert f"trt_perception: all: {weak / len(scores):.4f} of A's boxes are lost, above 0.01 (--max-lost)" in err
    assert len(re.findall('href="data:image/jpeg;base64,', Path('c.html').read_text())) == len(
        json.loads(Path('c.json').read_text())['largest']) > 0
    # The score of the stronger run makes them the same. So do two runs with one threshold.
    assert command('compare', 'low', 'high', '--max-lost', '0', '--max-gained', '0', '--score', '0.65')[0] == 0
    code, out, _ = command('compare', 'high', 'low')
    assert code == 0 and f'0 lost, {weak} gained' in out
    assert command('compare', 'low')[0] == 2
