# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import array
import contextlib
import struct
import subprocess
import sys
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_perception.errors import DamagedImageError, FrameError
from trt_perception.image import message as image_message
from trt_perception.image.encodings import ENCODINGS
from trt_perception.image.frame import Frame
from trt_perception.image.message import frame_from_compressed_image, frame_from_image

PACKED = {
    'bgr8': 'bgr', 'rgb8': 'rgb', 'bgra8': 'bgra', 'rgba8': 'rgba', 'mono8': 'mono', '8UC1': 'mono',
    '8UC3': 'bgr', '8UC4': 'bgra'}
PACKED_16 = {
    'mono16': 'mono', '16UC1': 'mono', 'bgr16': 'bgr', 'rgb16': 'rgb', 'bgra16': 'bgra',
    'rgba16': 'rgba'}
BAYER = ('rggb', 'bggr', 'gbrg', 'grbg')
# Offsets of U, first Y, V, second Y in the four bytes of two pixels.
YUV422 = {'yuv422': (0, 1, 2, 3), 'uyvy': (0, 1, 2, 3),
          'yuv422_yuy2': (1, 0, 3, 2), 'yuyv': (1, 0, 3, 2)}
NV = {'nv12': (0, 1), 'nv21': (1, 0)}  # Positions of U and V in a pair.

sizes = st.tuples(st.integers(1, 23), st.integers(1, 17))
paddings = st.integers(0, 9)
seeds = st.integers(0, 2**32 - 1)


def padded(rows, padding, rng, extra=0):
    """Return (step, buffer) of byte rows (H, N) with random bytes after each row."""
    rows = np.ascontiguousarray(rows)
    rows = rows.reshape(len(rows), -1).view(np.uint8)
    filler = rng.integers(0, 256, (len(rows), padding), dtype=np.uint8)
    data = np.hstack([rows, filler]).tobytes() + b'\xa5' * extra
    return rows.shape[1] + padding, data


def to_bgr(pixels, order):
    if order == 'mono':
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.stack([pixels[..., order.index(c)] for c in 'bgr'], axis=2)


def bt601(y, u, v):
    """ITU-R BT.601 limited range to BGR, float; inputs of equal shape; Y below black counts as 16."""
    y, u, v = (np.asarray(p, np.float64) for p in (y, u, v))
    y = (np.maximum(y, 16) - 16) * 255 / 219
    u, v = (u - 128) * 255 / 224, (v - 128) * 255 / 224
    blue = y + 1.772 * u
    green = y - 0.344136 * u - 0.714136 * v
    red = y + 1.402 * v
    return np.clip(np.stack([blue, green, red], axis=-1), 0, 255)


@pytest.mark.parametrize('encoding', PACKED)
@given(size=sizes, padding=paddings, seed=seeds)
@settings(max_examples=40)
def test_packed_8_bit_is_a_view(encoding, size, padding, seed):
    rng = np.random.default_rng(seed)
    order = PACKED[encoding]
    shape = size[::-1] if order == 'mono' else (*size[::-1], len(order))
    expected = rng.integers(0, 256, shape, dtype=np.uint8)
    step, data = padded(expected, padding, rng, extra=3)
    frame = Frame.from_buffer(encoding, *size, step, False, data)
    pixels, found_order = frame.view()
    assert found_order == order
    assert np.shares_memory(pixels, np.frombuffer(data, np.uint8))
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(frame.bgr(), to_bgr(expected, order))


@pytest.mark.parametrize('encoding', PACKED_16)
@given(size=sizes, padding=paddings, big=st.booleans(), seed=seeds)
@settings(max_examples=40)
def test_16_bit_is_scaled_over_the_full_range(encoding, size, padding, big, seed):
    rng = np.random.default_rng(seed)
    order = PACKED_16[encoding]
    shape = size[::-1] if order == 'mono' else (*size[::-1], len(order))
    samples = rng.integers(0, 65536, shape, dtype=np.uint16)
    samples.flat[0] = 65535
    step, data = padded(samples.astype('>u2' if big else '<u2'), padding, rng)
    pixels, found_order = Frame.from_buffer(encoding, *size, step, big, data).view()
    assert (found_order, pixels.dtype, pixels.flat[0]) == (order, np.uint8, 255)
    np.testing.assert_array_equal(pixels, np.rint(samples / 257.0))


def test_every_encoding_is_compared_with_its_definition():
    bayer = {f'bayer_{pattern}{bits}' for pattern in BAYER for bits in (8, 16)}
    assert set(ENCODINGS) == {*PACKED, *PACKED_16, *bayer, *YUV422, *NV}


