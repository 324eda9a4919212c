# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The data and the network of test/benchmarks/train_yolov5n.py: known boxes, and ONNX equal to PyTorch."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
import numpy as np

BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'
needs_torch = pytest.mark.skipif(
    find_spec('torch') is None, reason='needs torch: pip install torch')


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in ('pasted_objects', 'pasted_batches', 'yolov5n_torch', 'train_yolov5n', 'make_evaluation_data'):
        sys.modules.pop(name, None)


def square(name, coloured=False):
    """An opaque grey square of 100 pixels with a transparent border of 10."""
    import pasted_objects

    pixels = np.zeros((120, 120, 4), np.uint8)
    pixels[10:110, 10:110] = 128, 128, 128, 255
    return pasted_objects.Cutout(name, pixels, coloured)


def test_a_box_is_that_of_the_opaque_pixels():
    import pasted_objects

    black = np.zeros((80, 80, 3), np.uint8)
    for seed in range(20):
        image, [(name, (x, y, w, h))] = pasted_objects.compose(
            np.random.default_rng(seed), (200, 160), [square('box')], [black], most=1)
        # The background is nearly even, the object another grey. Noise has a deviation of 5 at most.
        background = np.median(image[:3].astype(float))
        inside = image[y + h // 2, x + w // 2].astype(float).mean()
        assert name == 'box' and abs(inside - background) > 20
        differs = np.abs(image.astype(float).mean(2) - background) > abs(inside - background) / 2
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        assert np.abs(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) - [x, y, x + w, y + h]).max() <= 2


def test_the_same_seed_gives_the_same_images(tmp_path):
    import pasted_objects

    cutouts = pasted_objects.photo_cutouts(['cat', 'cup'])
    for folder in ('a', 'b'):
        pasted_objects.write_set(tmp_path / folder, 3, (96, 64), cutouts, 5, ['cat', 'cup'], smallest=16)
    files = [sorted((tmp_path / folder).rglob('*.*')) for folder in ('a', 'b')]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    truth = json.loads((tmp_path / 'a' / 'truth.json').read_text())
    assert [image['file_name'] for image in truth['images']] == ['0001.png', '0002.png', '0003.png']
    assert len(truth['annotations']) >= 3 and {a['category_id'] for a in truth['annotations']} <= {1, 2}


@needs_torch
def test_the_boxes_of_a_batch(tmp_path):
    import torch
    from pasted_batches import Batches

    # One opaque white square on black: the bright pixels are the objects.
    sprites = np.zeros((1, 4, 256, 256), np.uint8)
    sprites[:, :, 28:228, 28:228] = 255
    np.savez(tmp_path / 's.npz', sprites=sprites, backgrounds=np.zeros((1, 3, 384, 384), np.uint8), names=['box'],
             classes=[0], coloured=[False])
    images, objects = Batches(tmp_path / 's.npz', 128, torch.device('cpu')).next(16)
    assert images.shape == (16, 3, 128, 128) and len(objects) > 10
    for number in range(16):
        mine = objects[objects[:, 0] == number]
        bright = images[number].mean(0) > 0.4
        if not len(mine):
            assert not bright.any()
            continue
        rows, columns = torch.nonzero(bright.any(1))[:, 0], torch.nonzero(bright.any(0))[:, 0]
        low, high = mine[:, 2:4] - mine[:, 4:] / 2, mine[:, 2:4] + mine[:, 4:] / 2
        found = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert (found - torch.cat([low.amin(0), high.amax(0)])).abs().max() <= 1


