# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""External data: what is accepted, and what is refused before a file is opened."""

import hashlib
import json
import os
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.subprocesses import python_environment
from support.tiny_models import FLOAT, color_detector, save

from trt_perception.errors import ModelError
from trt_perception.model.external_data import load_external_data, stored_bytes
from trt_perception.model.onnx_file import load_proto, read_onnx, sha256_of

INT4 = 22  # TensorProto.INT4, since onnx 1.16
BOXES = 4 * 64 * 4  # bytes of the detector's boxes, float32


def external_detector(path, data=None, size=BOXES, **entries):
    """The colour detector with its boxes in another file; `entries` replace those of external_data, None removes one.

    data: the file to write, None for weights.bin beside the model; size: its bytes
    """
    color_detector(path)
    model = onnx.load(str(path))
    boxes, = [tensor for tensor in model.graph.initializer if tensor.name == 'boxes']
    raw = numpy_helper.to_array(boxes).tobytes()
    assert len(raw) == BOXES
    (data or path.parent / 'weights.bin').write_bytes((raw + bytes(max(0, size - BOXES)))[:size])
    boxes.ClearField('raw_data')
    boxes.data_location = TensorProto.EXTERNAL
    for key, value in {'location': 'weights.bin', 'offset': '0', 'length': str(BOXES), **entries}.items():
        if value is not None:
            boxes.external_data.add(key=key, value=value)
    onnx.save(model, str(path))
    return path


def refused(path):
    with pytest.raises(ModelError) as error:
        load_proto(path, weights=False)
    assert '\n' not in str(error.value)
    for read in (load_proto, read_onnx, sha256_of):
        with pytest.raises(ModelError) as again:
            read(path)
        assert str(again.value) == str(error.value)
    return str(error.value)


@pytest.mark.parametrize('entries', [
    {}, {'offset': None}, {'length': None}, {'offset': None, 'length': None}, {'location': './weights.bin'},
    {'location': 'sub/../weights.bin'}, {'checksum': '0' * 40}])
def test_external_data_in_the_folder(tmp_path, entries):
    (tmp_path / 'sub').mkdir()
    path = external_detector(tmp_path / 'm.onnx', **entries)
    digest = hashlib.sha256(path.read_bytes() + (tmp_path / 'weights.bin').read_bytes()).hexdigest()
    assert read_onnx(path).sha256 == sha256_of(path) == digest
    proto = load_proto(path)
    assert stored_bytes(path, proto) == path.stat().st_size + BOXES
    load_external_data(path, proto)
    whole = onnx.load(str(color_detector(tmp_path / 'whole.onnx')))
    assert [numpy_helper.to_array(t).tolist() for t in proto.graph.initializer] == [
        numpy_helper.to_array(t).tolist() for t in whole.graph.initializer]


def test_a_part_of_a_file_is_read_from_its_offset(tmp_path):
    path = external_detector(tmp_path / 'm.onnx', size=10, offset='4096')
    values = np.arange(4 * 64, dtype=np.float32)
    (tmp_path / 'weights.bin').write_bytes(bytes(4096) + values.tobytes())
    proto = load_proto(path)
    load_external_data(path, proto)
    boxes, = [tensor for tensor in proto.graph.initializer if tensor.name == 'boxes']
    assert numpy_helper.to_array(boxes).ravel().tolist() == values.tolist()
    # One byte less
    os.truncate(tmp_path / 'weights.bin', 4096 + BOXES - 1)
    assert 'tensor boxes is at bytes 4096 to 5120, but the file has 5119 bytes' in refused(path)