def test_16_bit_scaling_is_right_for_every_value():
    samples = np.arange(65536, dtype='<u2').reshape(256, 256)
    pixels, _ = Frame.from_buffer('mono16', 256, 256, 512, False, samples.tobytes()).view()
    np.testing.assert_array_equal(pixels, np.rint(samples / 257.0))


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', BAYER)
@given(size=st.tuples(st.integers(2, 21), st.integers(2, 21)), padding=paddings,
       color=st.tuples(*[st.integers(0, 255)] * 3), big=st.booleans())
@settings(max_examples=30)
def test_bayer_of_one_colour_gives_that_colour(pattern, bits, size, padding, color, big):
    # ROS's definition of the pattern: its letters are the pixels (0,0), (0,1), (1,0), (1,1).
    width, height = size
    tile = np.array([color['bgr'.index(c)] for c in pattern]).reshape(2, 2)
    mosaic = np.tile(tile, (height, width))[:height, :width]
    scale, dtype = (257, '>u2' if big else '<u2') if bits == 16 else (1, 'u1')
    mosaic = (mosaic * scale).astype(dtype)
    step, data = padded(mosaic, padding, np.random.default_rng(0))
    frame = Frame.from_buffer(f'bayer_{pattern}{bits}', width, height, step, big, data)
    np.testing.assert_array_equal(frame.bgr(), np.broadcast_to(color, (height, width, 3)))


def test_bayer_of_a_single_row_or_column_keeps_its_shape():
    for width, height in ((1, 1), (1, 6), (6, 1)):
        frame = Frame.from_buffer('bayer_rggb8', width, height, width, False, b'\x40' * 6)
        np.testing.assert_array_equal(frame.bgr(), np.full((height, width, 3), 0x40))


def test_bayer_keeps_the_picture_in_place():
    # A bright square on black: interpolation may soften its edge, but not move it.
    truth = np.zeros((20, 24, 3), np.uint8)
    truth[6:14, 8:18] = 255
    mosaic = truth[..., 0].copy()
    pixels = Frame.from_buffer('bayer_grbg8', 24, 20, 24, False, mosaic.tobytes()).bgr()
    assert (pixels[7:13, 9:17] == 255).all()
    assert (pixels[:5] == 0).all() and (pixels[15:] == 0).all()
    assert (pixels[:, :7] == 0).all() and (pixels[:, 19:] == 0).all()


@pytest.mark.parametrize('encoding', YUV422)
@given(size=sizes, padding=paddings, seed=seeds)
@settings(max_examples=40)
def test_yuv422(encoding, size, padding, seed):
    rng = np.random.default_rng(seed)
    width, height = size
    pairs = (width + 1) // 2
    macro = rng.integers(0, 256, (height, pairs, 4), dtype=np.uint8)
    step, data = padded(macro, padding, rng)
    u, y0, v, y1 = YUV422[encoding]
    expected = np.empty((height, 2 * pairs, 3))
    for offset, y in ((0, y0), (1, y1)):
        expected[:, offset::2] = bt601(macro[..., y], macro[..., u], macro[..., v])
    pixels = Frame.from_buffer(encoding, width, height, step, False, data).bgr()
    np.testing.assert_allclose(pixels, expected[:, :width], atol=2)


@pytest.mark.parametrize('encoding', ['uyvy', 'yuyv'])
def test_yuv422_of_odd_width_with_a_tight_step(encoding):
    # 3 pixels in 6 bytes: the last V is missing and is copied from the pair to the left.
    u, y0, v, y1 = YUV422[encoding]
    row = np.zeros(8, np.uint8)
    row[[u, y0, v, y1]] = 90, 100, 200, 150
    row[[4 + u, 4 + y0, 4 + v]] = 60, 180, 200
    pixels = Frame.from_buffer(encoding, 3, 2, 6, False, row[:6].tobytes() * 2).bgr()
    expected = bt601([100, 150, 180], [90, 90, 60], [200, 200, 200])
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, (2, 3, 3)), atol=2)
    single = Frame.from_buffer(encoding, 1, 1, 2, False, row[:2].tobytes()).bgr()
    np.testing.assert_allclose(single[0, 0], bt601(100, 90, 128), atol=2)


