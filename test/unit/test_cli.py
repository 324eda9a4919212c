# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: in a separate process if the test is about the process, otherwise through its main function."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from support.subprocesses import without_progress
from support.tiny_models import COLORS, color_classifier, color_detector, dynamic_color_detector, fixed_outputs

import trt_perception
from trt_perception.cli.main import main
from trt_perception.pipeline.tensorrt_options import BuildOptions

has_runtime = find_spec('onnxruntime') is not None
runs_a_model = pytest.mark.skipif(not has_runtime, reason='needs onnxruntime: make setup')

PACKAGE_ROOT = Path(trt_perception.__file__).resolve().parents[1]


def command(*arguments, **options):
    """Run `trt_perception ARGUMENTS` as a process."""
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        filter(None, [str(PACKAGE_ROOT), os.environ.get('PYTHONPATH')]))}
    return subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', *map(str, arguments)], capture_output=True, text=True,
        timeout=600, env=environment, **options)


def run(capsys, *arguments):
    """Run it in this process: (exit code, stdout, stderr)."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, without_progress(err)


@pytest.fixture
def detector(tmp_path):
    return color_detector(tmp_path / 'colors.onnx')


@pytest.fixture
def photo(tmp_path):
    """A 128x64 image with a red cell at 32..48, 16..32 and a blue one at 96..112, 32..48."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[16:32, 32:48] = 0, 0, 255
    pixels[32:48, 96:112] = 255, 0, 0
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), pixels)
    return path


# The preprocessing of the model


@runs_a_model
def test_preprocessing_is_given_as_in_the_node(capsys, tmp_path, detector, photo):
    def found(*arguments):
        lines = tmp_path / 'out.jsonl'
        assert run(capsys, 'predict', detector, photo, '--score', '0.4', '--json', lines, *arguments)[0] == 0
        return {d['class_id']: (round(d['score'], 2), d['bbox'])
                for d in json.loads(lines.read_text())['detections']}

    as_it_says = found()
    assert as_it_says == {'red': (1.0, [32, 16, 48, 32]), 'blue': (1.0, [96, 32, 112, 48])}
    assert found('--color-order', 'bgr') == {'red': as_it_says['blue'], 'blue': as_it_says['red']}
    assert {score for score, _ in found('--scale', '0.002').values()} == {0.51}
    # (1.0 - mean) / std, in the model's order: red, green, blue; black pixels have scores in 0..1 too
    scores = {name: score for name, (score, _) in found('--mean=-0.25,0,-0.5', '--std', '2').items()}
    assert scores == {'red': 0.62, 'blue': 0.75}


@pytest.mark.parametrize('arguments, code, says', [
    (('--mean', '1,2'), 2, '1,2: expected one number, or three numbers separated by commas'),
    (('--std', 'x'), 2, 'x: expected one number, or three numbers separated by commas'),
    (('--std', '0'), 1, 'std in the settings is [0.0, 0.0, 0.0]: expected numbers above 0'),
    (('--scale', '0'), 2, '0: expected a number above 0'),
    (('--color-order', 'gbr'), 2, "'gbr'"),
    (('--crop-fraction', '0'), 1, 'crop_fraction in the settings is 0.0')])
def test_preprocessing_that_cannot_be(capsys, detector, photo, arguments, code, says):
    found, _, err = run(capsys, 'predict', detector, photo, *arguments)
    assert (found, says in err.splitlines()[-1]) == (code, True), err


# The process: exit codes, one line on stderr, no other output


