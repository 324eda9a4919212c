# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""JPEG: the same pixels as OpenCV, every kind of damage, and no line on stderr."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import jpeg_parts as parts

from trt_perception.errors import DamagedImageError, FrameError
from trt_perception.image.frame import Frame
from trt_perception.image.jpeg import decode_jpeg, jpeg_decoder
from trt_perception.image.jpeg_file import read_jpeg
from trt_perception.image.options import KEEP, ImageOptions
from trt_perception.image.size import MAX_PIXELS

simplejpeg = pytest.importorskip('simplejpeg')
PHOTOS = Path(__file__).resolve().parents[1] / 'data' / 'photos'
KEEP_DAMAGED = ImageOptions(damaged=KEEP)


def opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope='module')
def photo():
    return cv2.imread(str(PHOTOS / 'astronaut.jpg'))


@pytest.fixture(scope='module')
def jpeg(photo):
    return encoded(photo)


def encoded(pixels, *parameters):
    return cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 90, *parameters])[1].tobytes()


def same_as_opencv(data):
    found = decode_jpeg(data, ImageOptions())
    assert found.damage == ''
    np.testing.assert_array_equal(found.pixels, opencv(data))
    return found


# --- the same pixels ---

@pytest.mark.parametrize('name', ['astronaut', 'chelsea', 'coffee', 'rocket'])
def test_the_photos(name):
    same_as_opencv((PHOTOS / f'{name}.jpg').read_bytes())


@pytest.mark.parametrize('size', [(1, 1), (7, 3), (16, 8), (17, 33), (639, 479)])
@pytest.mark.parametrize('subsampling', ['444', '422', '420', '440', '411'])
def test_every_subsampling_and_odd_sizes(photo, size, subsampling):
    pixels = np.ascontiguousarray(cv2.resize(photo, size))
    same_as_opencv(simplejpeg.encode_jpeg(pixels, 90, 'BGR', subsampling))


@pytest.mark.parametrize('parameters', [
    (), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 5), (cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    (cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 3)])
@pytest.mark.parametrize('grey', [False, True])
def test_kinds_of_encoding(photo, parameters, grey):
    same_as_opencv(encoded(photo[..., 0] if grey else photo, *parameters))


def test_cmyk(photo):
    cmyk = np.dstack([255 - photo, photo[..., 0]])
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(cmyk), 90, 'CMYK', '444')
    assert same_as_opencv(data).pixels.shape == photo.shape
    with_known_transform = data.index(b'Adobe') + 11
    assert data[with_known_transform] == 2


@pytest.mark.parametrize('sampling', [0x42, 0x31, 0x13, 0x24])
def test_a_rare_subsampling(photo, sampling):
    """The data is that of another subsampling: too much of it, so all pixels are decoded."""
    head, scan, data = parts.split(simplejpeg.encode_jpeg(photo, 90, 'BGR', '444'))
    at = next(index for index, piece in enumerate(head) if piece[1] == parts.SOF0)
    head[at] = head[at][:11] + bytes([sampling]) + head[at][12:]
    changed = parts.joined(head, scan, data)
    np.testing.assert_array_equal(decode_jpeg(changed, KEEP_DAMAGED).pixels, opencv(changed))


@pytest.mark.parametrize('identifiers', [b'RGB', b'\0\1\2'])
@pytest.mark.parametrize('jfif', [False, True])
def test_component_identifiers_and_colour_spaces(photo, identifiers, jfif):
    head, scan, data = parts.split(simplejpeg.encode_jpeg(photo, 90, 'BGR', '444'))
    head = [bytearray(piece) for piece in head if jfif or piece[1] != parts.APP0]
    scan = bytearray(scan)
    for index, identifier in enumerate(identifiers):
        next(piece for piece in head if piece[1] == parts.SOF0)[10 + 3 * index] = identifier
        scan[5 + 2 * index] = identifier
    same_as_opencv(parts.joined(map(bytes, head), bytes(scan), data))


def test_rgb_by_the_adobe_segment(photo):
    head, scan, data = parts.split(simplejpeg.encode_jpeg(photo, 90, 'BGR', '444'))
    adobe = parts.segment(parts.APP14, b'Adobe\0\x64\0\0\0\0\0')
    same_as_opencv(parts.joined([adobe, *(piece for piece in head if piece[1] != parts.APP0)], scan, data))


# --- unusual, but complete ---

def without_end(jpeg):
    return jpeg[:-2]


def padded_with_zeros(jpeg):
    return jpeg + bytes(1000)


