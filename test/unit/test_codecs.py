# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Data of a CompressedImage: decoded by its first bytes, or named with what to do."""

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')

from trt_perception.errors import FrameError
from trt_perception.image.codecs import UnreadableCodecError, refuse_codec
from trt_perception.image.frame import Frame

PICTURE = np.full((12, 16, 3), (10, 200, 60), np.uint8)
# The first bytes of streams: x264 and x265 begin with parameter sets; other encoders with an access unit delimiter.
H264 = (b'\0\0\0\1\x67\x42\0\x1f', b'\0\0\1\x09\x10\0\0\1', b'\0\0\0\1\x41\x9a', b'\0\0\0\1\x65\x88')
H265 = (b'\0\0\0\1\x40\1\x0c', b'\0\0\0\1\x46\1\x10', b'\0\0\1\x4e\1\5')


def encoded(kind):
    return cv2.imencode(f'.{kind}', PICTURE)[1].tobytes()


@pytest.mark.parametrize('hint', [
    '', 'jpeg', 'jpg', 'mjpeg', 'png', 'bgr8; jpeg compressed bgr8', 'bgr8; png compressed bgr8', 'h264', 'webp', 'x'])
@pytest.mark.parametrize('kind', ['jpg', 'png'])
def test_the_first_bytes_choose_the_decoder(kind, hint):
    frame = Frame.from_compressed(encoded(kind), hint)
    assert (frame.encoding, frame.width, frame.height) == ('bgr8', 16, 12)
    assert np.abs(frame.bgr().astype(int) - PICTURE).max() < 4


@pytest.mark.parametrize('data, hint, codec', [
    *((data, '', 'H.264') for data in H264), *((data, 'jpeg', 'H.264') for data in H264),
    *((data, '', 'H.265') for data in H265),
    (b'\1\2\3\4', 'h264', 'H.264'), (b'\1\2\3\4', 'H264', 'H.264'), (b'\1\2\3\4', 'bgr8; h264 compressed', 'H.264'),
    (b'\1\2\3\4', 'hevc', 'H.265'), (b'\1\2\3\4', 'av1', 'AV1'), (b'\1\2\3\4', 'ffmpeg', 'H.264 or H.265'),
    (b'\1\2\3\4', 'theora', 'Theora'), (b'OggS\0\2\0\0', '', 'Theora'), (b'DKIF\0\0\x20\0', '', 'VP8, VP9 or AV1')])
def test_video_is_named_with_what_to_do(data, hint, codec):
    with pytest.raises(UnreadableCodecError) as caught:
        Frame.from_compressed(data, hint)
    text = str(caught.value)
    assert f'{codec} video is not supported' in text
    assert 'to jpeg or raw images' in text and 'republish it as sensor_msgs/Image' in text
    assert '\n' not in text and caught.value.transport is None


@pytest.mark.parametrize('hint, name, said', [
    ('16UC1; compressedDepth png', 'compressedDepth', 'depth images are not supported.*the topic of the colour camera'),
    ('32FC1; compressedDepth rvl', 'compressedDepth', 'depth images are not supported'),
    ('compressedDepth', 'compressedDepth', 'depth images are not supported'),
    ('zstd', 'zstd', 'compressed with zstd are not supported')])
@pytest.mark.parametrize('data', [bytes(12) + b'\x89PNG\r\n\x1a\n', b'\xe0\1\0\0\x80\2\0\0\0'])
def test_a_transport_is_known_by_the_format(data, hint, name, said):
    with pytest.raises(UnreadableCodecError, match=said) as caught:
        Frame.from_compressed(data, hint)
    assert caught.value.transport.name == name


@pytest.mark.parametrize('data', [
    b'', b'\0', b'\0\0\1', b'\0\0\0\1', b'\0\0\0\1\xff', bytes(16), b'BM6\0', b'hello', b'\0\0\0\1\0\0'])
def test_other_data_is_left_to_the_decoder(data):
    refuse_codec(data, 'jpeg')


@pytest.mark.parametrize('brand, name', [(b'avif', 'AVIF'), (b'heic', 'HEIC')])
def test_containers_of_photos(brand, name):
    with pytest.raises(FrameError, match=f'{name} is not supported; expected JPEG or PNG: set'):
        Frame.from_compressed(b'\0\0\0\x1cftyp' + brand + bytes(20), name.lower())