@runs_a_model
def test_predict_as_a_process(tmp_path, detector, photo):
    lines = tmp_path / 'out.jsonl'
    done = command('predict', detector, photo, '--score', '0.6', '--json', lines, '--draw', tmp_path / 'drawn')
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith(f'{photo} 0: ')
    assert 'red 1.00' in done.stdout and 'blue 1.00' in done.stdout
    record, = [json.loads(line) for line in lines.read_text().splitlines()]
    assert list(record) == ['source', 'frame', 'width', 'height', 'detections', 'timings_ms']
    assert (record['source'], record['frame'], record['width'], record['height']) == (str(photo), 0, 128, 64)
    assert sorted(record['detections'], key=lambda d: d['class_index']) == [
        {'class_id': 'red', 'class_index': 0, 'score': 1.0, 'bbox': [32.0, 16.0, 48.0, 32.0]},
        {'class_id': 'blue', 'class_index': 2, 'score': 1.0, 'bbox': [96.0, 32.0, 112.0, 48.0]}]
    assert set(record['timings_ms']) == {'preprocess', 'infer', 'postprocess'}
    drawn, = (tmp_path / 'drawn').iterdir()
    picture = cv2.imread(str(drawn))
    assert picture.shape == (64, 128, 3)
    assert not np.array_equal(picture, cv2.imread(str(photo)))


def test_inspect_as_a_process(detector):
    done = command('inspect', detector, '--json')
    assert (done.returncode, done.stderr) == (0, '')
    assert json.loads(done.stdout)['head'] == 'yolov8'


def test_a_failed_run_is_one_line_and_exit_code_1(tmp_path):
    path = tmp_path / 'broken.onnx'
    path.write_bytes(b'')
    done = command('inspect', path)
    assert done.returncode == 1
    assert done.stdout == ''
    assert done.stderr == (
        f'trt_perception: {path} is empty: expected an ONNX file; copy or export it again\n')


def test_wrong_usage_is_exit_code_2():
    done = command('predict')
    assert done.returncode == 2
    assert done.stderr == (
        'trt_perception predict: the following arguments are required: MODEL, SOURCE '
        '(see trt_perception predict --help)\n')


def test_a_closed_pipe_is_no_traceback(tmp_path, detector, photo):
    folder = tmp_path / 'many'
    folder.mkdir()
    for i in range(300):
        (folder / f'{i}.png').write_bytes(photo.read_bytes())
    environment = {**os.environ, 'PYTHONPATH': str(PACKAGE_ROOT)}
    arguments = [sys.executable, '-u', '-m', 'trt_perception.cli.main', 'predict', str(detector), str(folder)]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, pipesize=4096)
    # The pipe and the reader's buffer hold less than all results: the process still writes, however late this closes.
    assert 300 * len(process.stdout.readline()) > 4 * 4096
    process.stdout.close()
    assert process.wait(600) == 1
    assert process.stderr.read() == ''
    process.stderr.close()


# Usage


@pytest.mark.parametrize('arguments, message', [
    ((), 'the following arguments are required: COMMAND'),
    (('destroy',), 'invalid choice'),
    (('inspect',), 'the following arguments are required: MODEL'),
    (('predict', 'm.onnx'), 'the following arguments are required: SOURCE'),
    (('predict', 'm.onnx', 'a.png', '--score', '1.5'), 'argument --score: 1.5: expected a number from 0 to 1'),
    (('predict', 'm.onnx', 'a.png', '--score', 'nan'), 'argument --score: nan: expected a number from 0 to 1'),
    (('predict', 'm.onnx', 'a.png', '--score', 'high'), 'argument --score: high: expected a number from 0 to 1'),
    (('predict', 'm.onnx', 'a.png', '--threads', 'two'), 'argument --threads: two: expected a whole number from 0 to'),
    (('benchmark', 'm.onnx', '--frames', '-3'), 'argument --frames: -3: expected a whole number above 0'),
    (('cache', 'prune', '--unused-for', 'abc'), 'argument --unused-for: abc: expected a number, 0 or more'),
    (('build', 'm.onnx', '--workspace-mib', '-1'), 'argument --workspace-mib: -1: expected a whole number from 0 to'),
    (('quantize', 'm.onnx', '--samples', '0'), 'argument --samples: 0: expected a whole number from 1 to'),
    (('predict', 'm.onnx', 'a.png', '--top-k', '0'), 'argument --top-k: 0: expected a whole number from 1 to'),
    (('predict', 'm.onnx', 'a.png', '--input-size', '0', '5'), 'argument --input-size: 0: expected a whole number'),
    (('predict', 'm.onnx', 'a.png', '--task', 'detect'), 'argument --task: invalid choice'),
    (('predict', 'm.onnx', 'a.png', '--backend', 'cuda'), 'argument --backend: invalid choice'),
    (('inspect', 'm.onnx', '--head', 'ssd'), 'argument --head: invalid choice'),
])
def test_wrong_usage(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, '')
    assert message in err


