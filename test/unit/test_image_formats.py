# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""WebP and TIFF, the other formats of files, orientation, and the limits of all of them."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import jpeg_parts
from support.subprocesses import ROOT, python_environment

from trt_perception.errors import DamagedImageError, FrameError
from trt_perception.image.exif import orientation, upright
from trt_perception.image.file import frame_of_file
from trt_perception.image.file_sizes import file_size
from trt_perception.image.frame import Frame
from trt_perception.image.opencv import quiet
from trt_perception.image.options import KEEP, ImageOptions

PHOTOS = Path(__file__).resolve().parents[1] / 'data' / 'photos'
PHOTO = cv2.imread(str(PHOTOS / 'coffee.jpg'))[:90, :131]
ALPHA = np.dstack([PHOTO, PHOTO[..., 0]])
WIDE = PHOTO.astype(np.uint16) * 250
KEEP_DAMAGED = ImageOptions(damaged=KEEP)


def encoded(suffix, pixels, *parameters):
    try:
        written, data = cv2.imencode(suffix, pixels, list(parameters))
    except cv2.error:
        written = False
    if not written:
        pytest.skip(f'OpenCV {cv2.__version__} does not write {suffix} {parameters}')
    return data.tobytes()


def read_file(data, options=KEEP_DAMAGED):
    return frame_of_file(np.frombuffer(data, np.uint8), options)


def imread(data, flags=cv2.IMREAD_UNCHANGED):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


# --- WebP ---

@pytest.mark.parametrize('pixels, quality, encoding', [
    (PHOTO, 80, 'bgr8'), (PHOTO, 101, 'bgr8'), (ALPHA, 80, 'bgra8'), (ALPHA, 101, 'bgra8')])
def test_webp_of_a_topic(pixels, quality, encoding):
    data = encoded('.webp', pixels, cv2.IMWRITE_WEBP_QUALITY, quality)
    frame = Frame.from_compressed(data, 'webp')
    assert (frame.encoding, frame.width, frame.height) == (encoding, 131, 90)
    np.testing.assert_array_equal(frame.view()[0], imread(data))
    if quality == 101 and encoding == 'bgr8':
        np.testing.assert_array_equal(frame.bgr(), PHOTO)


@pytest.mark.parametrize('pixels, quality', [(PHOTO, 80), (PHOTO, 101), (ALPHA, 80)])
def test_webp_that_is_cut_off_or_too_large(pixels, quality, capfd):
    data = encoded('.webp', pixels, cv2.IMWRITE_WEBP_QUALITY, quality)
    for length in (12, 20, 29):
        with pytest.raises(DamagedImageError, match=r'WebP image: the header is damaged or cut off'):
            Frame.from_compressed(data[:length])
    with pytest.raises(DamagedImageError, match=rf'131x90 pixels: the data is cut off after \d+ of {len(data)} bytes'):
        Frame.from_compressed(data[:-5])
    with pytest.raises(FrameError, match=r'131x90 pixels: 11790 pixels, the limit is 11789'):
        Frame.from_compressed(data, '', ImageOptions(max_pixels=11789))
    assert capfd.readouterr().err == ''


def test_webp_claims():
    body = bytes([0x2F]) + (16382 | 16382 << 14).to_bytes(4, 'little') + bytes(20)
    chunks = {b'VP8L': body, b'VP8 ': b'\0\0\0\x9d\x01\x2a' + struct.pack('<HH', 16383, 16383) + bytes(20),
              b'VP8X': b'\0\0\0\0' + (16382).to_bytes(3, 'little') * 2 + bytes(20)}
    for kind, content in chunks.items():
        data = b'WEBP' + kind + struct.pack('<I', len(content)) + content
        with pytest.raises(FrameError, match=r'16383x16383 pixels: 268402689 pixels, the limit is 67108864'):
            Frame.from_compressed(b'RIFF' + struct.pack('<I', len(data)) + data)
    animated = b'WEBP' + b'VP8X' + struct.pack('<I', 10) + b'\x02\0\0\0' + (9).to_bytes(3, 'little') * 2
    with pytest.raises(FrameError, match=r'10x10 pixels: animations are not supported'):
        Frame.from_compressed(b'RIFF' + struct.pack('<I', len(animated)) + animated)


