# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception benchmark --against`: child processes, turns, tables, files, and the rows that are left out."""

import json
from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from support.precision_models import color_folder, conv_classifier, conv_detector
from support.tiny_models import color_detector
from test_cli import run

from trt_perception.backends.create import BACKENDS
from trt_perception.measure.child import Child
from trt_perception.measure.variant import NAMES
from trt_perception.model.normalisation import Overrides

runs_a_model = pytest.mark.skipif(find_spec('onnxruntime') is None, reason='needs onnxruntime: make setup')


@pytest.fixture
def detector(tmp_path):
    return color_detector(tmp_path / 'colors.onnx')


@pytest.fixture
def pictures(tmp_path):
    """Three pictures with a red cell that moves, of two sizes."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(3):
        pixels = np.zeros((64, 64 if index else 128, 3), np.uint8)
        pixels[16:24, 8 * index:8 * index + 8] = 0, 0, 255
        cv2.imwrite(str(folder / f'{index}.png'), pixels)
    return folder


@runs_a_model
def test_every_backend_is_measured_or_named(capsys, tmp_path, detector, pictures):
    code, out, err = run(
        capsys, 'benchmark', detector, '--against', ','.join(NAMES), '--precision', 'fp32,fp16', '--source', pictures,
        '--frames', 7, '--json', tmp_path / 'c.json')
    assert (code, err) == (0, ''), err
    report = json.loads((tmp_path / 'c.json').read_text())
    one, = [row for row in report['variants'] if row['backend'] == 'onnxruntime']
    assert (one['precision'], one['model']) == ('fp32', 'colors.onnx')
    assert set(one['stages_ms']) == {'preprocess', 'infer', 'postprocess', 'total'}
    assert len(one['total_ms']) == 7
    assert all(p50 <= p95 <= p99 for p50, p95, p99 in one['stages_ms'].values())
    # A Python process with NumPy and ONNX Runtime.
    assert 30 < one['host_mb'] < 1000
    assert 0 < one['load_s'] < 60 and 0 < one['first_ms'] < 60e3
    assert one['frames_per_second'] == pytest.approx(7e3 / sum(one['total_ms']), rel=0.01)
    assert report['reference'] == 'onnxruntime fp32'
    assert report['frames'] == {'source': 'pictures', 'size': '128x64 and 1 other sizes', 'distinct': 3, 'measured': 7}
    reasons = {row['name']: row['reason'] for row in report['left_out']}
    assert 'ONNX Runtime would run colors.onnx in fp32' in reasons['onnxruntime fp16']
    assert 'strict_precision' not in reasons['onnxruntime fp16']
    assert 'add --pytorch FILE' in reasons['pytorch']
    named = {row['backend'] for row in report['variants']} | {name.split()[0] for name in reasons}
    assert named == set(NAMES)
    for name in set(NAMES) - set(BACKENDS) - {'pytorch'}:
        assert reasons[name] == 'this version of trt_perception does not have this backend'
    for name, reason in reasons.items():
        assert f'left out: {name}: {reason}' in out
    assert any(line.startswith('onnxruntime fp32') and line.endswith('reference') for line in out.splitlines())


class SwappedColours(Child):
    """A child whose int8 variant reads the channels in the other order."""

    def __init__(self, variant, log, monitor):
        if variant.precision == 'int8':
            variant = replace(variant, model_options=replace(variant.model_options, preprocessing=Overrides('rgb')))
        super().__init__(variant, log, monitor)


@runs_a_model
@pytest.mark.parametrize('make, child', [
    (conv_detector, Child), (conv_classifier, Child), (conv_detector, SwappedColours)])
def test_the_agreement_is_measured(capsys, tmp_path, monkeypatch, make, child):
    """int8 finds what fp32 finds, with other scores; a network that reads other colours does not."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr('trt_perception.measure.compare.Child', child)
    pictures = color_folder(tmp_path / 'pictures', 40)
    model = make(tmp_path / 'm.onnx')
    code, _, err = run(
        capsys, 'benchmark', model, '--against', 'onnxruntime', '--precision', 'fp32,int8', '--calibration', pictures,
        '--calibration-samples', 16, '--calibration-method', 'mse', '--source', pictures, '--frames', 8, '--json',
        tmp_path / 'c.json')
    assert code == 0, err
    report = json.loads((tmp_path / 'c.json').read_text())
    assert report['left_out'] == []
    first, second = report['variants']
    assert first['agreement'] is None
    assert second['precision'] == second['description']['precision_effective'] == 'int8'
    found = second['agreement']
    assert found['frames'] == 8
    if child is Child:
        assert found['value'] > 0.9 and 0.0 < found['max_score_difference'] < 0.2
    else:
        assert found['value'] < 0.5 and found['missing'] > 4