def test_a_frame_too_large_is_refused_before_it_is_made(capsys, detector):
    code, _, err = run(capsys, 'benchmark', detector, '--size', '99999x99999')
    assert code == 1
    assert '99999x99999' in err and 'limit is 67108864' in err and len(err.splitlines()) == 1


def test_version_and_help(capsys):
    assert run(capsys, '--version') == (0, f'trt_perception {trt_perception.__version__}\n', '')
    code, out, _ = run(capsys, '--help')
    assert code == 0
    for name in ('fetch', 'inspect', 'predict'):
        assert f'\n    {name} ' in out
    for name in ('inspect', 'predict'):
        code, out, _ = run(capsys, name, '--help')
        assert code == 0
        assert '--input-size WIDTH HEIGHT' in out


@pytest.mark.parametrize('name, files', [
    ('build', 'an ONNX file, or the name of'), ('quantize', 'an ONNX file, or the name of'),
    ('predict', 'an ONNX or .tflite file, or the name of'),
    ('inspect', 'an ONNX or .tflite file, a TensorRT engine (.plan, .engine), or the name of')])
def test_help_names_the_files_that_the_subcommand_takes(capsys, name, files):
    code, out, _ = run(capsys, name, '--help')
    assert code == 0
    assert f'MODEL {files}' in ' '.join(out.split())


def test_help_of_build_has_the_batch_that_it_builds_without_the_option(capsys):
    _, out, _ = run(capsys, 'build', '--help')
    assert f'(default: {" ".join(map(str, BuildOptions().batch))};' in ' '.join(out.split())


# inspect


def test_inspect_prints_what_it_found(capsys, tmp_path):
    code, out, err = run(capsys, 'inspect', dynamic_color_detector(
        tmp_path / 'm.onnx', metadata={'names': dict(enumerate(COLORS)), 'imgsz': '[32, 64]'}))
    assert (code, err) == (0, '')
    rows = dict(line.split(':', 1) for line in out.splitlines())
    rows = {name: value.strip() for name, value in rows.items()}
    assert rows['task'] == 'detection (yolov8)'
    assert rows['input'] == 'images float32 [1, 3, 32, 64] nchw (dynamic size and batch)'
    assert rows['outputs'] == 'output0 [1, 7, 32]'
    assert rows['onnx.checker'] == 'ok'
    assert rows['opset'] == 'ai.onnx 13'
    assert rows['producer'] == 'tiny'
    assert rows['precision'] == 'fp32'
    assert rows['preprocessing'] == 'rgb, letterbox, linear, (pixel * 0.00392157 - 0) / 1'
    assert rows['classes'] == '3 from ONNX metadata: red, green, blue'
    assert rows['size'] == f'{(tmp_path / "m.onnx").stat().st_size} bytes'
    assert rows['ONNX Runtime'].startswith('runs the model (onnxruntime ' if has_runtime else 'not installed')
    assert rows['parameters'] == '4'
    assert rows['GFLOPs'].startswith('0.0 (')
    assert rows['operators'] == (
        'Mul 4, CumSum 2, Sub 2, AveragePool 1, Slice 1, Add 1, Concat 1, Reshape 1')


