# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`predict --compare` names the step in which a notebook differs, and the options that give the notebook's input."""

from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from support.tiny_models import color_classifier, color_detector

from trt_perception.cli.main import main
from trt_perception.ort.backend import OnnxRuntimeBackend

PHOTO = Path(__file__).parents[1] / 'data' / 'photos' / 'chelsea.jpg'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    color_classifier(tmp_path / 'm.onnx')
    return tmp_path


def run(capsys, *arguments):
    code = main(['predict', *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def notebook(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), swap=False, interpolation=None, **changes):
    """Write what a notebook would: it stretches the photo to 16x16 with OpenCV, and runs the model."""
    rgb = cv2.imread(str(PHOTO))[..., ::-1]
    small = cv2.resize(rgb[:, 75:375], (16, 16), interpolation=interpolation or cv2.INTER_LINEAR)
    small = small[..., ::-1] if swap else small
    tensor = ((small / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1)
    with OnnxRuntimeBackend(Path('m.onnx')) as backend:
        output = backend.infer('images', np.ascontiguousarray(tensor[np.newaxis]))['logits']
    arrays = {'image': rgb, 'input': tensor, 'output': output[0], **changes}
    np.savez('n.npz', **{name: array for name, array in arrays.items() if array is not None})


SAME = ('--interpolation', 'linear', '--crop-fraction', '1')


def test_equal_steps_are_said_to_be_equal(capsys):
    notebook()
    code, lines, err = run(capsys, 'm.onnx', '--compare', 'n.npz', *SAME)
    assert (code, err) == (0, '')
    assert [line.split(':')[0] for line in lines] == ['input', 'network', 'results']
    assert all(line.split(':')[1].strip() == 'equal' for line in lines), lines


@pytest.mark.parametrize('changes, options', [
    ({}, '--crop-fraction 1 --interpolation linear'),
    ({'swap': True}, '--color-order bgr --crop-fraction 1 --interpolation linear'),
    ({'mean': 0.0, 'std': 1.0}, '--mean 0,0,0 --std 1,1,1 --crop-fraction 1 --interpolation linear'),
    ({'mean': 0.5, 'std': 0.5}, '--mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --crop-fraction 1 --interpolation linear'),
])
def test_the_options_of_the_notebooks_input_are_named_and_make_it_equal(capsys, changes, options):
    notebook(**changes)
    code, lines, _ = run(capsys, 'm.onnx', '--compare', 'n.npz')
    assert code == 1
    assert lines[0].startswith('input:    DIFFERENT: largest difference ')
    assert lines[1].strip().startswith(f"the notebook's input is that of: {options} (mean difference")
    assert lines[2].startswith('network:  equal: ')
    code, lines, _ = run(capsys, 'm.onnx', '--compare', 'n.npz', *options.split())
    assert code == 0, lines


def test_another_image_is_suspected(capsys):
    notebook(input=np.random.default_rng(0).normal(size=(3, 16, 16)).astype(np.float32))
    code, lines, _ = run(capsys, 'm.onnx', '--compare', 'n.npz', *SAME)
    assert code == 1
    assert lines[1].strip() == 'no other known preprocessing is closer: is it the same image?'


def test_another_network_is_noticed(capsys):
    notebook(output=np.array([3.0, 2.0, 1.0]))
    code, lines, _ = run(capsys, 'm.onnx', '--compare', 'n.npz', *SAME)
    assert code == 1
    assert lines[0].startswith('input:    equal')
    assert lines[1].startswith("network:  DIFFERENT: on the notebook's input, largest difference ")
    assert lines[3].startswith('results:  DIFFERENT: notebook: red 0.67, green 0.24, blue 0.09; here: ')


def test_a_notebook_may_have_applied_softmax(capsys):
    notebook()
    with np.load('n.npz') as stored:
        logits = stored['output']
    notebook(output=np.exp(logits) / np.exp(logits).sum())
    _, lines, _ = run(capsys, 'm.onnx', '--compare', 'n.npz', *SAME)
    assert lines[1] == "network:  equal: the notebook's output is the softmax of the model's"
    assert lines[2].startswith('results:  equal')


def test_the_image_may_be_a_source_and_the_input_alone_is_compared(capsys):
    notebook(image=None, output=None)
    code, lines, err = run(capsys, 'm.onnx', PHOTO, '--compare', 'n.npz', *SAME)
    assert (code, err, len(lines)) == (0, '', 1)
    code, _, err = run(capsys, 'm.onnx', '--compare', 'n.npz')
    assert (code, err.startswith('trt_perception: --compare takes one image as SOURCE')) == (1, True)
    notebook()
    code, _, err = run(capsys, 'm.onnx', PHOTO, '--compare', 'n.npz')
    assert (code, 'the image of its file, and no SOURCE' in err) == (1, True)


def test_a_detector_is_compared_with_its_boxes(capsys):
    color_detector(Path('d.onnx'))
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:32, 32:48] = 0, 0, 255
    tensor = np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)[np.newaxis] / np.float32(255), dtype=np.float32)
    with OnnxRuntimeBackend(Path('d.onnx')) as backend:
        output = next(iter(backend.infer('images', tensor).values()))
    np.savez('n.npz', image_bgr=pixels, input=tensor, output=output)
    code, lines, _ = run(capsys, 'd.onnx', '--compare', 'n.npz')
    assert code == 0, lines
    assert 'notebook: red' in lines[2]