class Killed(Child):
    """Its process is killed before it opens the pipeline, as the kernel does if memory runs out."""

    def open(self):
        self._process.kill()
        return super().open()


def test_of_a_process_that_was_killed_the_line_says_where_its_output_is(capsys, tmp_path, detector, monkeypatch):
    """Also without --report: it spoke of a log that there was not."""
    monkeypatch.setattr('trt_perception.measure.compare.Child', Killed)
    code, out, err = run(capsys, 'benchmark', detector, '--against', 'onnxruntime', '--frames', '2')
    assert code == 1
    assert 'its process was ended by SIGKILL; with --report FOLDER, log.txt there has what it printed' in out + err


@runs_a_model
def test_the_report_has_everything_to_send(capsys, tmp_path, detector, pictures):
    folder = tmp_path / 'report'
    code, out, _ = run(
        capsys, 'benchmark', detector, '--report', folder, '--source', pictures, '--frames', 3, '--score', 0.4)
    assert code == 0
    plotted = find_spec('matplotlib') is not None
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ['comparison.json', 'log.txt', 'report.md', *(['comparison.png'] if plotted else [])])
    text = (folder / 'report.md').read_text()
    report = json.loads((folder / 'comparison.json').read_text())
    assert '| onnxruntime fp32 |' in text and 'left out: pytorch' in text
    assert 'versions: trt_perception' in text and report['machine']['cpu'] in text
    assert 'send the whole folder' in out
    # Nothing in it tells who measured it or where.
    everything = ''.join((folder / name).read_text() for name in ('report.md', 'comparison.json'))
    assert str(tmp_path) not in everything


@runs_a_model
def test_the_picture(capsys, tmp_path, detector, pictures):
    pytest.importorskip('matplotlib', reason='needs matplotlib: pip install matplotlib')
    code, _, err = run(
        capsys, 'benchmark', detector, '--against', 'onnxruntime', '--source', pictures, '--frames', 3, '--plot',
        tmp_path / 'p.png')
    assert code == 0, err
    picture = cv2.imread(str(tmp_path / 'p.png'))
    assert picture.shape[1] > 1200
    # The hill and the bars are blue: BGR 178, 114, 0.
    assert (np.abs(picture.astype(int) - (178, 114, 0)).max(axis=2) < 8).sum() > 1000


@pytest.mark.parametrize('name', ['p.xyz', 'p', 'p.'])
def test_a_picture_that_cannot_be_drawn_is_refused_at_once(capsys, detector, tmp_path, name):
    pytest.importorskip('matplotlib', reason='needs matplotlib: pip install matplotlib')
    code, out, err = run(
        capsys, 'benchmark', detector, '--against', 'onnxruntime', '--frames', 2, '--plot', tmp_path / name)
    # Nothing was measured.
    assert code == 1 and not ''.join(out) and f'{name}: expected a name that ends in .png, .svg or .pdf' in err


def test_the_picture_without_matplotlib_is_refused_at_once(capsys, detector, tmp_path):
    if find_spec('matplotlib') is not None:
        pytest.skip('matplotlib is installed')
    code, _, err = run(capsys, 'benchmark', detector, '--against', 'onnxruntime', '--plot', tmp_path / 'p.png')
    assert code == 1
    assert "the Python package 'matplotlib' is not installed" in err and len(err.splitlines()) == 1


