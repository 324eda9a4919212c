# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that are named .onnx and are something else: the error names what they are and what to do."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile

import onnx
import pytest
from support.tiny_models import color_classifier, color_detector

from trt_perception.errors import ModelError
from trt_perception.model.file_kinds import START_BYTES, kind_of, kind_of_text
from trt_perception.model.onnx_file import load_proto, read_onnx


def zipped(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        for name in names:
            archive.writestr(name, b'\x80\x02}q\x00.')
    return content.getvalue()


def tarred(model):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w') as archive:
        archive.addfile(tarfile.TarInfo('m.onnx'), None)
    return content.getvalue() + model


def safetensors():
    header = json.dumps({'w': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}).encode()
    return struct.pack('<Q', len(header)) + header + bytes(4)


def ultralytics_engine():
    metadata = json.dumps({'description': 'Ultralytics YOLO11n model', 'stride': 32}).encode()
    return struct.pack('<I', len(metadata)) + metadata + b'ftrt' + bytes(100)


FILES = {
    'gzip': (gzip.compress, 'it is a gzip archive: unpack it first (gunzip)'),
    'bzip2': (bz2.compress, 'it is a bzip2 archive: unpack it first'),
    'xz': (lzma.compress, 'it is an xz archive: unpack it first'),
    'tar': (tarred, 'it is a TAR archive: unpack it first'),
    'zip': (lambda model: zipped('m.onnx'), 'it is a ZIP archive: unpack it first'),
    'pytorch': (lambda model: zipped('yolo11n/data.pkl', 'yolo11n/data/0'),
                'it is a PyTorch file: name it .pt and export it: yolo export model=NAME.pt format=onnx'),
    'old pytorch': (lambda model: pickle.dumps(0x1950a86a20f9469cfc6c, 2), 'it is a PyTorch file: '),
    'pickle': (lambda model: pickle.dumps({'model': [1.0]}, 4), 'it is a PyTorch file: '),
    'safetensors': (lambda model: safetensors(), 'it is a safetensors file: export the original model to ONNX'),
    'tensorrt': (lambda model: b'ftrt' + bytes(100), 'a TensorRT engine: give the ONNX file it was built from'),
    'rtx': (lambda model: b'vtrt' + bytes(100), 'an engine of TensorRT for RTX: give the ONNX file it was built from'),
    'ultralytics': (lambda model: ultralytics_engine(), 'a TensorRT engine by Ultralytics: give the ONNX file'),
    'tflite': (lambda model: b'\x1c\0\0\0TFL3' + bytes(100), 'a TensorFlow Lite model: only backend litert reads it'),
    'ort': (lambda model: b'\x1c\0\0\0ORTM' + bytes(100), "a model in ONNX Runtime's own format: give the ONNX file"),
    'keras': (lambda model: b'\x89HDF\r\n\x1a\n' + bytes(100), 'an HDF5 file (Keras): export the original model'),
    'darknet': (lambda model: b'[net]\nwidth=416\n', 'a Darknet configuration: export the original model'),
    'openvino': (lambda model: b'<?xml version="1.0"?>\n<net name="m" version="11">\n', 'it is an OpenVINO model'),
    'html': (lambda model: b'\n<!DOCTYPE html>\n<html>', 'it is a web page (HTML): download the file itself, not the'),
    'html with marks': (lambda model: '\ufeff<HTML><title>Anmeldung für'.encode(), 'it is a web page (HTML)'),
    'json': (lambda model: b'{"message": "Not Found"}',
             'it is a text file that begins with \'{"message": "Not Found"}\': download, copy or export'),
    'text': (lambda model: b'Entry not found\n' * 50, "a text file that begins with 'Entry not found Entry not found"),
    'png': (lambda model: b'\x89PNG\r\n\x1a\n' + bytes(range(256)), 'it is a PNG image: give the model'),
    'jpeg': (lambda model: b'\xff\xd8\xff\xe0' + bytes(100), 'it is a JPEG image'),
    'program': (lambda model: b'\x7fELF' + bytes(100), 'it is a program or library'),
    'pointer': (lambda model: b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n',
                'is a Git LFS pointer, not the model: run git lfs pull'),
    'empty': (lambda model: b'', 'is empty: expected an ONNX file; copy or export it again'),
    'cut': (lambda model: model[:-100], 'the file is damaged or not an ONNX file; copy or export it again'),
    'noise': (lambda model: b'\xff' * 1000, 'the file is damaged or not an ONNX file; copy or export it again'),
}


@pytest.mark.parametrize('kind', FILES)
@pytest.mark.parametrize('weights', [True, False])
def test_what_the_file_is(tmp_path, kind, weights):
    make, message = FILES[kind]
    path = tmp_path / 'm.onnx'
    path.write_bytes(make(color_detector(tmp_path / 'real.onnx').read_bytes()))
    with pytest.raises(ModelError) as error:
        load_proto(path, weights)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [b'\xff' * 1000, b'TFL3', b'these are words, not a model\n' * 9])
def test_of_a_damaged_tflite_file_both_kinds_are_named(tmp_path, content):
    path = tmp_path / 'm.tflite'
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        load_proto(path)
    assert str(error.value) == (
        f'{path} cannot be read as ONNX, and it is not a TensorFlow Lite model either: expected TFL3 in bytes 5 to 8, '
        f'found {content[4:8]!r}; copy or export it again')


def test_a_terminal_escape_in_a_text_file_is_not_printed(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_bytes('\u202eurl\x85 not found'.encode())
    with pytest.raises(ModelError) as error:
        read_onnx(path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize('make', [color_detector, color_classifier])
def test_models_are_of_no_other_kind(tmp_path, make):
    start = make(tmp_path / 'm.onnx').read_bytes()[:START_BYTES]
    assert (kind_of(start), kind_of_text(start)) == (None, None)


def test_models_in_a_text_format_are_read(tmp_path):
    model = onnx.load(str(color_detector(tmp_path / 'm.onnx')))
    for name in ('m.textproto', 'm.json'):
        try:
            onnx.save(model, str(tmp_path / name))
        except (TypeError, ValueError):  # older versions of onnx do not write JSON
            continue
        if (tmp_path / name).read_bytes()[:1] == b'\x08':
            continue  # onnx before 1.15 writes only the binary format
        assert load_proto(tmp_path / name) == model