@pytest.mark.parametrize('encoding', NV)
@given(size=sizes, padding=paddings, seed=seeds)
@settings(max_examples=40)
def test_nv12_and_nv21(encoding, size, padding, seed):
    rng = np.random.default_rng(seed)
    width, height = size
    pairs, chroma_rows = (width + 1) // 2, (height + 1) // 2
    luma = rng.integers(0, 256, (height, 2 * pairs), dtype=np.uint8)
    chroma = rng.integers(0, 256, (chroma_rows, pairs, 2), dtype=np.uint8)
    step, data = padded(np.vstack([luma, chroma.reshape(chroma_rows, -1)]), padding, rng)
    u, v = (chroma[..., i].repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
            for i in NV[encoding])
    frame = Frame.from_buffer(encoding, width, height, step, False, data)
    assert (frame.width, frame.height) == (width, height)
    np.testing.assert_allclose(frame.bgr(), bt601(luma[:, :width], u, v), atol=2)


@pytest.mark.parametrize('encoding', sorted(set(ENCODINGS) - {'nv12', 'nv21'}))
def test_agrees_with_rosbags_image(encoding):
    image = pytest.importorskip('rosbags.image')
    rng = np.random.default_rng(7)
    layout = ENCODINGS[encoding]
    width, height = 32, 24
    step = layout.row_bytes(width)
    data = rng.integers(0, 256, step * height, dtype=np.uint8)
    message = SimpleNamespace(encoding=encoding, width=width, height=height, step=step,
                              is_bigendian=0, data=data)
    if encoding[0] in '18':  # rosbags-image has no colours for generic types.
        stored = image.image_to_cvimage(message)
        order = {1: 'mono', 3: 'bgr', 4: 'bgra'}[layout.channels]
        expected = to_bgr(np.rint(stored / (257.0 if stored.dtype == np.uint16 else 1)), order)
    else:
        expected = image.image_to_cvimage(message, 'bgr8').astype(float)
    # rosbags-image demosaics at 16 bits and truncates instead of rounding.
    np.testing.assert_allclose(
        frame_from_image(message).bgr(), expected, atol=1.5 if '16' in encoding else 0)


@pytest.mark.parametrize('encoding', NV)
def test_nv_agrees_with_rosbags_image(encoding):
    image = pytest.importorskip('rosbags.image')
    data = np.random.default_rng(8).integers(0, 256, 32 * 24, dtype=np.uint8)
    # Height in rosbags-image: the rows of both planes. In sensor_msgs: the rows of the luma.
    rows = SimpleNamespace(encoding=encoding, width=32, height=24, step=32, is_bigendian=0,
                           data=data)
    found = Frame.from_buffer(encoding, 32, 16, 32, False, data).bgr()
    np.testing.assert_array_equal(found, image.image_to_cvimage(rows, 'bgr8'))


@pytest.mark.parametrize('wrap', [bytes, bytearray, memoryview, lambda b: array.array('B', b),
                                  lambda b: np.frombuffer(b, np.uint8)])
def test_buffers_are_shared(wrap):
    buffer = wrap(bytes(range(24)))
    frame = Frame.from_buffer('bgr8', 4, 2, 12, False, buffer)
    assert np.shares_memory(frame.data, np.frombuffer(buffer, np.uint8))
    assert np.shares_memory(frame.bgr(), frame.data)
    assert frame.bgr()[1, 0].tolist() == [12, 13, 14]