@pytest.mark.parametrize('location, message', [
    ('/etc/passwd', 'm.onnx has weights in /etc/passwd, an absolute path, so outside its folder: expected a file in '),
    ('../../../../../../../../etc/passwd', 'etc/passwd, which is outside its folder'),
    ('../secret.bin', 'm.onnx has weights in ../secret.bin, which is outside its folder'),
    ('sub/../../secret.bin', 'which is outside its folder'),
    ('..', 'm.onnx has weights in .., which is outside its folder'),
    ('//etc/passwd', 'an absolute path, so outside its folder'),
    ('', "has weights in another file, but names it '' (tensor boxes)"),
    (None, "has weights in another file, but names it ''"),
    ('weights\0.bin', "has weights in another file, but names it 'weights\\x00.bin'"),
    ('.', 'm.onnx has weights in ., which is a folder: expected a regular file'),
    ('sub', 'm.onnx has weights in sub, which is a folder'),
    ('pipe', 'm.onnx has weights in pipe, which is a pipe or a device'),
    ('none.bin', 'has weights in the file none.bin, which is missing in '),
    ('m.onnx/x', 'has weights in the file m.onnx/x, which cannot be read: Not a directory'),
    ('a' * 300, f"has weights in the file {'a' * 80}..., which cannot be read: File name too long"),
    ('a/' * 5000, f"has weights in the file {'a/' * 40}..., which is missing"),
    ('\x1b[31mred\n.bin', 'has weights in the file \\x1b[31mred\\n.bin, which is missing'),
    ('*/_ORT_MEM_ADDR_/*', 'has weights in the file */_ORT_MEM_ADDR_/*, which is missing'),
    ('loop', 'has weights in the file loop, which cannot be read: Too many levels of symbolic links'),
    ('linked.bin', 'has weights in the file linked.bin, a link to '),
    ('way/secret.bin', 'which is outside its folder'),
    ('zero', 'has weights in the file zero, a link to /dev/zero, which is outside its folder'),
])
def test_locations_that_are_refused(tmp_path, location, message):
    folder = tmp_path / 'model'
    folder.mkdir()
    (tmp_path / 'secret.bin').write_bytes(bytes(BOXES))
    (folder / 'sub').mkdir()
    os.mkfifo(folder / 'pipe')
    (folder / 'loop').symlink_to('loop')
    (folder / 'linked.bin').symlink_to('../secret.bin')
    (folder / 'way').symlink_to(tmp_path)
    (folder / 'zero').symlink_to('/dev/zero')
    assert message in refused(external_detector(folder / 'm.onnx', location=location))


@pytest.mark.parametrize('entries, message', [
    ({'offset': '-4'},
     "the offset of tensor boxes in its external data is '-4'; expected a number of bytes, 0 or more"),
    ({'offset': 'abc'}, "the offset of tensor boxes in its external data is 'abc'"),
    ({'offset': '1_0'}, "is '1_0'"), ({'offset': ' 1'}, "is ' 1'"), ({'offset': '٣'}, "is '٣'"),
    ({'offset': '9' * 4000}, f"the offset of tensor boxes in its external data is '{'9' * 80}...'"),
    ({'length': '-1'}, "the length of tensor boxes in its external data is '-1'"),
    ({'length': ''}, "the length of tensor boxes in its external data is ''"),
    ({'length': '4'}, 'tensor boxes has 4 bytes in weights.bin, but its shape [1, 4, 64] needs 1024'),
    ({'offset': '1'}, 'tensor boxes is at bytes 1 to 1025, but the file has 1024 bytes'),
    ({'offset': '1', 'length': None}, 'tensor boxes is at bytes 1 to 1025, but the file has 1024 bytes'),
    ({'length': '2000'}, 'tensor boxes is at bytes 0 to 2000, but the file has 1024 bytes'),
    ({'offset': '9223372036854775807'}, 'which is too short'),
])
def test_parts_that_the_file_does_not_hold(tmp_path, entries, message):
    assert message in refused(external_detector(tmp_path / 'm.onnx', **entries))


@pytest.mark.parametrize('size', [0, 1, BOXES - 1])
def test_a_file_that_was_cut(tmp_path, size):
    text = refused(external_detector(tmp_path / 'm.onnx', size=size))
    assert text.endswith(
        f'which is too short: tensor boxes is at bytes 0 to 1024, but the file has {size} bytes; copy that file again, '
        'completely')


def test_a_git_lfs_pointer_in_place_of_the_data(tmp_path):
    path = external_detector(tmp_path / 'm.onnx')
    (tmp_path / 'weights.bin').write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1024\n')
    assert refused(path).endswith('weights.bin, which is a Git LFS pointer, not the weights: run git lfs pull')


