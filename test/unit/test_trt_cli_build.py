# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception build` and `trt_perception inspect ENGINE`, with engines that TensorRT for RTX builds on the CPU."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from support.tiny_models import FLOAT, color_detector, fixed_outputs, save
from test_trt_inspector import convolution, parsed

from trt_perception.backends.tensorrt.cuda.gpu_info import has_gpu
from trt_perception.cli.main import main

TEST = Path(__file__).parents[1]


@pytest.fixture
def model(tmp_path):
    return color_detector(tmp_path / 'colors.onnx')


@pytest.fixture
def rtx():
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')


def test_build_writes_the_engine_and_its_description(rtx, model, tmp_path, capsys):
    plan = tmp_path / 'colors.plan'
    assert main([
        'build', str(model), '--output', str(plan), '--compute-capability', '8.6,8.9', '--compute-capability', '12.0',
        '--optimization-level', '1', '--workspace-mib', '128']) == 0
    sidecar = json.loads((tmp_path / 'colors.plan.json').read_text())
    assert sidecar['plan_sha256'] == hashlib.sha256(plan.read_bytes()).hexdigest()
    assert sidecar['key']['compute_capabilities'] == ['8.6', '8.9', '12.0']
    assert (sidecar['key']['optimization_level'], sidecar['workspace_mib']) == (1, 128)
    assert (plan.stat().st_mode & 0o777, sidecar['model']) == (0o600, 'colors.onnx')
    # Its own description is replaced.
    assert main(['build', str(model), '--output', str(plan), '--compute-capability', '8.6,8.9,12.0']) == 0
    out = capsys.readouterr().out
    assert str(plan) in out
    assert 'fp32 requested' in out
    assert '8.6, 8.9, 12.0' in out


def test_all_of_tensorrts_log_is_shown_if_requested(rtx, model, tmp_path, capsys):
    words = ['build', str(model), '--output', str(tmp_path / 'colors.plan'), '--compute-capability', '8.6']
    assert main(words) == 0
    assert capsys.readouterr().err == ''
    assert main([*words, '--verbose']) == 0
    lines = capsys.readouterr().err.splitlines()
    kinds = {severity: sum(line.startswith(f'{severity}: ') for line in lines) for severity in ('debug', 'info')}
    # Several lines per layer.
    assert kinds['debug'] > 100 and kinds['info'] >= 1
    assert sum(kinds.values()) == len(lines)


@pytest.mark.parametrize('script, arguments', [('yolov8n_sized.py', []), ('yolov5n_sized.py', ['320'])])
def test_real_detectors_are_built_in_each_precision(rtx, script, arguments, tmp_path, capsys, monkeypatch):
    pytest.importorskip('onnxruntime', reason='needs onnxruntime: make setup')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    model = tmp_path / 'sized.onnx'
    subprocess.run([sys.executable, str(TEST / 'benchmarks' / script), str(model), *arguments], check=True)
    plans = {}
    # For a model as large as YOLOv8n, int8 takes a minute to choose its layers.
    for precision in ('fp32', 'fp16', 'int8')[:3 if arguments else 2]:
        plans[precision] = tmp_path / f'{precision}.plan'
        code = main(['build', str(model), '--precision', precision, '--output', str(plans[precision]),
                     '--calibration', str(TEST / 'data' / 'photos'), '--compute-capability', '8.6'])
        assert code == 0, capsys.readouterr().err
    sizes = {precision: plan.stat().st_size for precision, plan in plans.items()}
    assert sizes['fp16'] < 0.8 * sizes['fp32']
    assert sizes.get('int8', 0) < sizes['fp32']
    # Each precision was built from a different graph.
    keys = [json.loads(plan.with_name(f'{plan.name}.json').read_text())['key'] for plan in plans.values()]
    assert [key['precision'] for key in keys] == list(plans)
    assert len({key['model_sha256'] for key in keys}) == len(keys)


@pytest.mark.parametrize('arguments, message', [
    (['--compute-capability', '8.6'], 'needs --output'),
    (['--compute-capability', '8.6', '--output', 'x.plan', '--strict-precision'], '--strict-precision cannot be used'),
    (['--compute-capability', '8.6', '--output', '/no/such/folder/x.plan'], 'no folder /no/such/folder: create it'),
    (['--min-agreement', '0.5'], 'min_agreement is 0.5, but there are no frames to compare on: set calibration_source'),
    (['--min-agreement', '0.5', '--output', 'x.plan'], '--min-agreement cannot be used with --output'),
    (['--precision', 'int8', '--output', 'x.plan'], 'calibration')])
