# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a PyTorch file holds is found without loading it, and the error names the exporter. This needs no PyTorch."""

import io
import pickle
import struct
import subprocess
import sys
import types
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import pytest

from trt_perception.cli.main import main
from trt_perception.errors import ModelError
from trt_perception.export.checkpoint import contents_of, refusal, require_undamaged

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / 'models' / 'README.md'


def object_of(monkeypatch, place, **state):
    """An object whose pickle names the class `place`, as those of the projects do."""
    module, _, name = place.rpartition('.')
    made = type(name, (), {'__module__': module})
    found = types.ModuleType(module)
    setattr(found, name, made)
    parts = module.split('.')
    for end in range(1, len(parts)):
        parent = '.'.join(parts[:end])
        if parent not in sys.modules:
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, module, found)
    one = made()
    one.__dict__.update(state)
    return one


def checkpoint(path, value, protocol=2):
    """A file in the layout of torch.save: NAME/data.pkl in a ZIP archive."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr(f'{path.stem}/data.pkl', pickle.dumps(value, protocol))
        archive.writestr(f'{path.stem}/version', '3\n')
    return path


@pytest.mark.parametrize('place, command', [
    ('ultralytics.nn.tasks.DetectionModel', 'yolo export model=best.pt format=onnx imgsz=640'),
    ('models.yolo.DetectionModel', 'python export.py --weights best.pt --include onnx --imgsz 640'),
    ('models.yolo.Model', 'python export.py --weights best.pt --include onnx --imgsz 640'),
    ('models.yolo.ClassificationModel', 'python export.py --weights best.pt --include onnx --imgsz 224'),
    ('ultralytics.nn.tasks.ClassificationModel', 'yolo export model=best.pt format=onnx imgsz=224'),
    ('yolov6.models.yolo.Model', 'python deploy/ONNX/export_onnx.py --weights best.pt --img 640 --batch 1')])
@pytest.mark.parametrize('protocol', [2, 4])
def test_a_checkpoint_of_a_detector_is_answered_with_its_own_exporter(monkeypatch, tmp_path, place, command, protocol):
    path = checkpoint(tmp_path / 'best.pt', {'epoch': 3, 'model': object_of(monkeypatch, place, nc=80)}, protocol)
    assert str(refusal(path, contents_of(path))).endswith(f'export it with its own project: {command}')


def test_the_command_line_gives_that_answer_in_one_line_without_pytorch(monkeypatch, tmp_path, capsys):
    path = checkpoint(tmp_path / 'yolov5s.pt', {'model': object_of(monkeypatch, 'models.yolo.DetectionModel')})
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['export', str(path)]) == 1
    out, err = capsys.readouterr()
    assert err == (
        'trt_perception: yolov5s.pt is a YOLOv5 checkpoint: export it with its own project: '
        'python export.py --weights yolov5s.pt --include onnx --imgsz 640\n')
    assert out == f'exporting {path} (file)\n'


def test_yolov7_has_the_names_of_yolov5_and_classes_of_its_own(monkeypatch, tmp_path):
    model = object_of(monkeypatch, 'models.yolo.Model', head=object_of(monkeypatch, 'models.common.SPPCSPC'))
    path = checkpoint(tmp_path / 'yolov7.pt', {'model': model})
    assert '--grid --simplify' in str(refusal(path, contents_of(path)))


def test_the_commands_are_those_of_the_page():
    page = README.read_text()
    for command in ('python export.py --weights yolov5s.pt --include onnx --imgsz 640',
                    'yolo export model=yolo11n.pt format=onnx imgsz=640',
                    'python deploy/ONNX/export_onnx.py --weights yolov6s.pt --img 640 --batch 1',
                    'python export.py --weights yolov7.pt --grid --simplify --img-size 640 640'):
        assert f'`{command}`' in page


@pytest.mark.parametrize('protocol', [2, 4])
def test_weights_are_told_from_networks(monkeypatch, tmp_path, protocol):
    weights = checkpoint(tmp_path / 'w.pt', OrderedDict({'fc.weight': [1.0], 'fc.bias': [0.5]}), protocol)
    assert contents_of(weights).kind == 'weights'
    assert 'trt_perception export resnet18 --weights w.pt' in str(refusal(weights, contents_of(weights)))
    own = checkpoint(tmp_path / 'net.pt', object_of(monkeypatch, 'robot.nets.Net'), protocol)
    assert contents_of(own).kind == 'module'
    assert 'a pickled network (robot.nets.Net)' in str(refusal(own, contents_of(own)))
    yolox = checkpoint(tmp_path / 'yolox_s.pth', {'model': {'backbone.backbone.dark2.0.conv.weight': [1.0]}}, protocol)
    assert 'tools/export_onnx.py -n yolox-s -c yolox_s.pth' in str(refusal(yolox, contents_of(yolox)))


def test_a_file_from_before_pytorch_1_6(monkeypatch, tmp_path):
    path = tmp_path / 'old.pt'
    buffer = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True},
                  {'model': object_of(monkeypatch, 'models.yolo.Model')}, ['0']):
        pickle.dump(value, buffer, 2)
    path.write_bytes(buffer.getvalue() + b'\0' * 64)
    assert 'a YOLOv5 checkpoint' in str(refusal(path, contents_of(path)))


class Runs:
    """Its pickle calls a function when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize('protocol', [2, 4])