@pytest.mark.parametrize('kind, size', [
    (TensorProto.FLOAT16, 2 * 7), (TensorProto.INT64, 8 * 7), (TensorProto.BOOL, 7), (INT4, 4)])
def test_the_needed_bytes_follow_the_type(tmp_path, kind, size):
    """Four-bit numbers are packed, two in a byte."""
    tensor = TensorProto(name='w', data_type=kind, dims=[7], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value='w.bin')
    graph = helper.make_graph(
        [helper.make_node('Identity', ['images'], ['out'])], 'g',
        [helper.make_tensor_value_info('images', FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info('out', FLOAT, [1, 3, 8, 8])], [tensor])
    path = tmp_path / 'm.onnx'
    onnx.save(helper.make_model(graph), str(path))
    (tmp_path / 'w.bin').write_bytes(bytes(size))
    load_proto(path)
    (tmp_path / 'w.bin').write_bytes(bytes(size - 1))
    assert f'at bytes 0 to {size}, but the file has {size - 1} bytes' in refused(path)


# Places of a tensor


def outside():
    tensor = TensorProto(name='w', data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value='../secret.bin')
    return tensor


def body(*tensors, nodes=()):
    return helper.make_graph(
        [helper.make_node('Identity', ['images'], ['y']), *nodes], 'body', [],
        [helper.make_tensor_value_info('y', FLOAT, [1])], list(tensors))


def indices():
    return numpy_helper.from_array(np.zeros(1, np.int64), 'i')


PLACES = {
    'initializer': lambda model: model.graph.initializer.append(outside()),
    'sparse': lambda model: model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=outside(), indices=indices(), dims=[4])),
    'sparse indices': lambda model: model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=indices(), indices=outside(), dims=[4])),
    'constant': lambda model: model.graph.node.append(helper.make_node('Constant', [], ['c'], value=outside())),
    'attribute': lambda model: model.graph.node.append(helper.make_node('Any', [], ['c'], many=[outside()])),
    'branch': lambda model: model.graph.node.append(
        helper.make_node('If', ['b'], ['c'], then_branch=body(), else_branch=body(outside()))),
    'constant in a loop': lambda model: model.graph.node.append(helper.make_node(
        'Loop', ['n', ''], ['c'], body=body(nodes=[helper.make_node('Constant', [], ['d'], value=outside())]))),
    'function': lambda model: model.functions.append(helper.make_function(
        'd', 'F', [], ['y'], [helper.make_node('Constant', [], ['y'], value=outside())], [])),
}


@pytest.mark.parametrize('place', PLACES)
def test_tensors_are_checked_wherever_they_are(tmp_path, place):
    folder = tmp_path / 'model'
    folder.mkdir()
    (tmp_path / 'secret.bin').write_bytes(bytes(100))
    path = color_detector(folder / 'm.onnx')
    model = onnx.load(str(path))
    PLACES[place](model)
    path.write_bytes(model.SerializeToString())
    assert 'm.onnx has weights in ../secret.bin, which is outside its folder' in refused(path)


# Symbolic links


def test_a_snapshot_of_hugging_face(tmp_path):
    """Both files are links into the folder blobs, whose files have other names."""
    pytest.importorskip('onnxruntime')
    from trt_perception.backends.trial import try_backends
    from trt_perception.model.spec import load_model
    from trt_perception.monitor import Monitor
    from trt_perception.precision.graph import load_model as load_for_conversion
    blobs, snapshot = tmp_path / 'blobs', tmp_path / 'snapshots' / 'rev' / 'onnx'
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    external_detector(blobs / 'a1', blobs / 'b2', location='model.onnx_data')
    (snapshot / 'model.onnx').symlink_to('../../../blobs/a1')
    (snapshot / 'model.onnx_data').symlink_to('../../../blobs/b2')
    spec = load_model(snapshot / 'model.onnx')
    assert spec.sha256 == hashlib.sha256((blobs / 'a1').read_bytes() + (blobs / 'b2').read_bytes()).hexdigest()
    _, trials = try_backends(spec, 'onnxruntime', Monitor())
    assert trials['onnxruntime'].error is None and trials['onnxruntime'].runs
    boxes, = [t for t in load_for_conversion(spec.path).graph.initializer if t.name == 'boxes']
    assert numpy_helper.to_array(boxes).tobytes() == (blobs / 'b2').read_bytes()
    # The data of another model, elsewhere
    (snapshot / 'model.onnx_data').unlink()
    (tmp_path / 'other').write_bytes(bytes(BOXES))
    (snapshot / 'model.onnx_data').symlink_to(tmp_path / 'other')
    assert f'model.onnx_data, a link to {tmp_path}/other, which is outside its folder' in refused(spec.path)


