# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""PNG: the same pixels as OpenCV for every kind, every kind of damage, and no line on stderr."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from trt_perception.errors import DamagedImageError, FrameError
from trt_perception.image.options import KEEP, ImageOptions
from trt_perception.image.png import decode_png

PHOTOS = Path(__file__).resolve().parents[1] / 'data' / 'photos'
KEEP_DAMAGED = ImageOptions(damaged=KEEP)
SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Colour type -> samples per pixel; first column and row, steps of columns and rows of the passes of Adam7.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
KINDS = [
    *((0, bits) for bits in (1, 2, 4, 8, 16)), (2, 8), (2, 16), *((3, bits) for bits in (1, 2, 4, 8)), (4, 8), (4, 16),
    (6, 8), (6, 16)]


def chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def png(width, height, colour_type, bits, stream, before=b'', interlace=0):
    header = struct.pack('>IIBBBBB', width, height, bits, colour_type, 0, 0, interlace)
    return SIGNATURE + chunk(b'IHDR', header) + before + chunk(b'IDAT', stream) + chunk(b'IEND', b'')


def random_rows(rng, width, height, bits):
    """Return rows with random filters and bytes."""
    row = -(-width * bits // 8)
    return b''.join(
        bytes([rng.integers(0, 5)]) + rng.integers(0, 256, row, dtype=np.uint8).tobytes() for _ in range(height))


def opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize('interlace', [0, 1])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('size', [(1, 1), (7, 5), (33, 20), (3, 9)])
def test_every_kind(kind, size, interlace):
    colour_type, bits = kind
    width, height = size
    rng = np.random.default_rng(width * bits + interlace)
    per_pixel = bits * SAMPLES[colour_type]
    if interlace:
        rows = b''.join(
            random_rows(rng, -(-(width - x) // across), -(-(height - y) // down), per_pixel)
            for x, y, across, down in ADAM7 if width > x and height > y)
    else:
        rows = random_rows(rng, width, height, per_pixel)
    palette = chunk(b'PLTE', rng.integers(0, 256, 3 << bits, dtype=np.uint8).tobytes()) if colour_type == 3 else b''
    transparencies = {0: b'\0\1', 2: b'\0\1\0\2\0\3', 3: b'\x63'}
    for transparency in (b'', transparencies.get(colour_type, b'')):
        extra = palette + (chunk(b'tRNS', transparency) if transparency else b'')
        data = png(width, height, colour_type, bits, zlib.compress(rows), extra, interlace)
        expected, found = opencv(data), decode_png(data, ImageOptions())
        assert found.damage == '' and found.pixels.dtype == expected.dtype
        np.testing.assert_array_equal(found.pixels, expected)


def test_many_chunks_of_image_data():
    pixels = cv2.imread(str(PHOTOS / 'coffee.jpg'))
    whole = cv2.imencode('.png', pixels)[1].tobytes()
    at = whole.index(b'IDAT') - 4
    stream = b''
    while whole[at + 4:at + 8] == b'IDAT':
        length = int.from_bytes(whole[at:at + 4], 'big')
        stream += whole[at + 8:at + 8 + length]
        at += length + 12
    chunks = b''.join(chunk(b'IDAT', stream[place:place + 997]) for place in range(0, len(stream), 997))
    height, width = pixels.shape[:2]
    data = SIGNATURE + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) + chunks
    # The end chunk is missing, too: the data before it is complete.
    np.testing.assert_array_equal(decode_png(data, ImageOptions()).pixels, pixels)


WIDTH, HEIGHT = 40, 30
ROW = 1 + 3 * WIDTH
ROWS = random_rows(np.random.default_rng(0), WIDTH, HEIGHT, 24)
WHOLE = png(WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS))


def with_flipped_bit(data, place):
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1:]


UNUSUAL = {
    'no end chunk': WHOLE[:-12],
    'half an end chunk': WHOLE[:-5],
    'padding behind it': WHOLE + bytes(500),
    'more data than the image needs': png(WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS + b'more')),
    'a wrong checksum of a text': png(
        WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS), with_flipped_bit(chunk(b'tEXt', b'Author\0nobody'), 12)),
    'a wrong colour profile': png(
        WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS), chunk(b'iCCP', b'icc\0\0' + zlib.compress(b'x' * 300))),
    'a colour profile that explodes': png(
        WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS), chunk(b'iCCP', b'icc\0\0' + zlib.compress(bytes(10**8)))),
    'texts that explode': png(
        WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS), chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(10**8)))
        + chunk(b'iTXt', b'a\0\1\0\0\0' + zlib.compress(bytes(10**8)))),
    'a wrong transparency': png(WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS), chunk(b'tRNS', b'ab')),
    'a wrong gamma, twice': png(WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS), chunk(b'gAMA', bytes(4)) * 2),
}


