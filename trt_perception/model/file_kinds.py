# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Names the kind of a file that is not ONNX, from its first bytes.

No ONNX file begins like any of these: its first bytes are the tag and the value of a field of ModelProto.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import printable

# Enough for the first entry of a ZIP archive and for the mark of a TAR archive, at byte 257.
START_BYTES = 512
LFS_POINTER = b'version https://git-lfs'
TFLITE = b'TFL3'
_UNPACK = 'unpack it first'
_EXPORT = 'export the original model to ONNX'
_PYTORCH = (
    'a PyTorch file', 'name it .pt and export it: yolo export model=NAME.pt format=onnx (Ultralytics), or '
    'torch.onnx.export')
_SOURCE = 'give the ONNX file it was built from'
# (offset, bytes there, kind of the file, what to do)
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b'\x1f\x8b', 'a gzip archive', 'unpack it first (gunzip)'),
    (0, b'BZh', 'a bzip2 archive', _UNPACK),
    (0, b'\xfd7zXZ\x00', 'an xz archive', _UNPACK),
    (0, b'\x28\xb5\x2f\xfd', 'a Zstandard archive', _UNPACK),
    (0, b'7z\xbc\xaf\x27\x1c', 'a 7z archive', _UNPACK),
    (0, b'Rar!', 'a RAR archive', _UNPACK),
    (257, b'ustar', 'a TAR archive', _UNPACK),
    (0, b'ftrt', 'a TensorRT engine', _SOURCE),
    (0, b'vtrt', 'an engine of TensorRT for RTX', _SOURCE),
    (4, TFLITE, 'a TensorFlow Lite model', f'only backend litert reads it; otherwise {_EXPORT}'),
    (4, b'ORTM', "a model in ONNX Runtime's own format", 'give the ONNX file it was made from'),
    (0, b'\x89HDF\r\n', 'an HDF5 file (Keras)', _EXPORT),
    (0, b'7767517\n', 'an NCNN model', _EXPORT),
    (0, b'[net]', 'a Darknet configuration', _EXPORT),
    (0, b'\x89PNG\r\n', 'a PNG image', 'give the model'),
    (0, b'\xff\xd8\xff', 'a JPEG image', 'give the model'),
    (0, b'GIF8', 'a GIF image', 'give the model'),
    (0, b'%PDF', 'a PDF document', 'give the model'),
    (0, b'\x7fELF', 'a program or library', 'give the model'),
)
_PICKLES = tuple(b'\x80' + bytes([protocol]) for protocol in (2, 3, 4, 5))
_TEXT_SHOWN = 40


def is_tflite(path: Path) -> bool:
    """Return whether a file is a TensorFlow Lite model, by its content; False if it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open('rb') as file:
            return file.read(8)[4:] == TFLITE
    except (OSError, ValueError):
        return False


def kind_of(start: bytes) -> tuple[str, str] | None:
    """Return (the kind of a file, what to do) from its first START_BYTES bytes, None if it may be ONNX."""
    for offset, magic, kind, remedy in _MAGIC:
        if start[offset:].startswith(magic):
            return kind, remedy
    if start.startswith(b'PK\x03\x04'):
        return _PYTORCH if b'data.pkl' in start else ('a ZIP archive', _UNPACK)
    # A pickle of protocol 2 to 5 whose first opcode is one of those that torch.save and pickle.dump write.
    if start[:2] in _PICKLES and start[2:3] in (b'\x8a', b'c', b'}', b'\x95', b']', b'('):
        return _PYTORCH
    if start[8:10] == b'{"' and (b'"dtype"' in start or b'"__metadata__"' in start):
        return 'a safetensors file', _EXPORT
    if start[4:6] == b'{"' and b'Ultralytics' in start:
        # The plan comes after the length of its metadata and the metadata.
        return 'a TensorRT engine by Ultralytics', _SOURCE
    return None


def kind_of_text(start: bytes) -> tuple[str, str] | None:
    """Return (the kind of a text file, what to do), None if the bytes are not text."""
    text = start.decode('utf-8', 'ignore').lstrip('\ufeff \t\r\n')
    # Nothing but a text has no control characters in its first 512 bytes.
    if not text or any(ord(character) < 32 and character not in '\t\r\n\f' for character in text) or b'\0' in start:
        return None
    lower = text.lower()
    if lower.startswith(('<!doctype html', '<html', '<head')):
        return (
            'a web page (HTML)',
            'download the file itself, not the page that shows it')
    if lower.startswith('<?xml') and '<net' in lower:
        return 'an OpenVINO model', _EXPORT
    try:
        start.decode('utf-8')
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:
            return None
    quoted = printable(' '.join(text.split())[:_TEXT_SHOWN])
    return f"a text file that begins with '{quoted}'", 'download, copy or export the model again'