@pytest.mark.parametrize('arrays, message', [
    ({'x': np.zeros(3)}, "expected the arrays input or output, and image (RGB) or image_bgr, found ['image', 'x']"),
    ({'input': np.zeros((3, 8, 8))}, 'input has the shape [3, 8, 8]: expected [1, 3, 16, 16], one image'),
    ({'output': np.zeros(7)}, 'output has the shape [7]: expected that of logits, [1, 3]'),
    ({'input': np.array(['a'])}, 'input is <U1 [1]: expected numbers'),
    ({'input': np.array([{}], object)}, 'expected a file of numpy.savez with numbers'),
])
def test_other_files_are_refused_in_one_line(capsys, arrays, message):
    np.savez('n.npz', image=np.zeros((20, 20, 3), np.uint8), **arrays)
    code, lines, err = run(capsys, 'm.onnx', '--compare', 'n.npz')
    assert (code, lines, err.count('\n')) == (1, [], 1)
    assert message in err


def test_a_missing_file_is_said_in_words(capsys):
    assert run(capsys, 'm.onnx', '--compare', 'n.npz')[2].endswith(
        '--compare n.npz: No such file or directory; expected a file of numpy.savez with numbers\n')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 no archive', b'\x93NUMPY'])
def test_a_file_of_another_kind_is_refused(capsys, content):
    Path('n.npz').write_bytes(content)
    code, _, err = run(capsys, 'm.onnx', '--compare', 'n.npz')
    assert (code, err.count('\n')) == (1, 1)
    assert 'expected a file of numpy.savez with numbers' in err


@pytest.mark.parametrize('name, value', [('input', np.nan), ('output', np.nan), ('output', -np.inf)])
def test_values_that_are_not_finite_are_the_notebooks(capsys, name, value):
    notebook()
    with np.load('n.npz') as stored:
        arrays = dict(stored)
    arrays[name].flat[1] = value
    np.savez('n.npz', **arrays)
    code, lines, err = run(capsys, 'm.onnx', '--compare', 'n.npz', *SAME)
    assert (code, lines, err.count('\n')) == (1, [], 1)
    assert f'--compare n.npz: {name} has values that are not finite' in err


def detector_notebook(changed=lambda output: output):
    """Eight weak and strong squares in a black image of 64x64, and what the colour detector gives for it."""
    color_detector(Path('d.onnx'))
    pixels = np.zeros((64, 64, 3), np.uint8)
    for cell in range(8):
        pixels[8 * cell:8 * cell + 8, 8 * cell:8 * cell + 8, cell % 3] = 160 - 3 * cell
    tensor = np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)[np.newaxis] / np.float32(255), dtype=np.float32)
    with OnnxRuntimeBackend(Path('d.onnx')) as backend:
        output = backend.infer('images', tensor)['output0'].copy()
    np.savez('n.npz', image_bgr=pixels, output=changed(output))


def test_boxes_at_another_place_are_different(capsys):
    def moved(output):
        output[0, 0] += 8
        return output

    detector_notebook()
    code, [line], _ = run(capsys, 'd.onnx', '--compare', 'n.npz')
    assert (code, line.startswith('results:  equal: notebook: ')) == (0, True)
    detector_notebook(moved)
    code, [line], _ = run(capsys, 'd.onnx', '--compare', 'n.npz')
    assert (code, line.startswith('results:  DIFFERENT: notebook: ')) == (1, True)


@pytest.mark.parametrize('options', [(), ('--max-detections', '3')])
def test_the_order_of_similar_scores_does_not_matter(capsys, options):
    """Only five are printed. The fifth and the sixth, or the third and the fourth, change their places."""
    def swapped(output):
        for cell, change in ((2, -0.01), (3, 0.01), (4, -0.01), (5, 0.01)):
            output[0, 4 + 2 - cell % 3, 9 * cell] += change
        return output

    detector_notebook(swapped)
    code, [line], _ = run(capsys, 'd.onnx', '--compare', 'n.npz', *options)
    assert (code, line.startswith('results:  equal')) == (0, True), line


def test_one_box_is_the_partner_of_one(capsys):
    def doubled(output):
        # A second box beside the first one, of the same class and score.
        output[0, :, 1] = output[0, :, 0]
        output[0, 0, 1] += 8
        return output

    detector_notebook(doubled)
    assert run(capsys, 'd.onnx', '--compare', 'n.npz')[0] == 1


def test_a_score_near_the_threshold_needs_no_partner(capsys):
    def weaker(output):
        output[0, 4 + 2 - 7 % 3, 9 * 7] -= 0.01
        return output

    # The last square has the score 139/255 = 0.545.
    detector_notebook(weaker)
    assert run(capsys, 'd.onnx', '--compare', 'n.npz', '--score', '0.54')[0] == 0


def test_a_transposed_output_is_refused(capsys):
    detector_notebook(lambda output: output[0].T)
    code, lines, err = run(capsys, 'd.onnx', '--compare', 'n.npz')
    assert (code, lines) == (1, [])
    assert 'output has the shape [64, 7]: expected that of output0, [1, 7, 64]' in err
