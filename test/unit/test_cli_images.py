# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line with damaged, large, dark and 16-bit images."""

import json
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from support.tiny_models import color_detector

from trt_perception.cli.main import main

pytest.importorskip('simplejpeg')
if find_spec('onnxruntime') is None:
    pytest.skip('needs onnxruntime: make setup', allow_module_level=True)


def run(capsys, *arguments):
    """Return (exit code, {name of the file: number of detections}, lines of stderr)."""
    code = main(['predict', *map(str, arguments), '--json', '-'])
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    return code, {record['source'].rsplit('/', 1)[1]: len(record['detections']) for record in records}, err.splitlines()


@pytest.fixture
def detector(tmp_path):
    return color_detector(tmp_path / 'colors.onnx')


@pytest.fixture
def picture():
    """A 128x64 image with a red and a blue cell in its upper half, and noise in the lower half."""
    pixels = np.full((64, 128, 3), 60, np.uint8)
    pixels[16:32, 32:48] = 0, 0, 255
    pixels[16:32, 96:112] = 255, 0, 0
    pixels[40:] = np.random.default_rng(0).integers(50, 70, (24, 128, 1))
    return pixels


def test_a_damaged_file_is_processed_and_named_in_one_line(capsys, tmp_path, detector, picture):
    jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    (tmp_path / 'a.jpg').write_bytes(jpeg[:-300])
    (tmp_path / 'b.jpg').write_bytes(jpeg[:-2] + bytes(50))
    code, found, lines = run(capsys, detector, tmp_path / 'a.jpg', tmp_path / 'b.jpg')
    # In the part that is missing, colours may appear.
    assert code == 1 and found['a.jpg'] >= 2 and found['b.jpg'] == 2
    assert len(lines) == 1
    assert lines[0].startswith(f'trt_perception: {tmp_path}/a.jpg frame 0: compressed JPEG image of 128x64 pixels: ')
    code, found, lines = run(capsys, detector, tmp_path / 'a.jpg', tmp_path / 'b.jpg', '--damaged-images', 'drop')
    assert (code, found, len(lines)) == (1, {'b.jpg': 2}, 1)


def test_the_limit_of_the_size_is_an_option(capsys, tmp_path, detector, picture):
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    code, found, lines = run(capsys, detector, tmp_path / 'a.png', '--max-image-pixels', '8191')
    assert (code, found) == (1, {})
    assert '128x64 pixels: 8192 pixels, the limit is 8191 (max_image_pixels)' in lines[0]
    assert run(capsys, detector, tmp_path / 'a.png', '--max-image-pixels', '8192') == (0, {'a.png': 2}, [])


def test_used_bits_of_a_16_bit_file(capsys, tmp_path, detector, picture):
    cv2.imwrite(str(tmp_path / 'a.png'), picture.astype(np.uint16) * 16)
    code, found, lines = run(capsys, detector, tmp_path / 'a.png')
    assert (code, found) == (0, {'a.png': 0})
    assert lines == [
        f'warning: {tmp_path}/a.png: images are nearly black: the largest of 12288 tested values is 4080 of 65535; '
        'if the camera uses 12 of 16 bits, set significant_bits to 12']
    assert run(capsys, detector, tmp_path / 'a.png', '--significant-bits', '12') == (0, {'a.png': 2}, [])