@needs_torch
def test_the_predictions_that_are_responsible():
    import torch
    from yolov5n_torch import assigned

    # Centre 20, 27 in cells of 8 pixels: column 2.5, row 3.375. Sides 12x20.
    objects = torch.tensor([[0, 1, 20.0, 27.0, 12.0, 20.0]])
    image, anchor, row, column, mine = assigned(objects, 8, (8, 8))
    # (10, 13), (16, 30) and (33, 23): all sides within a factor of 4.
    assert sorted(set(anchor.tolist())) == [0, 1, 2] and set(image.tolist()) == {0} and len(mine) == 9
    assert sorted(set(zip(row.tolist(), column.tolist()))) == [(2, 2), (3, 2), (3, 3)]
    # At stride 32 the smallest anchor is 116x90: too large.
    assert len(assigned(objects, 32, (2, 2))[4]) == 0


@needs_torch
def test_complete_iou_of_known_boxes():
    import torch
    from yolov5n_torch import complete_iou

    a = torch.tensor([[10.0, 10, 10, 10], [10, 10, 10, 10], [10, 10, 10, 10]])
    b = torch.tensor([[10.0, 10, 10, 10], [15, 10, 10, 10], [40, 10, 10, 10]])
    # Half covered: IoU 1/3; the centres are 5 apart, the box around both is 15x10. Apart: 30 apart, 40x10.
    assert complete_iou(a, b).tolist() == pytest.approx([1, 1 / 3 - 25 / 325, -900 / 1700], abs=1e-4)


@needs_torch
def test_a_perfect_prediction_has_almost_no_loss_and_its_boxes_come_back():
    import torch
    from yolov5n_torch import ANCHORS, assigned, decode, loss

    objects = torch.tensor([[0, 1, 20.0, 27.0, 12.0, 20.0]])
    raw = [torch.full((1, 3, 64 // stride, 64 // stride, 8), -12.0) for stride in ANCHORS]
    for y, stride in zip(raw, ANCHORS):
        image, anchor, row, column, mine = assigned(objects, stride, y.shape[2:4])
        sides = torch.tensor(ANCHORS[stride], dtype=torch.float32)[anchor]
        cell = torch.stack([column, row], 1)
        share = torch.cat([(mine[:, 2:4] / stride - cell + 0.5) / 2, (mine[:, 4:] / sides).sqrt() / 2], 1)
        y[image, anchor, row, column] = torch.cat(
            [torch.logit(share), torch.tensor([[12.0, -12, 12, -12]]).expand(len(mine), 4)], 1)
    assert float(loss(raw, objects)) < 1e-3
    found = decode(raw)[0]
    found = found[found[:, 4] > 0.5]
    assert len(found) >= 9
    assert torch.allclose(found[:, :4], torch.tensor([20.0, 27, 12, 20]).expand(len(found), 4), atol=1e-3)
    assert float(loss([torch.zeros_like(y) for y in raw], objects)) > 1


@needs_torch
def test_the_onnx_file_computes_what_pytorch_does():
    import torch

    onnxruntime = pytest.importorskip('onnxruntime')
    from yolov5n_torch import Yolov5n, decode, export

    torch.manual_seed(0)
    network = Yolov5n(3)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    model = export(network, 64, ['a', 'b', 'c'])
    # The weights were folded as for eval(), but the network goes on training.
    assert network.training
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = decode(network.eval()(image)).numpy()
    [found] = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=['CPUExecutionProvider']).run(['output0'], {'images': image.numpy()})
    assert found.shape == expected.shape == (1, 3 * (64 + 16 + 4), 8)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@needs_torch
def test_a_few_steps_write_a_model_and_a_truth(tmp_path, capsys):
    import train_yolov5n

    train_yolov5n.prepare(tmp_path, 64, 2)
    train_yolov5n.train(tmp_path, 64, 0.5, 2)
    assert (tmp_path / 'yolov5n.onnx').stat().st_size > 6e6
    truth = json.loads((tmp_path / 'truth.json').read_text())
    assert [one['name'] for one in truth['categories']] == [
        'cat', 'cup', 'person', 'rocket', 'A', 'E', 'H', 'K', 'T', 'X', 'Y', 'Z']
    assert 'step 1 ' in capsys.readouterr().out