def padded_with_garbage(jpeg):
    return jpeg + bytes(range(1, 250))


def zeros_in_place_of_the_end(jpeg):
    return jpeg[:-2] + bytes(1000)


def zeros_before_the_end(jpeg):
    return jpeg[:-2] + bytes(999) + jpeg[-2:]


def second_image_behind_it(jpeg):
    return jpeg + jpeg


def stray_bytes_between_segments(jpeg):
    head, scan, data = parts.split(jpeg)
    return parts.joined([piece + b'\x37\x00' for piece in head], scan, data)


def fill_bytes(jpeg):
    head, scan, data = parts.split(jpeg)
    return parts.joined([b'\xff' * 7 + piece for piece in head], b'\xff\xff' + scan, data)


def markers_without_a_length(jpeg):
    head, scan, data = parts.split(jpeg)
    return parts.joined([b'\xff\x01\xff\xd3' + piece for piece in head], b'\xff\x00' + scan, data)


def no_huffman_tables(jpeg):
    head, scan, data = parts.split(jpeg)
    return parts.joined([piece for piece in head if piece[1] != parts.DHT], scan, data)


def unused_numbers_of_the_scan_are_zero(jpeg):
    head, scan, data = parts.split(jpeg)
    return parts.joined(head, scan[:-3] + b'\0\0\0', data)


def later_jfif_version(jpeg):
    at = jpeg.index(b'JFIF\0') + 5
    return jpeg[:at] + b'\x07' + jpeg[at + 1:]


def unknown_colour_transform(jpeg):
    head, scan, data = parts.split(jpeg)
    adobe = parts.segment(parts.APP14, b'Adobe\0\x64\0\0\0\0\x09')
    return parts.joined([adobe, *(piece for piece in head if piece[1] != parts.APP0)], scan, data)


def comment_with_markers_in_it(jpeg):
    head, scan, data = parts.split(jpeg)
    hostile = parts.frame_header(parts.SOF0, 60000, 60000) + parts.END
    return parts.joined([parts.segment(parts.COM, hostile), *head], scan, data)


def number_of_lines_after_the_scan(jpeg):
    return jpeg[:-2] + parts.segment(0xDC, b'\x02\x00') + parts.END


COMPLETE = [
    without_end, padded_with_zeros, padded_with_garbage, zeros_in_place_of_the_end, zeros_before_the_end,
    second_image_behind_it, stray_bytes_between_segments, fill_bytes, markers_without_a_length,
    unused_numbers_of_the_scan_are_zero, later_jfif_version, unknown_colour_transform, comment_with_markers_in_it,
    number_of_lines_after_the_scan, no_huffman_tables]


@pytest.mark.parametrize('change', COMPLETE)
def test_unusual_but_complete(jpeg, change, capfd):
    data = change(jpeg)
    expected = opencv(jpeg)
    capfd.readouterr()
    found = decode_jpeg(data, ImageOptions())
    assert found.damage == ''
    np.testing.assert_array_equal(found.pixels, expected)
    assert capfd.readouterr().err == ''
    if change is not without_end:
        # OpenCV reads the changed file the same, but may print a warning. It reads no file, or not the last rows, if
        # nothing follows the data.
        np.testing.assert_array_equal(opencv(data), expected)