# --- TIFF ---

COMPRESSIONS = {1: 'none', 5: 'LZW', 8: 'deflate', 32773: 'PackBits', 32946: 'deflate'}


@pytest.mark.parametrize('compression', COMPRESSIONS)
@pytest.mark.parametrize('pixels, encoding', [
    (PHOTO, 'bgr8'), (PHOTO[..., 0], 'mono8'), (WIDE, 'bgr16'), (WIDE[..., 0], 'mono16'), (ALPHA, 'bgra8')])
def test_tiff_of_a_topic(pixels, encoding, compression):
    data = encoded('.tiff', pixels, cv2.IMWRITE_TIFF_COMPRESSION, compression)
    frame = Frame.from_compressed(data, f'{encoding}; tiff compressed {encoding}')
    assert (frame.encoding, frame.width, frame.height) == (encoding, 131, 90)
    np.testing.assert_array_equal(frame.samples(), pixels)


@pytest.mark.parametrize('compression', [1, 8])
def test_damaged_tiff(compression, capfd):
    data = encoded('.tiff', PHOTO, cv2.IMWRITE_TIFF_COMPRESSION, compression, 278, 8)
    for length in (9, len(data) // 2, len(data) - 30):
        with pytest.raises(DamagedImageError, match=r'TIFF image.*(damaged|cut off)'):
            Frame.from_compressed(data[:length])
    if compression == 8:
        changed = bytearray(data)
        changed[len(data) // 3:len(data) // 3 + 40] = bytes(40)
        with pytest.raises(DamagedImageError, match=r'part \d+ of \d+ is damaged'):
            Frame.from_compressed(bytes(changed))
    assert capfd.readouterr().err == ''


def tiff(tags, data=b'', order='<'):
    """Return a TIFF with these tags {number: value}, LONG each, and data at offset 8."""
    directory = struct.pack(f'{order}H', len(tags)) + b''.join(
        struct.pack(f'{order}HHII', tag, 4, 1, value) for tag, value in sorted(tags.items())) + bytes(4)
    start = b'II*\0' if order == '<' else b'MM\0*'
    return start + struct.pack(f'{order}I', 8 + len(data)) + data + directory


GREY = {256: 20, 257: 10, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 10, 279: 200}


@pytest.mark.parametrize('order', ['<', '>'])
def test_tiff_limits(order):
    data = bytes(range(200))
    frame = Frame.from_compressed(tiff(GREY, data, order))
    np.testing.assert_array_equal(frame.view()[0].ravel(), np.arange(200))
    for changed, said in (
            ({256: 30000, 257: 30000}, '30000x30000 pixels: 900000000 pixels, the limit is'),
            ({256: 8000, 257: 8000, 258: 64}, '512000000 bytes when decoded, the limit is 268435456'),
            ({322: 65536, 323: 65536}, 'tile of a compressed TIFF image of 65536x65536'),
            ({279: 199}, 'part 0 of 1 is damaged'), ({273: 9999}, 'cut off after'), ({257: 0}, 'no pixels'),
            ({259: 7}, 'with compression 7 are not supported'), ({259: 34676}, 'compression 34676'),
            ({258: 32}, '1 channels of 32 bits'), ({258: 1}, '1 channels of 1 bits'), ({277: 2}, '2 channels'),
            ({339: 3}, 'are not supported'), ({278: 3}, 'it has 1 of 4 parts')):
        with pytest.raises(FrameError, match=said):
            Frame.from_compressed(tiff({**GREY, **changed}, data, order))
    with pytest.raises(DamagedImageError, match=r'header is damaged'):
        Frame.from_compressed(tiff({258: 8}, data, order))


# --- files ---

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp', '.tiff', '.ppm', '.jp2', '.gif', '.avif', '.sr'])
def test_a_file_of_every_format_is_as_imread_returns_it(suffix):
    data = encoded(suffix, PHOTO)
    np.testing.assert_array_equal(read_file(data).bgr(), imread(data, cv2.IMREAD_COLOR))


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp', '.tiff', '.pgm', '.jp2', '.gif', '.avif', '.sr'])
def test_a_grey_file_of_every_format_is_as_imread_returns_it(suffix):
    grey = encoded(suffix, PHOTO[..., 1])
    frame = read_file(grey)
    assert frame.encoding == 'bgr8'
    np.testing.assert_array_equal(frame.bgr(), imread(grey, cv2.IMREAD_COLOR))


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_files_of_16_bits_keep_them(suffix):
    frame = read_file(encoded(suffix, WIDE))
    assert frame.encoding == 'bgr16'
    np.testing.assert_array_equal(frame.bgr(), np.rint(WIDE / 257.0))
    frame = read_file(encoded(suffix, WIDE >> 4), ImageOptions(significant_bits=12))
    np.testing.assert_array_equal(frame.bgr(), np.rint((WIDE >> 4) * (255 / 4095)))


@pytest.mark.parametrize('suffix', ['.bmp', '.webp', '.ppm', '.pgm', '.pfm', '.hdr', '.jp2', '.gif', '.avif', '.sr'])
def test_the_size_of_a_file_is_checked_before_it_is_decoded(suffix, monkeypatch):
    pixels = PHOTO[..., 0] if suffix == '.pgm' else PHOTO
    data = encoded(suffix, pixels.astype(np.float32) if suffix in ('.pfm', '.hdr') else pixels)
    assert suffix == '.webp' or file_size(data) == (131, 90)
    monkeypatch.setattr(cv2, 'imdecode', None)  # Not called.
    with pytest.raises(FrameError, match=r'131x90 pixels: 11790 pixels, the limit is 11789'):
        read_file(data, ImageOptions(max_pixels=11789))


@pytest.mark.parametrize(
    'data', [b'', b'hello', b'BM', b'P5 99999999999 99999999999', b'P7\nWIDTH', b'GIF89a', bytes(99)])
def test_what_is_not_an_image(data, capfd):
    with pytest.raises(FrameError, match=r'not an image that OpenCV reads, or damaged|the limit is'):
        read_file(data)
    assert capfd.readouterr().err == '' or tuple(map(int, cv2.__version__.split('.')[:2])) < (4, 7)


def test_a_damaged_file_is_read_if_it_is_kept():
    data = encoded('.jpg', PHOTO)
    with pytest.raises(DamagedImageError):
        read_file(data[:len(data) // 2], ImageOptions())
    pytest.importorskip('simplejpeg')
    frame = read_file(data[:len(data) // 2])
    assert 'cut off' in frame.damage
    np.testing.assert_array_equal(frame.bgr()[:16], read_file(data).bgr()[:16])


# --- orientation ---

def exif(value, order='>', kind=3):
    start = b'MM\0*' if order == '>' else b'II*\0'
    stored = struct.pack(f'{order}HH', value, 0) if kind == 3 else struct.pack(f'{order}I', value)
    return start + struct.pack(f'{order}IHHHI', 8, 1, 0x112, kind, 1) + stored + bytes(4)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('value', range(10))
def test_orientation_of_a_jpeg_file_is_as_in_imread(value, order):
    whole = encoded('.jpg', PHOTO)
    data = whole[:2] + jpeg_parts.segment(jpeg_parts.APP1, b'Exif\0\0' + exif(value, order)) + whole[2:]
    expected = imread(data, cv2.IMREAD_COLOR)
    assert expected.shape[:2] == ((131, 90) if 5 <= value <= 8 else (90, 131))
    np.testing.assert_array_equal(read_file(data).bgr(), expected)
    # On a topic the pixels stay as they are stored.
    assert Frame.from_compressed(data).bgr().shape == (90, 131, 3)


def test_orientation_of_a_png_file():
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    header = struct.pack('>IIBBBBB', 3, 2, 8, 0, 0, 0, 0)
    rows = zlib.compress(b''.join(b'\0' + row.tobytes() for row in pixels))
    body = b''.join(
        struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in ((b'IHDR', header), (b'eXIf', exif(6)), (b'IDAT', rows), (b'IEND', b'')))
    frame = read_file(b'\x89PNG\r\n\x1a\n' + body)
    np.testing.assert_array_equal(frame.bgr()[..., 0], [[3, 0], [4, 1], [5, 2]])


def test_what_is_not_exif_data_is_upright():
    for data in (b'', b'MM', b'MM\0*' + bytes(3), exif(6)[:-9], exif(99), b'XX' + exif(6)[2:]):
        assert orientation(data) == 1
    assert orientation(exif(6, kind=4)) == 6
    assert upright(PHOTO, b'') is PHOTO or np.array_equal(upright(PHOTO, b''), PHOTO)


# --- memory of a whole process ---

CHILD = """
import json, sys
import numpy as np
from trt_perception.errors import FrameError
from trt_perception.image.file import frame_of_file
from trt_perception.image.frame import Frame
data = sys.stdin.buffer.read()
said = []
for read in (Frame.from_compressed, lambda data: frame_of_file(np.frombuffer(data, np.uint8))):
    try:
        said.append(str(read(data).bgr().shape))
    except FrameError as error:
        said.append(str(error))
# Not ru_maxrss, which begins with the memory of the parent.
[peak] = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')]
print(json.dumps([*said, int(peak) / 1024]))
"""


def in_a_child(data):
    """Decode as a message and as a file. Return both answers and the peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, '-c', CHILD], input=data, capture_output=True, check=True, cwd=ROOT,
        env=python_environment(), timeout=600)
    assert done.stderr == b''
    return json.loads(done.stdout)


def png_bomb(side):
    rows = zlib.compressobj()
    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    stream = b''.join(rows.compress(bytes(1 + 3 * side)) for _ in range(min(side, 3000))) + rows.flush()
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in ((b'IHDR', header), (b'IDAT', stream), (b'IEND', b'')))


@pytest.mark.parametrize('data, said', [
    (jpeg_parts.hidden_size((64, 48), (24000, 24000), 0xD0), '24000x24000 pixels: 576000000 pixels, the limit is'),
    (jpeg_parts.hidden_size((64, 48), (24000, 24000), 0x01), '24000x24000'),
    (jpeg_parts.grey_progressive(8000, 8000, 400), '21 or more scans'),
    (png_bomb(24000), '24000x24000'), (png_bomb(8190), 'damaged|bytes of pixels'),
    (tiff({**GREY, 256: 24000, 257: 24000}, bytes(200)), '24000x24000')],
    ids=['jpeg D0', 'jpeg 01', 'jpeg scans', 'png size', 'png short', 'tiff'])
def test_a_hostile_image_needs_no_memory(data, said):
    message, file, peak = in_a_child(data)
    for text in (message, file):
        assert any(part in text for part in said.split('|')), text
    assert peak < 700


def test_opencv_has_a_limit_of_its_own():
    """For formats whose size is not known here. It is set before OpenCV is imported."""
    code = (
        'import os, numpy as np\n'
        'from trt_perception.image.opencv import imdecode\n'
        'assert imdecode(np.frombuffer(open(0, "rb").read(), np.uint8)) is None\n'
        'print(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])')
    side = 20000
    bitmap = b'BM' + struct.pack('<IIIIiiHHIIIIII', 99, 0, 54, 40, side, side, 1, 8, 0, 0, 0, 0, 0, 0)
    environment = python_environment()
    environment.pop('OPENCV_IO_MAX_IMAGE_PIXELS', None)
    done = subprocess.run(
        [sys.executable, '-c', code], input=bitmap, capture_output=True, check=True, cwd=ROOT, env=environment,
        timeout=600)
    assert done.stdout.strip() == b'268435456'


def test_the_log_of_opencv_is_silent_only_while_somebody_decodes():
    logging = getattr(cv2.utils, 'logging', cv2)
    level = logging.getLogLevel()
    with quiet:
        with quiet:
            assert logging.getLogLevel() == 0
        assert logging.getLogLevel() == 0
    assert logging.getLogLevel() == level != 0
    with pytest.raises(FrameError):
        read_file(b'no image')
    assert logging.getLogLevel() == level


def test_too_little_memory_is_not_the_end(monkeypatch):
    def empty(*_):
        raise MemoryError
    data = encoded('.jpg', PHOTO)
    pytest.importorskip('simplejpeg')
    monkeypatch.setattr('trt_perception.image.jpeg.np.empty', empty)
    with pytest.raises(FrameError, match=r'too little memory to decode it; set max_image_pixels lower'):
        Frame.from_compressed(data)