def test_inspect_json(capsys, tmp_path):
    path = color_classifier(tmp_path / 'm.onnx')
    code, out, _ = run(capsys, 'inspect', path, '--json')
    report = json.loads(out)
    assert code == 0
    assert report['file'] == str(path)
    assert (report['task'], report['head'], report['checker']) == ('classification', 'classification', 'ok')
    assert report['input'] == {
        'name': 'images', 'dtype': 'float32', 'shape': [1, 3, 16, 16], 'layout': 'nchw', 'dynamic_size': False,
        'dynamic_batch': False}
    assert report['outputs'] == [{'name': 'logits', 'shape': [1, 3]}]
    assert report['names'] == list(COLORS)
    assert report['preprocessing'] == {
        'color_order': 'rgb', 'scale': 1 / 255, 'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225],
        'resize_mode': 'center_crop', 'crop_fraction': 0.875, 'interpolation': 'bilinear_antialias'}
    assert report['operators'] == {'GlobalAveragePool': 1, 'Flatten': 1, 'Mul': 1}
    assert report['parameters'] == 1
    assert (report['bytes'], report['external_data']) == (path.stat().st_size, [])
    assert report['backends']['onnxruntime']['runs'] is (True if has_runtime else None)


def test_inspect_fails_if_the_graph_is_not_complete(capsys, detector):
    # The graph uses a name that no node produces; its input and output are still correct.
    model = onnx.load(str(detector))
    model.graph.node[0].input[0] = 'nowhere'
    onnx.save(model, str(detector))
    code, out, err = run(capsys, 'inspect', detector)
    assert (code, err.count('\n')) == (1, 1)
    assert err.startswith('trt_perception: ') and 'nowhere' in err
    assert 'nowhere' in next(line for line in out.splitlines() if line.startswith('onnx.checker:'))


def test_inspect_says_what_is_not_supported(capsys, tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 21, 8, 8)))
    code, out, err = run(capsys, 'inspect', path)
    assert (code, out.splitlines()) == (1, [f'file:           {path}'])
    assert err.startswith('trt_perception: unknown output layout: found output0 [1, 21, 8, 8]')
    assert err.count('\n') == 1


@pytest.mark.skipif(find_spec('yaml') is None, reason='needs yaml: make setup')
@pytest.mark.parametrize('subcommand', [('inspect',), ('predict', 'a.png')])
def test_a_model_that_is_not_there_names_the_catalogue(capsys, tmp_path, subcommand):
    name, *rest = subcommand
    code, out, err = run(capsys, name, tmp_path / 'none.onnx', *rest)
    assert (code, out) == (1, '')
    assert err.startswith(f"trt_perception: model '{tmp_path / 'none.onnx'}': there is no such file")
    assert 'yolov3-tiny' in err
    assert err.count('\n') == 1


# predict


def records(text):
    return [json.loads(line) for line in text.splitlines()]


@runs_a_model
def test_json_on_standard_output_is_nothing_but_json(capsys, detector, photo):
    code, out, err = run(capsys, 'predict', detector, photo, photo, '--json', '-', '--score', '0.6')
    assert (code, err) == (0, '')
    assert [(r['source'], r['frame'], len(r['detections'])) for r in records(out)] == [(str(photo), 0, 2)] * 2


@runs_a_model
def test_the_frames_of_a_folder_are_numbered_from_0(capsys, tmp_path, detector, photo):
    folder = tmp_path / 'folder'
    folder.mkdir()
    for name in ('b.png', 'a.png', 'c.png'):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / 'notes.txt').write_text('no image')
    code, out, _ = run(capsys, 'predict', detector, folder, '--json', '-')
    assert code == 0
    assert [(Path(r['source']).name, r['frame']) for r in records(out)] == [('a.png', 0), ('b.png', 1), ('c.png', 2)]