def test_a_link_within_the_folder_and_a_linked_folder(tmp_path):
    folder = tmp_path / 'model'
    (folder / 'versions').mkdir(parents=True)
    path = external_detector(folder / 'm.onnx', folder / 'versions' / '2.bin')
    (folder / 'weights.bin').symlink_to('versions/2.bin')
    (tmp_path / 'current').symlink_to('model')
    assert read_onnx(path).sha256 == read_onnx(tmp_path / 'current' / 'm.onnx').sha256


# Every way to read a model


SCRIPT = """
import json, sys
opened = []
def hook(event, arguments):
    if event == 'open' and 'secret.bin' in str(arguments[0]):
        opened.append(str(arguments[0]))
sys.addaudithook(hook)
import trt_perception
from trt_perception.cli.main import main
from trt_perception.errors import ModelError
model, image, *words = sys.argv[1:]
if words == ['api']:
    try:
        trt_perception.open(model)
        code = 0
    except ModelError as error:
        print(error, file=sys.stderr)
        code = 1
else:
    code = main([words[0], model, *(image if word == 'IMAGE' else word for word in words[1:])])
print(json.dumps([code, opened]))
"""


@pytest.mark.parametrize('words', [
    ['inspect'], ['predict', 'IMAGE'], ['predict', 'IMAGE', '--backend', 'tensorrt'], ['benchmark'],
    ['quantize', '--precision', 'fp16'], ['build', '--output', 'x.plan', '--compute-capability', '8.6'], ['api']])
def test_no_command_opens_a_file_outside(tmp_path, words):
    pytest.importorskip('onnxruntime')
    folder = tmp_path / 'model'
    folder.mkdir()
    # A pipe: a program that opens it waits for ever.
    os.mkfifo(tmp_path / 'secret.bin')
    path = external_detector(folder / 'm.onnx', location='../secret.bin')
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(path), 'none.png', *words], capture_output=True, text=True, timeout=600,
        env={**python_environment(), 'XDG_CACHE_HOME': str(tmp_path / 'cache')}, cwd=tmp_path, check=False)
    code, opened = json.loads(done.stdout.splitlines()[-1])
    assert (code, opened) == (1, []), done.stderr
    assert 'm.onnx has weights in ../secret.bin, which is outside its folder' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_reading_is_an_error_if_the_file_is_cut_after_the_check(tmp_path, monkeypatch):
    from trt_perception.model import external_data
    path = external_detector(tmp_path / 'm.onnx')
    proto = load_proto(path)
    parts = external_data.external_tensors(path, proto)
    os.truncate(tmp_path / 'weights.bin', 100)
    with pytest.raises(ModelError, match='at bytes 0 to 1024, but the file has 100 bytes'):
        external_data.external_bytes(path, parts[0])


def test_the_check_opens_nothing(tmp_path):
    """A pipe beside the model is never opened, not even by a check that succeeds elsewhere."""
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('Identity', ['images'], ['out'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 3, 8, 8])})
    os.mkfifo(tmp_path / 'weights.bin')
    model = onnx.load(str(path))
    tensor = model.graph.initializer.add(name='w', data_type=FLOAT, dims=[0], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value='weights.bin')
    onnx.save(model, str(path))
    failed = threading.Thread(target=lambda: refused(path), daemon=True)
    failed.start()
    failed.join(600)
    assert not failed.is_alive()