def test_impossible_options_are_reported_before_a_build(rtx, model, arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(['build', str(model), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1


@pytest.mark.parametrize('make, message', [
    (lambda path: path.write_text('{"names": ["a"]}'), 'exists and is not an engine description; choose another name'),
    (lambda path: path.write_bytes(b'\xff'), 'exists and is not an engine description; choose another name'),
    (lambda path: path.write_text('[' * 100000), 'exists and is not an engine description; choose another name'),
    (lambda path: path.symlink_to('/dev/zero'), 'it is not a regular file; expected the name of a file to write'),
    (lambda path: path.mkdir(), 'it is a folder')])
def test_the_description_replaces_no_file_of_another_kind(rtx, model, tmp_path, capsys, make, message):
    beside = tmp_path / 'net.json'
    make(beside)
    before = beside.read_bytes() if beside.is_file() else None
    assert main(['build', str(model), '--output', str(tmp_path / 'net'), '--compute-capability', '8.6']) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert before is None or beside.read_bytes() == before
    assert not (tmp_path / 'net').exists()


def test_no_engine_for_a_file_that_does_not_decode_its_boxes(rtx, tmp_path, capsys):
    pytest.importorskip('onnxruntime', reason='needs onnxruntime: make setup')
    labels = tmp_path / 'names.txt'
    labels.write_text('a\nb\nc\n')
    rows = np.random.default_rng(0).uniform(0, 1, (1, 84, 8)).astype(np.float32)
    model = fixed_outputs(tmp_path / 'm.onnx', rows)
    code = main(['build', str(model), '--head', 'yolov5', '--labels', str(labels), '--output', str(tmp_path / 'm.plan'),
                 '--compute-capability', '8.6'])
    error = capsys.readouterr().err
    assert (code, error.count('\n')) == (1, 1)
    assert 'export the model with box decoding' in error
    assert not (tmp_path / 'm.plan').exists()


@pytest.mark.parametrize('arguments', [
    ['--compute-capability', '86'], ['--compute-capability', 'x.y'], ['--workspace-mib', '-1'],
    ['--optimization-level', '6'], ['--precision', 'fp8']])
def test_wrong_arguments_are_usage_errors(model, arguments):
    with pytest.raises(SystemExit) as exit_:
        main(['build', str(model), *arguments])
    assert exit_.value.code == 2


@pytest.mark.skipif(has_gpu(), reason='there is a GPU')
def test_without_a_gpu_the_cache_cannot_be_filled(model, capsys):
    assert main(['build', str(model)]) == 1
    assert 'trt_perception: ' in capsys.readouterr().err


@pytest.mark.skipif(has_gpu(), reason='there is a GPU')
@pytest.mark.parametrize('arguments, message', [
    ([], 'an engine can only be built on a machine with a GPU: there is no NVIDIA driver: '),
    ([], '; or build for another GPU with --output and --compute-capability'),
    (['--output', 'x.plan'], 'no NVIDIA GPU to build for: choose targets with --compute-capability from 7.5'),
    (['--output', 'x.plan', '--compute-capability', '3.5'], 'does not build for compute capability 3.5: expected 7.5')])
def test_a_missing_gpu_is_reported_before_the_model_is_converted(
        rtx, model, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.chdir(tmp_path)
    words = ['--precision', 'int8', '--calibration', str(TEST / 'data' / 'photos')]
    assert main(['build', str(model), *words, *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert 'backend' not in error
    assert not (tmp_path / 'cache').exists()


def test_an_error_of_build_advises_no_other_backend(rtx, tmp_path, capsys):
    """`build` has no such option; the node and the other commands have it."""
    model = save(
        tmp_path / 'm.onnx', [
            helper.make_node('GlobalAveragePool', ['images'], ['means']),
            helper.make_node('Flatten', ['means'], ['flat']), helper.make_node('Det', ['square'], ['one']),
            helper.make_node('Mul', ['flat', 'one'], ['logits'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'logits': (FLOAT, [1, 3])}, {'square': np.eye(2, dtype=np.float32)})
    assert main(['build', str(model), '--output', str(tmp_path / 'm.plan'), '--compute-capability', '8.6']) == 1
    error = capsys.readouterr().err
    assert 'Export the model without the unsupported parts\n' in error


@pytest.mark.parametrize('words', [
    ['build', '--output', 'x.plan', '--compute-capability', '8.6'], ['predict', 'p.png'], ['benchmark'], ['quantize']])
def test_a_video_of_the_catalogue_calibrates_by_its_name(rtx, model, tmp_path, capsys, monkeypatch, words):
    """Fetching is replaced: it returns a folder without images, and the error names that folder."""
    pytest.importorskip('cv2').imwrite(str(tmp_path / 'p.png'), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / 'fetched').mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        'trt_perception.catalogue.resolve.fetch_entry', lambda entry, **_: tmp_path / 'fetched' / entry.name)
    (tmp_path / 'fetched' / 'bikes').mkdir()
    name, *rest = words
    assert main([name, str(model), *rest, '--precision', 'int8', '--calibration', 'bikes']) == 1
    assert f'{tmp_path}/fetched/bikes: no images in this folder' in capsys.readouterr().err


def engine(tmp_path, layers, plan=b'a plan'):
    path = tmp_path / 'some.plan'
    path.write_bytes(plan)
    path.chmod(0o600)
    (tmp_path / 'some.plan.json').write_text(json.dumps({
        'model': 'some.onnx', 'built': '2026-01-01T00:00:00Z', 'tensorrt': 'tensorrt 8.6.0',
        'plan_sha256': hashlib.sha256(b'a plan').hexdigest(), 'device_memory_bytes': 2_500_000,
        'layers': [asdict(layer) for layer in layers]}))
    (tmp_path / 'some.plan.json').chmod(0o600)
    return path


LAYERS = parsed(
    convolution('conv + relu', 'Half', tactic='sm80_xmma_fprop', metadata='[ONNX Layer: conv]\x1f[ONNX Layer: relu]'),
    convolution('last', 'Float', channels=(1, 1), metadata='[ONNX Layer: last]'))


def test_inspect_shows_what_was_fused(tmp_path, capsys):
    assert main(['inspect', str(engine(tmp_path, LAYERS))]) == 0
    out = capsys.readouterr().out
    assert '3 ONNX nodes became 2 layers (1 with several nodes)' in out
    assert 'fused:  conv + relu' in out
    assert 'fp16 [1, 16, 20, 20] -> fp16 [1, 32, 10, 10]' in out
    assert 'computes in fp16, 0.46 M multiply-adds, 4,640 weights' in out
    assert 'tactic: sm80_xmma_fprop' in out
    assert '2.5 MB for activations' in out
    assert 'tensorrt 8.6.0' in out


def test_inspect_gives_json(tmp_path, capsys):
    assert main(['inspect', '--json', str(engine(tmp_path, LAYERS))]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['precision_effective'] == 'fp16'
    assert report['precision_shares']['fp32']['layers'] == 1
    assert report['layers'][0]['onnx_nodes'] == ['conv', 'relu']
    assert report['layers'][0]['outputs'][0]['shape'] == [1, 32, 10, 10]


def test_inspect_refuses_an_engine_that_is_damaged_or_may_be_changed_by_others(tmp_path, capsys):
    assert main(['inspect', str(engine(tmp_path, LAYERS, b'another plan'))]) == 1
    assert 'is damaged' in capsys.readouterr().err
    path = engine(tmp_path, LAYERS)
    path.chmod(0o666)
    assert main(['inspect', str(path)]) == 1
    message = capsys.readouterr().err
    assert 'some.plan can be written by others (mode 0666): an engine is code' in message
    assert 'inspect a copy (cp, then chmod 600)' in message
    link = tmp_path / 'link.plan'
    link.symlink_to(path)
    assert main(['inspect', str(link)]) == 1
    assert 'link.plan is a symbolic link: an engine is code' in capsys.readouterr().err
    path.chmod(0o600)
    path.with_suffix('.plan.json').chmod(0o666)
    assert main(['inspect', str(path)]) == 1
    assert 'some.plan.json can be written by others (mode 0666): an engine is code' in capsys.readouterr().err


@pytest.mark.parametrize('name, value', [
    *(('device_memory_bytes', value) for value in (None, '2500000', [1], 1.5, True, -1, 10**400)),
    ('model', None), ('model', 3), ('built', ['now']), ('tensorrt', {}), ('layers', None), ('layers', 'two'),
    ('layers', {'0': 1}), ('layers', [None]), ('layers', ['conv']), ('key', None), ('key', 'fp16'),
    ('key', {'compute_capabilities': '8.6'}), ('key', {'compute_capabilities': [8.6]})])
def test_inspect_of_a_damaged_description_is_one_line(tmp_path, capsys, name, value):
    path = engine(tmp_path, LAYERS)
    beside = tmp_path / 'some.plan.json'
    beside.write_text(json.dumps({**json.loads(beside.read_text()), name: value}))
    assert main(['inspect', str(path)]) == 1
    out, error = capsys.readouterr()
    assert out == '' and error.count('\n') == 1
    assert 'damaged' in error and 'build' in error and len(error) < 400


@pytest.mark.parametrize('text', ['{', '[' * 100000])
def test_inspect_of_a_description_that_is_not_json_is_one_line(tmp_path, capsys, text):
    path = engine(tmp_path, LAYERS)
    (tmp_path / 'some.plan.json').write_text(text)
    assert main(['inspect', str(path)]) == 1
    assert 'some.plan.json is damaged: remove it, or build the engine again' in capsys.readouterr().err


def test_inspect_treats_a_json_file_of_the_same_name_as_foreign(tmp_path, capsys):
    path = engine(tmp_path, LAYERS)
    (tmp_path / 'some.plan.json').rename(tmp_path / 'some.json')
    assert main(['inspect', str(path)]) == 0
    assert 'some.onnx' in capsys.readouterr().out
    (tmp_path / 'some.json').write_text('{"frame": 0}\n{"frame": 1}\n')
    assert main(['inspect', str(path)]) == 1
    error = capsys.readouterr().err
    assert 'some.plan has no description file' in error and 'remove' not in error
    # In the cache it belongs to the engine.
    cached = path.rename(tmp_path / f'{"0f" * 16}.plan')
    (tmp_path / 'some.json').rename(cached.with_suffix('.json'))
    assert main(['inspect', str(cached)]) == 1
    assert f'{"0f" * 16}.json is damaged: remove it, or build' in capsys.readouterr().err


@pytest.mark.skipif(has_gpu(), reason='there is a GPU')
def test_inspect_of_an_engine_for_other_gpus_shows_its_description(rtx, model, tmp_path, capsys):
    plan = tmp_path / 'colors.plan'
    assert main([
        'build', str(model), '--output', str(plan), '--compute-capability', '8.6,12.0', '--workspace-mib', '64']) == 0
    key = json.loads((tmp_path / 'colors.plan.json').read_text())['key']
    capsys.readouterr()
    assert main(['inspect', str(plan)]) == 0
    rows = dict(line.split(':', 1) for line in capsys.readouterr().out.splitlines())
    assert rows['model'].strip() == 'colors.onnx'
    assert rows['precision'].strip() == 'fp32 requested'
    assert rows['for GPUs'].strip() == 'of compute capability 8.6, 12.0'
    assert f'by {key["tensorrt"]}' in rows['built']
    assert f'model_sha256 {key["model_sha256"]}, ' in rows['key'] and 'workspace_mib 64' in rows['key']
    assert rows['layers'].strip() == 'unknown here: inspect the engine on a machine with one of these GPUs'
    assert 'fusion' not in rows
    assert main(['inspect', '--json', str(plan)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report['key'], report['layers'], report['precision_effective']) == (key, [], '')


def test_inspect_of_an_engine_that_cannot_be_opened(tmp_path, capsys):
    file = tmp_path / 'file'
    file.touch()
    assert main(['inspect', str(file / 'some.plan')]) == 1
    message = capsys.readouterr().err
    assert 'some.plan cannot be opened: Not a directory: expected an engine' in message
    assert 'chmod' not in message


def test_inspect_of_a_missing_engine(tmp_path, capsys):
    assert main(['inspect', str(tmp_path / 'no.engine')]) == 1
    assert 'check the path' in capsys.readouterr().err


@pytest.mark.skipif(has_gpu(), reason='there is a GPU')
def test_inspect_needs_a_gpu_for_an_engine_without_description(tmp_path, capsys):
    path = tmp_path / 'foreign.engine'
    path.write_bytes(b'x')
    assert main(['inspect', str(path)]) == 1
    assert 'inspect it on a machine with the GPU that it was built for (' in capsys.readouterr().err