@pytest.mark.parametrize('data', UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_but_complete(data, capfd):
    found = decode_png(data, ImageOptions())
    assert capfd.readouterr().err == ''
    assert found.damage == ''
    np.testing.assert_array_equal(found.pixels, opencv(WHOLE))


def wrong_filter():
    rows = bytearray(ROWS)
    rows[20 * ROW] = 7
    return png(WIDTH, HEIGHT, 2, 8, zlib.compress(bytes(rows)))


def wrong_stream():
    """Return a PNG with right checksums of its chunks, whose stream has a block of an unknown type in the middle."""
    deflate = zlib.compressobj()
    half = deflate.compress(ROWS[:15 * ROW]) + deflate.flush(zlib.Z_FULL_FLUSH)
    return png(WIDTH, HEIGHT, 2, 8, half + b'\x07' + bytes(50))


STREAM_LENGTH = len(zlib.compress(ROWS))
DAMAGED = {
    'cut off': (WHOLE[:len(WHOLE) // 2], 'cut off after'),
    'cut off in the checksum of the stream': (WHOLE[:-20], 'cut off after'),
    'a flipped bit': (with_flipped_bit(WHOLE, len(WHOLE) // 2), 'checksum of a chunk IDAT is wrong'),
    'a flipped bit of a checksum': (with_flipped_bit(WHOLE, len(WHOLE) - 14), 'checksum of a chunk IDAT is wrong'),
    'rows are missing': (png(WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS[:15 * ROW])), '1815 of 3630 bytes of pixels'),
    'a wrong stream': (wrong_stream(), 'the data is damaged: invalid block type'),
    'a wrong checksum of the stream': (
        png(WIDTH, HEIGHT, 2, 8, with_flipped_bit(zlib.compress(ROWS), STREAM_LENGTH - 1)), 'incorrect data check'),
    'an unknown filter': (wrong_filter(), 'filter of a row is unknown'),
}


@pytest.mark.parametrize('data, said', DAMAGED.values(), ids=DAMAGED)
def test_damage_is_noticed_and_the_rows_before_it_can_be_kept(data, said, capfd):
    with pytest.raises(DamagedImageError, match=f'PNG image of 40x30 pixels: .*{said}') as caught:
        decode_png(data, ImageOptions())
    found = decode_png(data, KEEP_DAMAGED)
    assert capfd.readouterr().err == ''
    assert found.damage == str(caught.value)
    assert found.pixels.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(found.pixels[:10], opencv(WHOLE)[:10])


def test_the_missing_rows_are_black():
    found = decode_png(png(WIDTH, HEIGHT, 2, 8, zlib.compress(ROWS[:15 * ROW])), KEEP_DAMAGED)
    assert found.pixels[14].any() and not found.pixels[15:].any()


@pytest.mark.parametrize('data', [
    SIGNATURE, SIGNATURE + bytes(40), SIGNATURE + chunk(b'IHDR', bytes(13)), WHOLE[:33], WHOLE[:45],
    with_flipped_bit(WHOLE, 19), png(4, 4, 5, 8, b''), png(4, 4, 2, 4, b''), png(4, 4, 2, 8, b'', interlace=2),
    png(4, 4, 3, 8, zlib.compress(bytes(20))), png(4, 4, 3, 8, zlib.compress(bytes(20)), chunk(b'PLTE', b'abcd')),
    png(4, 4, 2, 8, b'no stream'), png(2**31, 1, 2, 8, b'')])
def test_nothing_to_keep(data, capfd):
    for options in (ImageOptions(), KEEP_DAMAGED):
        with pytest.raises(FrameError):
            decode_png(data, options)
    assert capfd.readouterr().err == ''


def test_pixels_beyond_the_palette_are_black(capfd):
    data = png(4, 1, 3, 8, zlib.compress(bytes([0, 0, 1, 2, 200])), chunk(b'PLTE', bytes(range(10, 19))))
    np.testing.assert_array_equal(
        decode_png(data, ImageOptions()).pixels[0], [[12, 11, 10], [15, 14, 13], [18, 17, 16], [0, 0, 0]])
    assert capfd.readouterr().err == ''


def test_sizes_are_checked_first():
    with pytest.raises(FrameError, match=r'30000x30000 pixels: 900000000 pixels, the limit is 67108864'):
        decode_png(png(30000, 30000, 0, 8, b''), KEEP_DAMAGED)
    with pytest.raises(FrameError, match=r'0x5 pixels: it has no pixels'):
        decode_png(png(0, 5, 0, 8, b''), KEEP_DAMAGED)
    assert decode_png(WHOLE, ImageOptions(max_pixels=1200)).pixels.shape == (30, 40, 3)
    with pytest.raises(FrameError, match=r'the limit is 1199 \(max_image_pixels\)'):
        decode_png(WHOLE, ImageOptions(max_pixels=1199))


def test_bytes_are_limited_too():
    """16 bits and four channels: twice as many bytes as an image of the same size with 8 bits can have."""
    rows = zlib.compress(bytes(30 * (1 + 8 * 40)))
    assert decode_png(png(40, 30, 6, 16, rows), ImageOptions(max_pixels=2400)).pixels.shape == (30, 40, 4)
    with pytest.raises(FrameError, match=r'40x30 pixels: 9600 bytes when decoded, the limit is 9596 '):
        decode_png(png(40, 30, 6, 16, rows), ImageOptions(max_pixels=2399))


def test_no_more_is_inflated_than_the_image_needs():
    """300 MB of zeros in a stream of 300 kB: the memory would show it."""
    import tracemalloc

    data = png(WIDTH, HEIGHT, 2, 8, zlib.compress(bytes(3 * 10**8)))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedImageError, match='checksum at the end of the data is missing'):
            decode_png(data, ImageOptions())
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
