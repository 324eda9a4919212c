# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception quantize`: what counts as a check, options that would have no effect, and what it prints."""

import json

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from onnx import helper, numpy_helper
from support.precision_models import color_folder, color_frames, conv_classifier, conv_detector

from trt_perception.cli.main import main
from trt_perception.errors import listed
from trt_perception.model.spec import load_model

# A model whose second layer is bad in int8.
UNEVEN = np.diag([1000.0, 1.0, 1.0]).astype(np.float32)[:, :, None, None]


@pytest.fixture
def model(tmp_path):
    return conv_detector(tmp_path / 'model.onnx')


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, model):
    """Return a function that runs quantize; its result: exit code, stdout, stderr, the --json object or None."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.chdir(tmp_path)

    def quantize(*options, path=model):
        report = tmp_path / 'report.json'
        report.unlink(missing_ok=True)
        code = main([
            'quantize', str(path), '--output', str(tmp_path / 'out.onnx'), '--json', str(report), *map(str, options)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err, json.loads(report.read_text()) if report.exists() else None

    return quantize


def dark_but(path, shown, count):
    """A folder of black pictures; those with an index in `shown` have coloured cells."""
    path.mkdir()
    pictures = list(color_frames(count, seed=1))
    for index in range(count):
        picture = pictures[index] if index in shown else np.zeros((64, 64, 3), np.uint8)
        cv2.imwrite(str(path / f'{index:03}.png'), picture)
    return path


def test_the_options_for_reading_images_hold_for_the_calibration(run, tmp_path):
    """They were ignored: frames of 12 bits in 16 were nearly black."""
    images = tmp_path / 'images'
    images.mkdir()
    for index, picture in enumerate(color_frames(48, seed=1)):
        cv2.imwrite(str(images / f'{index:03}.png'), picture.astype(np.uint16) << 4)
    code, _, err, report = run('--calibration', images, '--significant-bits', 12)
    assert (code, report['checked']) == (0, True), err
    code, _, err, _ = run('--calibration', images, '--significant-bits', 12, '--max-image-pixels', 100)
    assert code == 1 and 'no readable image' in err.splitlines()[-1]


# -- a check on one frame is not a check

@pytest.mark.parametrize('precision', ['int8', 'fp16'])
@pytest.mark.parametrize('count, more, doubt', [
    (1, (), 'there was only 1 frame'), (3, (), 'there was only 1 frame'), (5, (), 'there was only 1 frame'),
    (48, ('--checking', '1'), 'there was only 1 frame'),
    (2, (), 'there were only 2 frames, and all of them were used for calibration')])
def test_one_frame_is_no_check(run, tmp_path, precision, count, more, doubt):
    images = color_folder(tmp_path / 'images', count, seed=1)
    code, out, err, report = run('--precision', precision, '--calibration', images, *more)
    if precision == 'fp16' and count == 2:
        # Calibration changes nothing that is measured, so these frames check fp16.
        assert (code, report['checked']) == (0, True) and 'NOT CHECKED' not in out
        return
    assert (code, report['checked']) == (1, False)
    assert f'NOT CHECKED, because {doubt}. On these frames: agreement 1.000: ' in out
    assert err.splitlines()[-1] == (
        f'trt_perception: {tmp_path}/out.onnx is written, but its accuracy is not checked: {doubt}. Give more images '
        'of what the camera will see (usual for checking: 24), or --checking 0 for no check')
    assert load_model(tmp_path / 'out.onnx').stored_precision == precision


@pytest.mark.parametrize('precision', ['int8', 'fp16'])
def test_objects_in_one_frame_only_are_no_check(run, tmp_path, precision):
    # Frames 1, 3, 5 ... of 12 are held out: (2i + 1) * 12 / 12.
    images = dark_but(tmp_path / 'images', {0, 2, 4, 5, 6}, 12)
    code, out, err, report = run(
        '--precision', precision, '--calibration', images, '--samples', '6', '--checking', '6')
    assert (code, report['checked'], report['agreement']['frames']) == (1, False, 6)
    assert 'is not checked: something was detected in only 1 of 6 frames. Give' in err
    images = dark_but(tmp_path / 'two', {0, 1, 2, 4, 5, 6}, 12)
    code, out, err, report = run(
        '--precision', precision, '--calibration', images, '--samples', '6', '--checking', '6')
    assert (code, report['checked']) == (0, True) and 'NOT CHECKED' not in out


def test_fp16_on_frames_that_show_nothing_is_not_checked(run, tmp_path):
    images = dark_but(tmp_path / 'images', (), 40)
    code, _, err, report = run('--precision', 'fp16', '--calibration', images)
    assert (code, report['checked']) == (1, False)
    assert 'its accuracy is not checked: nothing was detected in 13 frames. Give' in err


@pytest.mark.parametrize('options', [
    ('--precision', 'fp16'), ('--precision', 'fp16', '--calibration', 'images', '--checking', '0'),
    ('--calibration', 'images', '--checking', '0')])
def test_no_check_at_all_is_a_choice(run, tmp_path, options):
    color_folder(tmp_path / 'images', 40)
    code, out, _, report = run(*options)
    assert (code, report['checked'], report['agreement']) == (0, False, None)
    assert 'agreement not measured: give frames with --calibration' in out


# -- options

@pytest.mark.parametrize('options, reason', [
    (('--method', 'mse', '--calibration', 'images'), '--method needs --precision int8, found fp16: leave it out'),
    (('--method', 'auto'), '--method needs --precision int8, found fp16: leave it out'),
    (('--half-rest',), '--half-rest needs --precision int8, found fp16: leave it out'),
    (('--form', 'cpu'), '--form needs --precision int8, found fp16: leave it out'),
    *(((option, '0.5'), f'{option} needs frames, found none: give --calibration SOURCE, or leave it out')
      for option in ('--min-agreement', '--max-score-difference', '--min-mean-iou', '--min-iou')),
    (('--samples', '8'), '--samples needs frames, found none'), (('--checking', '8'), '--checking needs frames'),
    (('--topic', '/image'), '--topic needs frames, found none'),
    (('--min-agreement', '0.5', '--calibration', 'images', '--checking', '0'),
     '--min-agreement needs frames to measure on, found --checking 0'),
    (('--calibration', 'imagse'), 'imagse: no such file or folder: check --calibration')])
def test_options_without_effect_are_refused(run, tmp_path, options, reason):
    color_folder(tmp_path / 'images', 4)
    code, out, err, _ = run('--precision', 'fp16', *options)
    assert (code, out) == (1, '')
    assert err.startswith(f'trt_perception: {reason}') and err.count('\n') == 1
    assert not (tmp_path / 'out.onnx').exists()


def test_the_forms_for_cpus_are_a_choice(run, tmp_path):
    images = color_folder(tmp_path / 'images', 12)
    remarks = {}
    for form in ('tensorrt', 'cpu', 'openvino'):
        code, out, _, report = run('--calibration', images, '--method', 'mse', '--form', form)
        assert (code, report['checked']) == (0, True)
        assert report['conversion'].get('form', 'tensorrt') == form
        remarks[form] = out.splitlines()[-1]
        types = {
            tensor.data_type for tensor in onnx.load(str(tmp_path / 'out.onnx')).graph.initializer
            if tensor.name.endswith('_zero_point')}
        # Activations are uint8 in the forms for CPUs, biases int32 in that for ONNX Runtime alone.
        assert (onnx.TensorProto.UINT8 in types, onnx.TensorProto.INT32 in types) == (form != 'tensorrt', form == 'cpu')
    assert remarks['tensorrt'].endswith(' ms (the gain is on TensorRT; for a CPU give --form cpu or --form openvino)')
    assert remarks['cpu'].endswith(' ms')
    assert remarks['openvino'].endswith(' ms (the gain is on OpenVINO)')


def test_the_form_for_cpus_is_not_advised_for_fp16_which_refuses_it(run, tmp_path):
    code, out, _, _ = run('--precision', 'fp16', '--calibration', color_folder(tmp_path / 'images', 12))
    assert code == 0
    assert out.splitlines()[-1].endswith(' ms (the gain is on TensorRT)')


def test_options_without_effect_in_int8_are_refused(run, tmp_path):
    images = color_folder(tmp_path / 'images', 4)
    code, _, err, _ = run('--calibration', images, '--form', 'cpu', '--half-rest')
    assert code == 1 and '--half-rest needs --form tensorrt, found cpu: leave one of them out' in err
    code, _, err, _ = run('--calibration', images, '--checking', '0', '--max-score-difference', '0.1')
    assert code == 1 and '--max-score-difference needs frames to measure on, found --checking 0' in err
    classifier = conv_classifier(tmp_path / 'classifier.onnx')
    code, _, err, _ = run('--calibration', images, '--min-iou', '0.7', path=classifier)
    assert code == 1 and '--min-iou needs a detector, found a classifier: leave it out' in err


def test_a_given_target_counts_without_a_search_too(run, tmp_path):
    images = color_folder(tmp_path / 'images', 40)
    half = ('--precision', 'fp16', '--calibration', images)
    code, out, err, _ = run(*half, '--max-score-difference', '0')
    assert (code, out) == (1, '')
    assert err.splitlines()[-1].startswith(
        f'trt_perception: {tmp_path}/out.onnx is not written, because it misses the target: mean score difference 0.0')
    assert not (tmp_path / 'out.onnx').exists()
    assert run(*half, '--min-agreement', '1', '--max-score-difference', '0.01', '--min-iou', '0.99')[0] == 0
    bad = conv_detector(tmp_path / 'bad.onnx', weights_of_first=UNEVEN)
    everything = ('--calibration', images, '--method', 'minmax', '--keep-float')
    assert run(*everything, path=bad)[0] == 0
    code, _, err, _ = run(*everything, '--min-agreement', '0.9', path=bad)
    assert code == 1 and 'is not written, because it misses the target: agreement 0.' in err
    # The search reaches it.
    assert run(*everything[:-1], '--min-agreement', '0.9', path=bad)[0] == 0


def test_the_target_of_the_search_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(['quantize', '--help'])
    shown = ' '.join(capsys.readouterr().out.split())
    for text in ('lowest agreement (default for the search: 0.95)', 'score difference (default for the search: 0.02)',
                 'of a detector (default for the search: 0.95)',
                 'worst 2 % of the boxes (default for the search: 0.6)'):
        assert text in shown


def test_a_calibration_source_that_nothing_needs_is_checked(tmp_path, capsys, model):
    cv2.imwrite(str(tmp_path / 'a.png'), next(color_frames(1)))
    arguments = ['predict', str(model), str(tmp_path / 'a.png'), '--backend', 'onnxruntime']
    assert main([*arguments, '--calibration', '/no/such/folder']) == 1
    note = 'note: no effect of --calibration: model.onnx runs in fp32; give --precision or --min-agreement too'
    assert capsys.readouterr().err.splitlines() == [
        note, 'trt_perception: /no/such/folder: no such file or folder: check --calibration']
    assert main([*arguments, '--calibration', str(tmp_path)]) == 0
    assert capsys.readouterr().err.splitlines() == [note]
    for needing in (('--precision', 'fp16'), ('--min-agreement', '0')):
        main([*arguments, '--calibration', str(tmp_path), *needing])
        assert note not in capsys.readouterr().err
    assert main([*arguments, '--calibration', 'x' * 300]) == 1


# -- what is printed

def test_long_lists_are_cut_and_one_line_each():
    names = [f'/model.{index}/conv/Conv' for index in range(60)]
    assert listed(names[:2]) == '/model.0/conv/Conv, /model.1/conv/Conv'
    assert listed(names, 3, ' ') == '/model.0/conv/Conv /model.1/conv/Conv /model.2/conv/Conv and 57 more'
    assert listed(['a\n\x1b[31mb', 'x' * 100]) == f'a\\n\\x1b[31mb, {"x" * 80} ...'
    assert listed([]) == ''


def test_a_model_of_many_layers_prints_a_few(run, tmp_path, capsys):
    path = tmp_path / 'deep.onnx'
    conv_detector(path)
    proto = onnx.load(str(path))
    first = proto.graph.node[0]
    weights = np.eye(3, dtype=np.float32)[:, :, None, None]
    source = 'images'
    for index in range(60):
        node = helper.make_node('Conv', [source, f'w{index}'], [f't{index}'], f'/model.{index}/conv/Conv')
        proto.graph.node.insert(index, node)
        proto.graph.initializer.append(numpy_helper.from_array(weights, f'w{index}'))
        source = f't{index}'
    first = proto.graph.node[60]
    first.input[0] = source
    onnx.save(proto, str(path))
    images = color_folder(tmp_path / 'images', 40)
    code, out, _, report = run('--calibration', images, '--method', 'minmax', '--keep-float', path=path)
    assert code == 0 and max(len(line) for line in out.splitlines()) < 400
    assert '/model.11/conv/Conv and 51 more (all: --json)' in out
    assert len(report['conversion']['int8']) == 63
    code, _, err, _ = run('--calibration', images, '--keep-float', '/model.57/conv/Cov', path=path)
    assert code == 1 and len(err) < 600 and ' and 53 more' in err
    # The nearest names come first.
    assert 'choose from /model.57/conv/Conv, ' in err


def test_sizes_count_external_data(run, tmp_path):
    source = conv_detector(tmp_path / 'large.onnx', weights_of_first=np.tile(np.eye(3, dtype=np.float32), (400, 1))[
        :, :, None, None])
    proto = onnx.load(str(source))
    onnx.save(proto, str(source), save_as_external_data=True, location='large.data')
    inside, outside = source.stat().st_size, (tmp_path / 'large.data').stat().st_size
    assert outside > 20_000
    code, _, _, report = run('--precision', 'fp16', path=source)
    assert code == 0
    assert report['bytes'] == [inside + outside, (tmp_path / 'out.onnx').stat().st_size]
    assert report['bytes'][1] < report['bytes'][0]


@pytest.mark.parametrize('options', [('--precision', 'fp16'), ('--half-rest',)])
def test_nothing_is_written_to_the_folder_for_temporary_files(run, tmp_path, monkeypatch, options):
    """A full or missing TMPDIR would be reported as a bad model."""
    source = conv_detector(tmp_path / 'folding.onnx', opset=11, batch_norm=True)
    images = color_folder(tmp_path / 'images', 40)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'missing'))
    code, _, err, _ = run(*options, '--calibration', images, path=source)
    assert code == 0, err