def test_from_bgr():
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    frame = Frame.from_bgr(pixels)
    assert (frame.encoding, frame.width, frame.height, frame.step) == ('bgr8', 6, 4, 18)
    assert np.shares_memory(frame.bgr(), pixels)
    np.testing.assert_array_equal(Frame.from_bgr(pixels[:, ::2]).bgr(), pixels[:, ::2])
    for wrong in (pixels[..., 0], pixels.astype(np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(FrameError):
            Frame.from_bgr(wrong)


@pytest.mark.parametrize('arguments, message', [
    (('bgr8', 0, 0, 0, b''), '0x0 pixels: it has no pixels'),
    (('bgr8', 4, 0, 12, b''), '4x0 pixels'),
    (('mono8', 0, 4, 4, bytes(16)), '0x4 pixels'),
    (('bgr8', 4, 3, 11, bytes(99)), 'step is 11 bytes, but a row of 4 pixels takes 12'),
    (('bgr8', 4, 3, 16, bytes(47)), r'data has 47 bytes, but step 16 x 3 rows = 48'),
    (('bgr8', 4, 3, 16, bytes(44)), r'data has 44 bytes'),  # All but the last row's padding.
    (('mono16', 4, 3, 7, bytes(99)), 'step is 7 bytes, but a row of 4 pixels takes 8'),
    (('yuyv', 5, 1, 9, bytes(99)), 'step is 9 bytes, but a row of 5 pixels takes 10'),
    (('nv12', 4, 4, 4, bytes(16)), r'16 bytes, but step 4 x 6 rows \(height 4 counts only luma rows'),
    (('nv12', 5, 4, 5, bytes(99)), 'a row of 5 pixels takes 6'),
    (('mono8', 8192, 8193, 8192, b''), 'the limit is 67108864 '),
    (('mono8', 2**32 - 1, 2**32 - 1, 2**32 - 1, b''), 'the limit is 67108864 '),
    (('bgr8', 4, 3, 12, 'text'), 'byte buffer, found str'),
    (('bgr8', 4, 3, 12, np.zeros((6, 12), np.uint8)[:, ::2]), 'contiguous'),
    (('32FC1', 4, 3, 16, bytes(48)), "'32FC1' is not supported; supported: .*bgr8.*mono16"),
    (('', 4, 3, 12, bytes(36)), "'' is not supported"),
])
def test_malformed_images_name_the_numbers(arguments, message):
    *fields, data = arguments
    with pytest.raises(FrameError, match=message):
        Frame.from_buffer(*fields, False, data)


def test_largest_size_is_accepted():
    data = np.zeros(8192 * 8192, np.uint8)  # Untouched pages need only address space.
    assert Frame.from_buffer('mono8', 8192, 8192, 8192, False, data).view()[0].shape[0] == 8192


def test_needs_no_opencv_to_import_or_view():
    code = (
        'import sys; sys.modules["cv2"] = None\n'
        'from trt_perception.image.frame import Frame\n'
        'assert Frame.from_buffer("rgb8", 1, 1, 3, 0, b"abc").view()[0].tolist() == [[[97,98,99]]]')
    subprocess.run([sys.executable, '-c', code], check=True)


# --- compressed images ---

def photo(channels=3, dtype=np.uint8):
    y, x = np.mgrid[:48, :64]
    planes = [x * 4, y * 5, (x + y) * 2, 255 - x * 2][:channels]
    pixels = np.stack(planes, axis=2).astype(dtype)
    return (pixels * 257 if dtype == np.uint16 else pixels).squeeze()


def encode(suffix, pixels, parameters=()):
    ok, data = cv2.imencode(suffix, pixels, list(parameters))
    assert ok
    return data.tobytes()


@pytest.mark.parametrize('channels, dtype, encoding', [
    (1, np.uint8, 'mono8'), (3, np.uint8, 'bgr8'), (4, np.uint8, 'bgra8'),
    (1, np.uint16, 'mono16'), (3, np.uint16, 'bgr16'), (4, np.uint16, 'bgra16')])
@pytest.mark.parametrize('hint', ['png', '', 'jpeg'])  # The data decides, not a wrong hint.
def test_png_is_lossless(channels, dtype, encoding, hint):
    pixels = photo(channels, dtype)
    frame = Frame.from_compressed(encode('.png', pixels), hint)
    assert (frame.encoding, frame.width, frame.height) == (encoding, 64, 48)
    order = {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels]
    np.testing.assert_array_equal(frame.bgr(), to_bgr(photo(channels), order))


@pytest.mark.parametrize('hint', ['jpeg', 'jpg', '', 'bgr8; jpeg compressed bgr8',
                                  'rgb8; jpeg compressed bgr8', 'rgb8; jpeg compressed '])
def test_jpeg(hint):
    frame = Frame.from_compressed(
        array.array('B', encode('.jpg', photo(), (cv2.IMWRITE_JPEG_QUALITY, 98))), hint)
    assert frame.encoding == 'bgr8'
    np.testing.assert_allclose(frame.bgr(), photo(), atol=12)
    grey = Frame.from_compressed(encode('.jpg', photo(1)), 'mono8; jpeg compressed mono8')
    assert grey.encoding == 'mono8'
    np.testing.assert_allclose(grey.view()[0], photo(1), atol=12)


@pytest.mark.parametrize('hint, dtype', [
    ('rgb8; jpeg compressed rgb8', np.uint8), ('bgr8; png compressed rgb8', np.uint8),
    ('rgb16; png compressed rgb16', np.uint16)])
def test_red_and_blue_exchanged_by_the_sender(hint, dtype):
    stored = photo(3, dtype)[..., ::-1]  # RGB given to an encoder that expects BGR.
    frame = Frame.from_compressed(encode('.png', stored), hint)
    assert frame.encoding == hint.split()[-1]
    np.testing.assert_array_equal(frame.bgr(), photo())


def test_png_of_a_bayer_mosaic():
    mosaic = np.tile(np.array([[200, 100], [100, 50]], np.uint8), (8, 8))
    frame = Frame.from_compressed(encode('.png', mosaic), 'bayer_rggb8; png compressed ')
    assert frame.encoding == 'bayer_rggb8'
    assert np.unique(frame.bgr().reshape(-1, 3), axis=0).tolist() == [[50, 100, 200]]
    # A JPEG is grey, because the sender demosaics first.
    grey = Frame.from_compressed(encode('.jpg', mosaic), 'bayer_rggb8; jpeg compressed mono8')
    assert grey.encoding == 'mono8'


def with_exif_orientation(jpeg, orientation):
    tiff = b'MM\0*' + struct.pack('>IHHHIHHI', 8, 1, 0x112, 3, 1, orientation, 0, 0)
    body = b'Exif\0\0' + tiff
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:]


def test_exif_orientation_is_ignored():
    data = with_exif_orientation(encode('.jpg', photo()), 6)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3)
    assert Frame.from_compressed(data, 'jpeg').bgr().shape == (48, 64, 3)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_cut_off_data_is_refused(suffix):
    data = encode(suffix, photo())
    for length in (8, 12, 30, len(data) // 2, len(data) - 20):
        with pytest.raises(DamagedImageError, match='cut off'):
            Frame.from_compressed(data[:length])
    assert Frame.from_compressed(data + b'\0' * 100).width == 64  # Padding of a transfer buffer.


def test_a_thumbnail_does_not_hide_that_a_jpeg_is_cut_off():
    whole = encode('.jpg', photo())
    exif = b'Exif\0\0' + encode('.jpg', photo()[:8, :8])
    data = whole[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + whole[2:]
    assert Frame.from_compressed(data).width == 64
    with pytest.raises(FrameError, match='64x48 pixels: the data is damaged or cut off'):
        Frame.from_compressed(data[:-20])


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_damaged_data_never_does_worse_than_a_frame_error(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(encode(('.png', '.jpg')[seed % 2], photo()))
    for position in rng.integers(0, len(data), 5):
        data[position] = rng.integers(0, 256)
    with contextlib.suppress(FrameError):
        assert Frame.from_compressed(data).bgr().ndim == 3


def png_chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def test_decompression_bombs_are_refused_by_their_header():
    png = (b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 0, 0,
                                                                  0, 0))
           + png_chunk(b'IDAT', zlib.compress(bytes(30000 * 3000))) + png_chunk(b'IEND', b''))
    jpeg = bytearray(encode('.jpg', photo()))
    at = jpeg.index(b'\xff\xc0')
    jpeg[at + 5:at + 9] = struct.pack('>HH', 65500, 65500)
    for data, size in ((png, '30000x30000'), (jpeg, '65500x65500')):
        with pytest.raises(FrameError, match=f'{size} pixels: .* limit is 67108864'):
            Frame.from_compressed(data)


@pytest.mark.parametrize('data, hint, message', [
    (b'', 'jpeg', "'jpeg': the data is empty"),
    (b'hello world', 'jpeg', 'expected JPEG, PNG, WebP or TIFF data, found 11 bytes that begin with 68 65'),
    (bytes(100), 'h264', "'h264': H.264 video is not supported"),
    (bytes(100), 'jxl', "'jxl': expected JPEG, PNG, WebP or TIFF data"),
    (b'\x89PNG\r\n\x1a\n' + bytes(40), '', 'header is damaged'),
    (b'\xff\xd8\xff\xe0', '', 'header is damaged'),
    (encode('.png', photo(1, np.uint16)), '16UC1; compressedDepth png', 'depth images are not'),
])
def test_other_data_is_refused(data, hint, message):
    with pytest.raises(FrameError, match=message):
        Frame.from_compressed(data, hint)


# --- messages ---

def test_messages():
    data = array.array('B', bytes(range(12)))
    image = SimpleNamespace(encoding='rgb8', width=2, height=2, step=6, is_bigendian=0, data=data)
    assert frame_from_image(image).bgr()[0, 0].tolist() == [2, 1, 0]
    compressed = SimpleNamespace(format='png', data=array.array('B', encode('.png', photo())))
    np.testing.assert_array_equal(frame_from_compressed_image(compressed).bgr(), photo())


def test_messages_of_other_encodings_need_cv_bridge():
    image = SimpleNamespace(encoding='32FC1', width=2, height=2, step=8, is_bigendian=0,
                            data=array.array('B', bytes(16)))
    # Depth is not a colour: cv_bridge does not convert it either.
    with pytest.raises(FrameError, match=r"'32FC1' is not supported; supported: .*cv_bridge"):
        frame_from_image(image)


@pytest.mark.parametrize('numpy, built_with, crashes', [
    ('2.2.6', 'numpy.core._multiarray_umath', True), ('2.2.6', 'numpy._core._multiarray_umath', False),
    ('1.26.4', 'numpy.core._multiarray_umath', False), ('1.26.4', 'numpy._core._multiarray_umath', False)])
def test_cv_bridge_is_not_touched_where_it_would_crash(monkeypatch, tmp_path, numpy, built_with, crashes):
    boost = tmp_path / 'cv_bridge' / 'boost'
    boost.mkdir(parents=True)
    (boost / 'cv_bridge_boost.cpython-312-x86_64-linux-gnu.so').write_bytes(b'\0' + built_with.encode() + b'\0')
    (tmp_path / 'cv_bridge' / '__init__.py').write_text("raise ImportError('it was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    monkeypatch.setattr(np, '__version__', numpy)
    bridge, reason = image_message.load_cv_bridge.__wrapped__()
    assert bridge is None
    assert reason.startswith(
        'was built for NumPy 1 and crashes with NumPy 2' if crashes else 'cannot be imported: it was imported')


def test_a_library_of_cv_bridge_that_cannot_be_read(monkeypatch, tmp_path):
    boost = tmp_path / 'cv_bridge' / 'boost'
    boost.mkdir(parents=True)
    (boost / 'cv_bridge_boost.so').symlink_to(tmp_path / 'gone.so')
    (tmp_path / 'cv_bridge' / '__init__.py').touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    monkeypatch.setattr(np, '__version__', '2.2.6')
    bridge, reason = image_message.load_cv_bridge.__wrapped__()
    assert bridge is None
    assert reason.startswith('cannot be imported: ') and 'cv_bridge_boost.so' in reason


class RoundingBridge:
    """Reads rows like cv_bridge's core.py: the step is rounded down to whole pixels, without a check."""

    def encoding_to_dtype_with_channels(self, encoding):
        return 'uint8', 3

    def imgmsg_to_cv2(self, message, desired_encoding):
        pixels = np.ndarray((message.height, message.step // 3, 3), np.uint8, message.data)
        return np.ascontiguousarray(pixels[:, :message.width])


@pytest.mark.parametrize('step, said', [
    (6, ''), (9, ''), (3, 'step is 3 bytes'), (0, 'step is 0'),
    (8, 'step is 8 bytes, but a row of 2 pixels takes at least 6, and step must be a multiple of 3')])
def test_steps_that_cv_bridge_misreads_are_refused(monkeypatch, step, said):
    monkeypatch.setattr(image_message, 'load_cv_bridge', lambda: (RoundingBridge(), ''))
    rows = np.full((2, step), 99, np.uint8)
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    rows[:, :6] = pixels.reshape(2, 6)[:, :step]
    image = SimpleNamespace(encoding='of_later', width=2, height=2, step=step, is_bigendian=0,
                            data=array.array('B', rows.tobytes()))
    if said:
        with pytest.raises(FrameError, match=f'2x2 of_later image: {said}'):
            frame_from_image(image)
    else:
        np.testing.assert_array_equal(frame_from_image(image).bgr(), pixels)


@pytest.mark.parametrize('encoding', ['bgr8', 'rgba8', 'mono8', 'bayer_gbrg8'])
def test_cv_bridge_gives_the_same_pixels(encoding):
    bridge, reason = image_message.load_cv_bridge()
    if bridge is None:
        pytest.skip(f'cv_bridge {reason}')
    sensor_msgs = pytest.importorskip('sensor_msgs.msg')
    step = ENCODINGS[encoding].row_bytes(16)
    data = np.random.default_rng(3).integers(0, 256, step * 12, dtype=np.uint8).tobytes()
    image = sensor_msgs.Image(encoding=encoding, width=16, height=12, step=step,
                              data=array.array('B', data))
    through_bridge = bridge.imgmsg_to_cv2(image, desired_encoding='bgr8')
    np.testing.assert_array_equal(frame_from_image(image).bgr(), through_bridge)