@runs_a_model
def test_torchscript(capsys, tmp_path, detector, pictures):
    torch = pytest.importorskip('torch', reason='needs torch: pip install torch')

    class Colours(torch.nn.Module):
        """The colour detector, in PyTorch."""

        def __init__(self):
            super().__init__()
            y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing='ij')
            size = torch.full((64,), 8.0)
            self.boxes = torch.stack([(x.flatten() + 0.5) * 8, (y.flatten() + 0.5) * 8, size, size])[None].float()

        def forward(self, image):
            return torch.cat([self.boxes, torch.nn.functional.avg_pool2d(image, 8).reshape(1, 3, -1)], dim=1)

    torch.jit.trace(Colours(), torch.zeros(1, 3, 64, 64)).save(str(tmp_path / 'm.pt'))
    code, _, err = run(
        capsys, 'benchmark', detector, '--against', 'onnxruntime,pytorch', '--pytorch', tmp_path / 'm.pt', '--source',
        pictures, '--frames', 3, '--score', 0.4, '--json', tmp_path / 'c.json')
    assert code == 0, err
    rows = json.loads((tmp_path / 'c.json').read_text())['variants']
    assert [row['name'] for row in rows] == ['onnxruntime fp32', 'pytorch fp32']
    # In the picture of 128x64 the cell has a quarter of its size, so its score is 0.25.
    assert rows[1]['agreement']['value'] == 1.0 and rows[1]['agreement']['matched'] == 2
    assert rows[1]['description']['backend_version'] == torch.__version__


@runs_a_model
def test_a_file_that_is_not_torchscript_is_left_out(capsys, tmp_path, detector):
    (tmp_path / 'm.pt').write_bytes(b'no model')
    code, out, err = run(
        capsys, 'benchmark', detector, '--against', 'pytorch', '--pytorch', tmp_path / 'm.pt', '--frames', 2)
    assert (code, err) == (1, '')
    assert 'left out: pytorch fp32: ' in out


@runs_a_model
def test_several_precisions_without_against(capsys, tmp_path, detector):
    """They are compared on the backend that would run here."""
    code, out, _ = run(
        capsys, 'benchmark', detector, '--backend', 'onnxruntime', '--precision', 'fp32,fp16', '--frames', 2)
    assert code == 0
    assert 'onnxruntime fp32' in out and 'left out: onnxruntime fp16' in out and 'tensorrt' not in out


@runs_a_model
def test_the_source_without_a_comparison(capsys, tmp_path, detector, pictures):
    code, out, _ = run(capsys, 'benchmark', detector, '--source', pictures, '--frames', 3)
    assert code == 0 and '128x64 bgr8, 3 frames' in out


@pytest.mark.parametrize('arguments, code, says', [
    (('--against', 'tenserrt'), 2, "'tenserrt': expected names from onnxruntime, openvino"),
    (('--against', 'tenserrt'), 2, 'did you mean tensorrt?'),
    (('--precision', 'fp61'), 2, 'did you mean fp16?'),
    (('--against', 'onnxruntime', '--backend', 'tensorrt'), 1, 'leave out --backend'),
    (('--against', 'pytorch', '--pytorch', 'none.pt'), 1, 'none.pt: there is no such file'),
    (('--file', 'litert'), 2, 'expected BACKEND=FILE'), (('--topic', '/camera'), 1, 'give the bag with --source'),
    (('--image', 'a.png', '--source', 'b'), 2, 'not allowed with'),
    (('--report', 'none/folder'), 1, 'none/folder: No such file'),
    (('--report', __file__), 1, 'test_comparison.py: it is a file; expected a folder')])
def test_wrong_arguments(capsys, tmp_path, monkeypatch, detector, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    found, _, err = run(capsys, 'benchmark', detector, *arguments)
    assert (found, says in err) == (code, True), err


@runs_a_model
def test_no_output_replaces_an_input(capsys, tmp_path, detector, pictures):
    for arguments in (('--plot', pictures / '0.png'), ('--report', pictures), ('--json', detector)):
        before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
        code, _, err = run(capsys, 'benchmark', detector, '--against', 'onnxruntime', '--source', pictures, *arguments)
        assert code == 1, err
        assert before == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