def test_no_code_of_a_file_runs(tmp_path, protocol):
    path = checkpoint(tmp_path / 'evil.pt', {'model': Runs(tmp_path / 'ran')}, protocol)
    assert main(['export', str(path)]) == 1
    assert not (tmp_path / 'ran').exists()
    # The file does run code if it is unpickled.
    with zipfile.ZipFile(path) as archive:
        pickle.loads(archive.read('evil/data.pkl'))
    assert (tmp_path / 'ran').exists()


def test_torchscript_and_programs_are_recognised_by_the_names_in_the_archive(tmp_path):
    for name, members, kind in (
            ('a.pt', ('a/data.pkl', 'a/constants.pkl', 'a/code/__torch__.py'), 'torchscript'),
            ('a.pt2', ('a/archive_format', 'a/models/model.json'), 'program')):
        with zipfile.ZipFile(tmp_path / name, 'w') as archive:
            for member in members:
                archive.writestr(member, b'')
        assert contents_of(tmp_path / name).kind == kind


@pytest.mark.parametrize('content, reason', [
    (b'', 'is not a PyTorch file'), (b'hello', 'is not a PyTorch file'), (b'\x80\x02}q\x00(X\x05', 'damaged'),
    (b'PK\x05\x06' + bytes(18), 'without data.pkl')])
def test_other_files(tmp_path, content, reason):
    path = tmp_path / 'm.pt'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=reason):
        contents_of(path)


def test_a_damaged_weight_is_found_by_its_checksum(tmp_path):
    path = tmp_path / 'weights.pt'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('weights/data.pkl', b'\x80\x02}q\x00.')
        archive.writestr('weights/data/0', b'four')
    require_undamaged(path)
    path.write_bytes(path.read_bytes().replace(b'four', b'fear'))
    assert contents_of(path).kind == 'weights'
    with pytest.raises(ModelError, match=r'weights\.pt is damaged \(weights/data/0: .*\): copy the file again'):
        require_undamaged(path)
    # So PyTorch marks the members of a file that it saves without checksums: twice in the archive.
    checksum = struct.pack('<I', zlib.crc32(b'four'))
    assert path.read_bytes().count(checksum) == 2
    path.write_bytes(path.read_bytes().replace(checksum, bytes(4)))
    require_undamaged(path)


@pytest.mark.parametrize('arguments, message', [
    ([], 'NAME is missing'),
    (['net.py'], 'give the function that returns the network too, net.py:FUNCTION'),
    (['missing.pt'], 'no file at missing.pt'),
    (['m.onnx'], 'm.onnx is an ONNX file already: trt_perception inspect m.onnx shows it'),
    (['robot.nets:make', '--weights', 'none'], '--weights is for the classifiers of torchvision')])
def test_wrong_arguments(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(['export', *arguments]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_pytorch_one_line_says_how_to_get_it(tmp_path):
    code = ("import sys; sys.modules['torch'] = sys.modules['torchvision'] = None; "
            "from trt_perception.cli.main import main; sys.exit(main(['export', 'resnet18', '--weights', 'none']))")
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, env={'PYTHONPATH': str(ROOT), 'PATH': ''}, capture_output=True,
        text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (1, 'exporting resnet18 (torchvision)\n')
    assert done.stderr.count('\n') == 1
    assert 'pip install torch torchvision' in done.stderr
    assert list(tmp_path.iterdir()) == []