def test_no_end_of_a_progressive_one(photo):
    data = encoded(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    np.testing.assert_array_equal(decode_jpeg(data[:-2], ImageOptions()).pixels, opencv(data))


# --- damaged ---

def cut_off(jpeg):
    return jpeg[:len(jpeg) // 2]


def cut_off_and_ended(jpeg):
    return jpeg[:len(jpeg) // 2] + parts.END


def cut_off_and_filled_with_zeros(jpeg):
    return jpeg[:len(jpeg) // 2] + bytes(len(jpeg))


def a_kilobyte_missing(jpeg):
    return jpeg[:len(jpeg) // 2] + jpeg[len(jpeg) // 2 + 1000:]


def bits_flipped(jpeg):
    data = bytearray(jpeg)
    for place in range(len(jpeg) // 2, len(jpeg) // 2 + 200, 7):
        data[place] ^= 0x14
    return bytes(data)


def a_marker_in_the_data(jpeg):
    return jpeg[:len(jpeg) // 2] + b'\xff\x40' + jpeg[len(jpeg) // 2:]


DAMAGED = [
    cut_off, cut_off_and_ended, cut_off_and_filled_with_zeros, a_kilobyte_missing, bits_flipped, a_marker_in_the_data]


@pytest.mark.parametrize('change', DAMAGED)
def test_damage_is_noticed_and_what_remains_can_be_kept(jpeg, change, capfd):
    data = change(jpeg)
    with pytest.raises(DamagedImageError, match=r'512x512 pixels: the data is (damaged|cut off)') as caught:
        decode_jpeg(data, ImageOptions())
    found = decode_jpeg(data, KEEP_DAMAGED)
    assert found.damage == str(caught.value)
    assert capfd.readouterr().err == ''
    np.testing.assert_array_equal(found.pixels, opencv(data + parts.END))
    whole = opencv(jpeg)
    np.testing.assert_array_equal(found.pixels[:200], whole[:200])
    assert (found.pixels[-100:] != whole[-100:]).any()


# A flipped bit of a progressive JPEG often changes a few blocks only, and libjpeg notices nothing.
@pytest.mark.parametrize('change', [change for change in DAMAGED if change is not bits_flipped])
def test_damage_of_a_progressive_one(photo, change):
    data = change(encoded(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    with pytest.raises(DamagedImageError):
        decode_jpeg(data, ImageOptions())
    assert decode_jpeg(data, KEEP_DAMAGED).pixels.shape == photo.shape


def test_a_progressive_one_that_lacks_its_last_scans(photo):
    data = encoded(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rindex(bytes([0xFF, parts.SOS]))
    with pytest.raises(DamagedImageError, match='cut off'):
        decode_jpeg(data[:last], ImageOptions())


def test_a_restart_interval_is_missing(photo):
    data = encoded(photo, cv2.IMWRITE_JPEG_RST_INTERVAL, 16)
    first, second = data.index(b'\xff\xd3'), data.index(b'\xff\xd5')
    with pytest.raises(DamagedImageError):
        decode_jpeg(data[:first] + data[second:], ImageOptions())


def test_damage_of_cmyk_has_colours(photo):
    cmyk = np.ascontiguousarray(np.dstack([255 - photo, photo[..., 0]]))
    data = cut_off(simplejpeg.encode_jpeg(cmyk, 90, 'CMYK', '444'))
    found = decode_jpeg(data, KEEP_DAMAGED)
    assert found.damage
    np.testing.assert_array_equal(found.pixels, opencv(data + parts.END))


@pytest.mark.parametrize('data', [
    b'\xff\xd8', b'\xff\xd8\xff', b'\xff\xd8\xff\xd9', b'\xff\xd8\xff\xe0', b'\xff\xd8' + bytes(100),
    parts.START + parts.segment(parts.DQT, b'\0' * 65) + parts.END,
    parts.START + parts.scan_header() + parts.END,
    parts.START + parts.segment(parts.SOF0, b'\x08\0\x10\0\x10\x03') + parts.END,
    parts.START + parts.frame_header(parts.SOF0, 16, 16) + parts.START + parts.END])
def test_nothing_to_keep(data):
    for options in (ImageOptions(), KEEP_DAMAGED):
        with pytest.raises(DamagedImageError, match=r'damaged|start of an image'):
            decode_jpeg(data, options)


@pytest.mark.parametrize('seed', range(60))
def test_random_damage_is_no_crash_and_no_line(jpeg, seed, capfd):
    rng = np.random.default_rng(seed)
    data = bytearray(jpeg)
    reach = 700 if seed % 2 else len(data)
    for place in rng.integers(2, reach, 1 + seed % 5):
        data[place] = rng.integers(0, 256)
    try:
        found = decode_jpeg(bytes(data), KEEP_DAMAGED)
    except FrameError:
        pass
    else:
        assert found.pixels.dtype == np.uint8
    assert capfd.readouterr().err == ''


# --- refused by the header ---

@pytest.mark.parametrize('marker, bits, components, said', [
    (0xC3, 8, 3, 'lossless JPEG'), (0xC5, 8, 3, 'hierarchical'), (0xC1, 12, 3, '12 bits per sample'),
    (0xC0, 8, 2, '2 components'), (0xC0, 8, 10, '10 components')])
def test_variants_that_are_not_supported(marker, bits, components, said):
    data = parts.START + parts.frame_header(marker, 64, 48, components, bits) + parts.scan_header() + parts.END
    with pytest.raises(FrameError, match=f'{said}.* not supported; expected') as caught:
        decode_jpeg(data, KEEP_DAMAGED)
    assert not isinstance(caught.value, DamagedImageError)


@pytest.mark.parametrize('size, said', [
    ((8192, 8193), 'limit is 67108864'), ((65500, 65500), 'limit is 67108864'), ((64, 0), '64x0 pixels: it has no'),
    ((0, 48), 'no pixels')])
def test_size_is_checked_first(size, said):
    for marker in (parts.SOF0, parts.SOF2):
        data = parts.START + parts.frame_header(marker, *size) + parts.scan_header() + parts.END
        with pytest.raises(FrameError, match=said):
            decode_jpeg(data, KEEP_DAMAGED)


@pytest.mark.parametrize('marker', [0x01, 0xD0, 0xD7])
def test_no_marker_hides_the_size(marker):
    data = parts.hidden_size((64, 48), (300, 200), marker)
    assert opencv(data).shape == (200, 300)
    found = read_jpeg(data, MAX_PIXELS)
    assert (found.width, found.height) == (300, 200)
    with pytest.raises(FrameError, match='24000x24000 pixels: 576000000 pixels, the limit is 67108864'):
        decode_jpeg(parts.hidden_size((64, 48), (24000, 24000), marker), KEEP_DAMAGED)


def test_a_second_frame_header_is_refused(jpeg):
    head, scan, data = parts.split(jpeg)
    second = parts.frame_header(parts.SOF0, 20000, 20000, 3)
    for two in ([*head, second], [second, *head], [second]):
        with pytest.raises(FrameError, match=r'two frame headers|limit is'):
            decode_jpeg(parts.joined(two, scan, data), KEEP_DAMAGED)
    # Behind the image it has no effect.
    assert decode_jpeg(parts.joined(head, scan, data, second + parts.END), ImageOptions()).damage == ''


def test_a_frame_header_between_scans_is_refused(photo):
    data = encoded(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rindex(bytes([0xFF, parts.SOS]))
    changed = data[:last] + parts.frame_header(parts.SOF2, 20000, 20000, 3) + data[last:]
    with pytest.raises(FrameError, match='two frame headers'):
        decode_jpeg(changed, KEEP_DAMAGED)


def test_the_number_of_scans_is_bounded():
    few = parts.grey_progressive(800, 600, 30)
    assert decode_jpeg(few, KEEP_DAMAGED).pixels.shape == opencv(few).shape == (600, 800)
    with pytest.raises(FrameError, match=r'8000x8000 pixels: 21 or more scans, .* limit for this size is 20'):
        decode_jpeg(parts.grey_progressive(8000, 8000, 40), KEEP_DAMAGED)
    with pytest.raises(FrameError, match='more than 4096 segments'):
        decode_jpeg(parts.grey_progressive(64, 64, 5000), KEEP_DAMAGED)


def test_the_limit_is_an_option(jpeg):
    assert decode_jpeg(jpeg, ImageOptions(max_pixels=512 * 512)).pixels.shape == (512, 512, 3)
    with pytest.raises(FrameError, match=r'512x512 pixels: 262144 pixels, the limit is 262143 \(max_image_pixels\)'):
        decode_jpeg(jpeg, ImageOptions(max_pixels=512 * 512 - 1))


# --- without simplejpeg ---

@pytest.fixture
def only_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, 'simplejpeg', None)
    from trt_perception import dependencies
    dependencies.require.cache_clear()
    jpeg_decoder.cache_clear()
    yield
    monkeypatch.undo()
    dependencies.require.cache_clear()
    jpeg_decoder.cache_clear()


def test_opencv_is_the_fallback(jpeg, photo, only_opencv):
    assert jpeg_decoder() == 'opencv'
    for data in (jpeg, encoded(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), stray_bytes_between_segments(jpeg),
                 padded_with_garbage(jpeg)):
        np.testing.assert_array_equal(decode_jpeg(data, ImageOptions()).pixels, opencv(data))
    with pytest.raises(DamagedImageError, match=r'end marker is missing.* simplejpeg'):
        decode_jpeg(cut_off(jpeg), ImageOptions())
    assert 'end marker is missing' in decode_jpeg(cut_off(jpeg), KEEP_DAMAGED).damage
    with pytest.raises(FrameError, match='24000x24000'):
        decode_jpeg(parts.hidden_size((64, 48), (24000, 24000), 0xD0), ImageOptions())


def test_the_decoder_is_simplejpeg():
    assert jpeg_decoder() == 'simplejpeg'


# --- frames ---

def test_a_kept_image_says_that_it_is_damaged(jpeg):
    frame = Frame.from_compressed(cut_off(jpeg), 'jpeg', KEEP_DAMAGED)
    assert (frame.width, frame.height, frame.encoding) == (512, 512, 'bgr8')
    assert 'cut off' in frame.damage
    assert Frame.from_compressed(jpeg).damage == ''
