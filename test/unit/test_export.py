# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception export`: PyTorch networks become complete ONNX files, and both give the same outputs."""

import json
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest

import trt_perception
from trt_perception.cli.main import main

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
torch = pytest.importorskip('torch', reason='needs PyTorch: pip install torch torchvision')
torchvision = pytest.importorskip('torchvision', reason='needs torchvision: pip install torch torchvision')

PHOTO = Path(__file__).resolve().parents[1] / 'data' / 'photos' / 'coffee.jpg'
RED, BLUE = (0, 0, 255), (255, 0, 0)
NETS = '''
    import sys
    import torch

    class Means(torch.nn.Module):
        """The logit of a class is the mean of a channel, times 4."""
        def __init__(self):
            super().__init__()
            self.drop = torch.nn.Dropout(0.5)
        def forward(self, x):
            return self.drop(x).mean(dim=(2, 3)) * 4

    class Branches(Means):
        """A trace keeps one of its two ways."""
        def forward(self, x):
            if x.abs().sum() == 0:
                return x.mean(dim=(2, 3))
            return x.mean(dim=(2, 3)) * 4 + 1

    class Detector(torch.nn.Module):
        """Cells of 8x8 in the layout of YOLOv8: boxes in pixels, and the means of the channels as scores."""
        def forward(self, x):
            scores = torch.nn.functional.avg_pool2d(x, 8)
            h, w = scores.shape[2:]
            ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
            size = torch.full((h, w), 8.0)
            boxes = torch.stack([(xs + 0.5) * 8, (ys + 0.5) * 8, size, size]).reshape(1, 4, -1)
            return torch.cat([boxes, scores.reshape(1, 3, -1)], 1)

    class Boxes(torch.nn.Module):
        def forward(self, x):
            return x.mean(), 'no tensor'

    ready = Means()
    number = 3
    def fails():
        raise ValueError('no weights\\nhere')
    def leaves():
        sys.exit('no GPU')
    def half():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).half()
    def nothing():
        return None
'''


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A module of the user in the current folder."""
    (tmp_path / 'my_nets.py').write_text(textwrap.dedent(NETS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    yield tmp_path
    sys.modules.pop('my_nets', None)


def picture(color, size=64):
    return np.full((size, size, 3), color, np.uint8)


def metadata_of(path):
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


@pytest.mark.parametrize('name, crop', [
    ('alexnet', 224 / 256), ('squeezenet1_1', 224 / 256), ('resnet18', 224 / 256), ('resnet50', 224 / 232),
    ('mobilenet_v3_small', 224 / 256), ('efficientnet_b0', 224 / 256)])
def test_a_classifier_of_torchvision(tmp_path, monkeypatch, capsys, name, crop):
    monkeypatch.chdir(tmp_path)
    assert main(['export', name, '--weights', 'none', '--photo', str(PHOTO)]) == 0
    out = capsys.readouterr().out
    assert 'the weights are random' in out
    assert out.count('PyTorch and ONNX Runtime on ') == 2
    assert [path.name for path in tmp_path.iterdir()] == [f'{name}.onnx']
    values = json.loads(metadata_of(f'{name}.onnx')['trt_perception.preprocessing'])
    assert values['mean'] == [0.485, 0.456, 0.406]
    assert values['crop_fraction'] == pytest.approx(crop)
    with trt_perception.open(f'{name}.onnx', backend='onnxruntime') as model:
        assert model.task == 'classification'
        assert (model.names[0], len(model.names)) == ('tench', 1000)
    (name_of_output,) = [output.name for output in onnx.load(f'{name}.onnx').graph.output]
    assert name_of_output == 'logits'


@pytest.mark.parametrize('name, weights', [
    ('squeezenet1_1', 'SqueezeNet1_1_Weights'), ('efficientnet_b0', 'EfficientNet_B0_Weights')])
@pytest.mark.parametrize('size', [(256, 256), (640, 480)])
def test_the_input_is_that_of_torchvisions_own_preprocessing(tmp_path, monkeypatch, name, weights, size):
    """A 256x256 image is cropped only. A larger one is also resized, for EfficientNet with the bicubic filter."""
    image_module = pytest.importorskip('PIL.Image')
    monkeypatch.chdir(tmp_path)
    assert main(['export', name, '--weights', 'none']) == 0
    pixels = np.asarray(image_module.open(PHOTO).convert('RGB').resize(size))
    from trt_perception.image.frame import Frame
    from trt_perception.model.spec import load_model
    from trt_perception.pipeline.preprocess import Preprocessor
    tensor, _ = Preprocessor(load_model(f'{name}.onnx'))(Frame.from_bgr(pixels[..., ::-1].copy()))
    transforms = getattr(torchvision.models, weights).DEFAULT.transforms()
    expected = transforms(image_module.fromarray(pixels)).numpy()
    assert np.abs(tensor[0] - expected).max() < 1e-5


def test_weights_of_a_file_decide_the_number_of_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1(num_classes=3)
    torch.save({'epoch': 7, 'state_dict': {f'module.{key}': value for key, value in network.state_dict().items()}},
               'mine.pt')
    Path('fruit.txt').write_text('apple\npear\nplum\n')
    assert main(['export', 'squeezenet1_1', '--weights', 'mine.pt', '--labels', 'fruit.txt',
                 '--output', 'fruit.onnx']) == 0
    assert 'weights mine.pt' in metadata_of('fruit.onnx')['source']
    with trt_perception.open('fruit.onnx', backend='onnxruntime', top_k=3) as model:
        assert model.names == ('apple', 'pear', 'plum')
        found = model(picture(RED, 256))
    with torch.no_grad():
        tensor = torch.tensor([255.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 224, 224) / 255
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        expected = network.eval()((tensor - mean) / std).softmax(1)[0].numpy()
    assert dict(zip(found.class_indices.tolist(), found.scores)) == pytest.approx(dict(enumerate(expected)), abs=1e-5)


def test_weights_of_another_network_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save(torchvision.models.squeezenet1_0(num_classes=3).state_dict(), 'other.pt')
    assert main(['export', 'squeezenet1_1', '--weights', 'other.pt']) == 1
    err = capsys.readouterr().err
    assert 'other.pt does not fit squeezenet1_1' in err
    assert err.count('\n') == 1


def test_weights_that_do_not_fit_are_counted_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights = torchvision.models.squeezenet1_1(num_classes=3).state_dict()
    for change, message in (
            ({f'model.{key}': value for key, value in weights.items()},
             '52 missing (features.0.weight, ...), 52 unknown (model.features.0.weight, ...)'),
            ({**weights, 'more': torch.ones(1)}, '1 unknown (more)'),
            ({**weights, 'features.0.weight': torch.ones(64, 1, 3, 3)},
             'features.0.weight has the shape [64, 1, 3, 3] instead of [64, 3, 3, 3]')):
        torch.save(change, 'wrong.pt')
        assert main(['export', 'squeezenet1_1', '--weights', 'wrong.pt']) == 1
        assert capsys.readouterr().err.strip() == (
            f'trt_perception: wrong.pt does not fit squeezenet1_1: {message}; expected the state_dict of '
            'torchvision.models.squeezenet1_1()')


def test_a_network_of_the_user(nets, capsys):
    assert main(['export', 'my_nets:Means', '--input-size', '64', '32', '--mean', '0', '--std', '1',
                 '--resize-mode', 'stretch', '--output-names', 'scores', '--input-name', 'camera',
                 '--labels', 'colors.txt']) == 1
    assert 'colors.txt' in capsys.readouterr().err
    (nets / 'colors.txt').write_text('red\ngreen\nblue\n')
    assert main(['export', 'my_nets:Means', '--input-size', '64', '32', '--mean', '0', '--std', '1',
                 '--resize-mode', 'stretch', '--output-names', 'scores', '--input-name', 'camera',
                 '--labels', 'colors.txt']) == 0
    graph = onnx.load('Means.onnx').graph
    assert [value.name for value in (*graph.input, *graph.output)] == ['camera', 'scores']
    # Nothing but the file is needed.
    (nets / 'colors.txt').unlink()
    with trt_perception.open('Means.onnx', backend='onnxruntime', top_k=1) as model:
        assert model.input_size == (64, 32)
        found = model(picture(BLUE))
        assert model.name_of(found.class_indices[0]) == 'blue'
        # Dropout is off, mean and std are those of the options: softmax of 0, 0, 4.
        assert found.scores[0] == pytest.approx(np.exp(4) / (np.exp(4) + 2), abs=1e-4)


def test_a_detector_of_the_user_and_a_file_with_a_path(nets):
    assert main(['export', f'{nets}/my_nets.py:Detector', '--input-size', '64', '64', '--output', 'd.onnx']) == 0
    assert metadata_of('d.onnx')['task'] == 'detect'
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:24, 32:40] = BLUE
    with trt_perception.open('d.onnx', backend='onnxruntime', score_threshold=0.6) as model:
        found = model(image)
    assert found.class_indices.tolist() == [2]
    assert found.boxes.tolist() == [[32.0, 16.0, 40.0, 24.0]]


def test_a_wrong_score_counts_beside_boxes_in_pixels(nets, monkeypatch):
    from trt_perception.export.comparison import compare
    from trt_perception.export.network import Network
    from trt_perception.image.frame import Frame
    from trt_perception.model.spec import load_model
    assert main(['export', 'my_nets:Detector', '--input-size', '640', '64']) == 0
    monkeypatch.syspath_prepend(str(nets))
    from my_nets import Detector

    class Wrong(Detector):
        def forward(self, x):
            found = super().forward(x)
            return torch.cat([found[:, :5], found[:, 5:6] - 0.05, found[:, 6:]], 1)

    frame = Frame.from_bgr(picture(RED))
    right, wrong = (compare(Network(module, 'd', ''), load_model('Detector.onnx'), frame)
                    for module in (Detector(), Wrong()))
    assert max(one.relative for one in right) < 1e-5
    assert [one.difference for one in wrong] == pytest.approx([0.05, 0.05], abs=1e-5)
    assert min(one.relative for one in wrong) > 0.05


def test_a_network_for_grey_images(nets, capsys):
    (nets / 'grey.py').write_text(
        'import torch\nclass Grey(torch.nn.Module):\n    def forward(self, x):\n'
        '        mean = x.mean((2, 3))\n        return torch.cat([1 - mean, mean], 1)\n'
        'def conv():\n    return torch.nn.Conv2d(1, 3, 3)\n')
    assert main(['export', 'grey.py:conv']) == 1
    assert 'and --channels 1 for grey images' in capsys.readouterr().err
    assert main(['export', 'grey.py:Grey', '--channels', '1', '--mean', '0', '--std', '1']) == 0
    assert '2 from class indices (the file has no names); --labels FILE names them' in capsys.readouterr().out
    with trt_perception.open('Grey.onnx', backend='onnxruntime', top_k=1) as model:
        assert model(picture((255, 255, 255))).class_indices.tolist() == [1]
        assert model(picture((20, 20, 20))).class_indices.tolist() == [0]


def test_a_network_with_two_outputs(nets, capsys):
    (nets / 'two.py').write_text(
        'import torch\nclass Two(torch.nn.Module):\n    def forward(self, x):\n'
        '        return x.mean((2, 3)), x.amax((2, 3))\n')
    assert main(['export', 'two.py:Two']) == 1
    assert capsys.readouterr().err.endswith('; let the function return only that output\n')


@pytest.mark.parametrize('place, message', [
    ('my_nets:fails', 'my_nets:fails raised ValueError: no weights here; expected a function without arguments'),
    ('my_nets:leaves', 'my_nets:leaves raised SystemExit: no GPU; expected a function without arguments'),
    ('my_nets:nothing', 'my_nets:nothing returned NoneType: expected a function that returns a torch.nn.Module'),
    ('my_nets:number', 'my_nets:number is int: expected a function'),
    ('my_nets:absent', "my_nets has no 'absent': expected module:function"),
    ('no_such:make', "there is no Python module 'no_such' in this folder"),
    ('no_such.py:make', 'no Python file at no_such.py'),
    ('my_nets:Boxes', 'the network returns str: expected a tensor')])
def test_faults_of_the_users_code_are_one_line(nets, capsys, place, message):
    assert main(['export', place]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count('\n') == 1
    assert not list(nets.glob('*.onnx'))


def test_a_file_that_ends_python_when_it_is_imported(nets, capsys):
    Path('train.py').write_text('import sys\nsys.exit(2)\n')
    assert main(['export', 'train.py:make']) == 1
    assert capsys.readouterr().err == (
        'trt_perception: train.py ended with SystemExit (2) when it was imported: expected a module that only defines '
        "functions and classes; put the rest under if __name__ == '__main__'\n")
    sys.modules.pop('train', None)


def test_a_network_in_half_precision_is_written_in_float32(nets):
    assert main(['export', 'my_nets:half', '--input-size', '16', '16', '--mean', '0', '--std', '1', '--output',
                 'half.onnx']) == 0
    weights = onnx.load('half.onnx').graph.initializer
    assert {tensor.data_type for tensor in weights if len(tensor.dims) == 4} == {onnx.TensorProto.FLOAT}
    with trt_perception.open('half.onnx', backend='onnxruntime', top_k=4) as model:
        found = model(picture(RED, 16))
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3).half().float()
    with torch.no_grad():
        red = torch.zeros(1, 3, 16, 16)
        red[:, 0] = 1
        expected = conv(red).mean(dim=(2, 3))[0].softmax(0).numpy()
    assert dict(zip(found.class_indices.tolist(), found.scores)) == pytest.approx(dict(enumerate(expected)), abs=1e-5)


def test_safetensors_that_cannot_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    def load_file(path):
        raise RuntimeError('Error while deserializing header:\nheader too small')
    reader = types.ModuleType('safetensors.torch')
    reader.load_file = load_file
    monkeypatch.setitem(sys.modules, 'safetensors', types.ModuleType('safetensors'))
    monkeypatch.setitem(sys.modules, 'safetensors.torch', reader)
    assert main(['export', 'squeezenet1_1', '--weights', 'a.safetensors']) == 1
    assert capsys.readouterr().err == (
        'trt_perception: a.safetensors cannot be read as safetensors: Error while deserializing header: header too '
        'small; copy the file again\n')


def test_a_file_that_differs_from_the_network_is_not_put_in_place(nets, capsys):
    """The trace of zeros takes the other way: both inputs show it."""
    (nets / 'Branches.onnx').write_text('old')
    assert main(['export', 'my_nets:Branches', '--exporter', 'torchscript']) == 1
    assert 'Branches.onnx is not written: ONNX Runtime differs from PyTorch by ' in capsys.readouterr().err
    assert (nets / 'Branches.onnx').read_text() == 'old'
    assert sorted(path.name for path in nets.iterdir() if path.suffix != '') == ['Branches.onnx', 'my_nets.py']


def test_the_bound_is_an_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['export', 'squeezenet1_1', '--weights', 'none', '--tolerance', '1e-12']) == 1
    assert 'more than --tolerance 1e-12' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_torchscript_file_with_the_metadata_of_ultralytics(nets, monkeypatch):
    monkeypatch.syspath_prepend(str(nets))
    from my_nets import Detector
    traced = torch.jit.trace(Detector(), torch.zeros(1, 3, 64, 64))
    config = json.dumps({'names': {'0': 'red', '1': 'green', '2': 'blue'}, 'task': 'detect', 'imgsz': [64, 64]})
    torch.jit.save(traced, 'd.torchscript', _extra_files={'config.txt': config})
    assert main(['export', 'd.torchscript']) == 0
    with trt_perception.open('d.onnx', backend='onnxruntime') as model:
        assert (model.names, model.input_size) == (('red', 'green', 'blue'), (64, 64))


def test_a_state_dict_without_its_network(tmp_path, capsys):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / 's.pt')
    assert main(['export', str(tmp_path / 's.pt')]) == 1
    assert 'has weights without a network (a state_dict)' in capsys.readouterr().err


def test_a_whole_network_in_a_file(nets, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(nets))
    from my_nets import Means
    torch.save(Means(), 'whole.pt')
    assert main(['export', 'whole.pt']) == 1
    assert 'whole.pt is a pickled network (my_nets.Means), and loading it would run code' in capsys.readouterr().err


def test_a_dynamic_batch_is_compared_with_a_batch(nets, capsys):
    assert main(['export', 'my_nets:Means', '--dynamic-batch', '--input-size', '32', '32']) == 0
    assert 'PyTorch and ONNX Runtime on batch of both' in capsys.readouterr().out
    session = pytest.importorskip('onnxruntime').InferenceSession('Means.onnx')
    batch = np.random.default_rng(0).random((5, 3, 32, 32), np.float32)
    (scores,) = session.run(None, {'images': batch})
    assert np.allclose(scores, batch.mean((2, 3)) * 4, atol=1e-5)


@pytest.mark.parametrize('exporter', ['torchscript', 'dynamo'])
def test_one_file_or_two(nets, monkeypatch, exporter, capsys):
    if exporter == 'dynamo':
        pytest.importorskip('onnxscript', reason='needs onnxscript')
    arguments = ['export', 'squeezenet1_1', '--weights', 'none', '--exporter', exporter, '--output']
    assert main([*arguments, 'one.onnx']) == 0
    assert main([*arguments, 'two.onnx', '--external-data']) == 0
    assert 'Copy both files' in capsys.readouterr().out
    assert sorted(path.name for path in nets.glob('*.onnx*')) == ['one.onnx', 'two.onnx', 'two.onnx.data']
    assert Path('two.onnx').stat().st_size < 1_000_000 < Path('one.onnx').stat().st_size
    with trt_perception.open('two.onnx', backend='onnxruntime') as model:
        assert len(model(picture(RED)).scores) == 5
    # No paths of the machine that exported it.
    assert b'site-packages' not in Path('one.onnx').read_bytes()


def test_opset(nets):
    assert main(['export', 'my_nets:ready', '--opset', '13']) == 0
    model = onnx.load('ready.onnx')
    assert [entry.version for entry in model.opset_import] == [13]
    assert model.ir_version <= 8


def test_an_opset_that_pytorch_does_not_write_is_refused(nets, capsys):
    assert main(['export', 'my_nets:ready', '--opset', '30']) == 1
    err = capsys.readouterr().err
    assert 'cannot export the network (torchscript: ' in err
    assert err.count('\n') == 1
    assert not list(nets.glob('*.onnx'))


def test_an_output_never_replaces_an_input(nets, capsys):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), 's.pt')
    assert main(['export', 'squeezenet1_1', '--weights', 's.pt', '--output', 's.pt']) == 1
    assert main(['export', 'my_nets.py:ready', '--output', 'my_nets.py']) == 1
    assert capsys.readouterr().err.count('is also another file of this command') == 2
    assert (nets / 'my_nets.py').read_text() == textwrap.dedent(NETS)


def test_a_network_without_a_known_output_is_refused_with_the_reason(nets, capsys):
    (nets / 'map_net.py').write_text('import torch\ndef make():\n    return torch.nn.Conv2d(3, 7, 3)\n')
    assert main(['export', 'map_net:make']) == 1
    err = capsys.readouterr().err
    assert 'make.onnx is not written: ' in err
    assert '.part' not in err
    assert not list(nets.glob('*.onnx'))


def test_the_list(capsys):
    assert main(['export', '--list']) == 0
    names = capsys.readouterr().out.split()
    assert {'alexnet', 'resnet18', 'vit_b_16'} <= set(names)
    assert 'fasterrcnn_resnet50_fpn' not in names