@runs_a_model
def test_a_classifier_with_labels_and_top_k(capsys, tmp_path, photo):
    labels = tmp_path / 'names.txt'
    labels.write_text('rot\ngrün\nblau\n', encoding='utf-8')
    path = color_classifier(tmp_path / 'm.onnx', metadata={})
    code, out, _ = run(
        capsys, 'predict', path, photo, '--labels', labels, '--top-k', '2', '--json', '-', '--draw', tmp_path / 'd')
    assert code == 0
    record, = records(out)
    assert list(record) == ['source', 'frame', 'width', 'height', 'classifications', 'timings_ms']
    assert len(record['classifications']) == 2
    assert all(set(c) == {'class_id', 'class_index', 'score'} for c in record['classifications'])
    first = record['classifications'][0]
    assert first['class_id'] == ('rot', 'grün', 'blau')[first['class_index']]
    assert len(list((tmp_path / 'd').iterdir())) == 1
    # The names in the model win.
    code, out, err = run(capsys, 'predict', color_classifier(path), photo, '--labels', labels, '--json', '-')
    assert code == 0
    assert records(out)[0]['classifications'][0]['class_id'] in ('red', 'green', 'blue')
    assert err.startswith(f'warning: labels_file {labels} is not used')
    assert err.count('\n') == 1


@runs_a_model
def test_nothing_found_is_said(capsys, detector, tmp_path):
    path = tmp_path / 'black.png'
    cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
    code, out, _ = run(capsys, 'predict', detector, path)
    assert code == 0
    assert out.startswith(f'{path} 0: nothing (')


@runs_a_model
def test_a_missing_source_is_reported_and_the_others_are_done(capsys, tmp_path, detector, photo):
    code, out, err = run(
        capsys, 'predict', detector, tmp_path / 'none.png', photo, '--json', '-', '--score', '0.6')
    assert code == 1
    assert err == f'trt_perception: {tmp_path / "none.png"}: no such file or folder\n'
    assert len(records(out)) == 1


@runs_a_model
def test_a_broken_image_in_a_folder_is_reported_and_the_others_keep_their_numbers(
        capsys, tmp_path, detector, photo):
    folder = tmp_path / 'folder'
    folder.mkdir()
    (folder / 'a.png').write_bytes(photo.read_bytes()[:60])
    (folder / 'b.png').write_bytes(photo.read_bytes())
    code, out, err = run(capsys, 'predict', detector, folder, '--json', '-')
    assert code == 1
    assert err.startswith('trt_perception: ') and 'a.png' in err
    assert err.count('\n') == 1
    assert [r['frame'] for r in records(out)] == [1]


@runs_a_model
def test_pictures_of_the_same_name_are_all_kept(capsys, tmp_path, detector, photo):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'photo.png').write_bytes(photo.read_bytes())
    code, _, _ = run(
        capsys, 'predict', detector, tmp_path / 'one' / 'photo.png', tmp_path / 'two' / 'photo.png',
        '--draw', tmp_path / 'drawn')
    assert code == 0
    assert len(list((tmp_path / 'drawn').iterdir())) == 2


@pytest.mark.parametrize('option, name', [('--json', 'missing/out.jsonl'), ('--draw', 'photo.png/drawn')])
def test_places_that_cannot_be_written(capsys, tmp_path, detector, photo, option, name):
    code, _, err = run(capsys, 'predict', detector, photo, option, tmp_path / name)
    assert code == 1
    assert err.startswith(f'trt_perception: {option} {tmp_path / name}: ')
    assert err.count('\n') == 1


def test_a_report_among_the_images_is_replaced(capsys, tmp_path, detector, photo):
    for _ in range(2):
        assert run(capsys, 'predict', detector, tmp_path, '--json', tmp_path / 'out.jsonl')[0] == 0
    assert len((tmp_path / 'out.jsonl').read_text().splitlines()) == 1


def test_wrong_labels_fail_before_any_frame(capsys, tmp_path, detector, photo):
    code, out, err = run(capsys, 'predict', detector, photo, '--labels', 'coco')
    assert (code, out) == (1, '')
    assert 'shipped list coco: found 80 class names, but colors.onnx has 3' in err
    assert err.count('\n') == 1
