# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders with files of many formats, and image files with several pictures."""

import struct

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
from support.picture_files import animated_gif, animated_png, heic, tiff

from trt_perception.errors import SourceError
from trt_perception.sources.formats import image_format, is_media_name, is_video
from trt_perception.sources.open_source import open_source
from trt_perception.sources.pages import animation_length, tiff_pages

GREYS = [10, 40, 70, 100, 122]


def grey(value, size=(32, 24)):
    return np.full((size[1], size[0]), value, np.uint8)


def colour(value, size=(32, 24)):
    return np.repeat(grey(value, size)[..., None], 3, axis=2)


def write_video(path, values, fourcc='MJPG'):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), 10, (64, 48))
    assert writer.isOpened()
    for value in values:
        writer.write(colour(value, (64, 48)))
    writer.release()


def read(path):
    errors = []
    with open_source(path, on_error=lambda error: errors.append(str(error))) as source:
        return [(f.index, int(f.frame.bgr()[0, 0, 0]), f.stamp_ns) for f in source], errors


# Files with several pictures


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('big', [False, True])
def test_all_pages_of_a_tiff(tmp_path, order, big):
    path = tmp_path / 'pages.tif'
    path.write_bytes(tiff([grey(value) for value in GREYS], order=order, big=big))
    assert open_source(path).len_hint == 5
    assert read(path) == ([(index, value, None) for index, value in enumerate(GREYS)], [])


def test_a_thumbnail_in_a_tiff_is_no_page(tmp_path):
    path = tmp_path / 'photo.tif'
    path.write_bytes(tiff([grey(10), grey(40, (8, 6)), grey(70)], thumbnails=[1]))
    assert [(page.number, page.width, page.height) for page in tiff_pages(path.read_bytes())] == [
        (0, 32, 24), (2, 32, 24)]
    assert read(path) == ([(0, 10, None), (1, 70, None)], [])


def test_a_damaged_page_is_reported_and_the_others_are_read(tmp_path):
    data = bytearray(tiff([grey(10), grey(40), grey(70)]))
    number_of_pixels_at = bytes(data).rindex(struct.pack('<HHII', 256, 4, 1, 32)) + 8
    struct.pack_into('<I', data, number_of_pixels_at, 70000)
    struct.pack_into('<I', data, number_of_pixels_at + 12, 70000)
    (tmp_path / 'pages.tif').write_bytes(data)
    frames, errors = read(tmp_path / 'pages.tif')
    assert [(index, value) for index, value, _ in frames] == [(0, 10), (1, 40)]
    assert len(errors) == 1 and 'pages.tif: page 2' in errors[0] and '70000x70000' in errors[0]


def test_a_tiff_whose_pages_are_a_circle(tmp_path):
    data = bytearray(tiff([grey(10), grey(40)]))
    first = struct.unpack_from('<I', data, 4)[0]
    struct.pack_into('<I', data, len(data) - 4, first)
    assert len(tiff_pages(bytes(data))) == 2


@pytest.mark.parametrize('name, data', [
    ('a.gif', animated_gif([grey(value) for value in GREYS])),
    ('a.png', animated_png([colour(value) for value in GREYS]))])
def test_all_frames_of_an_animation(tmp_path, name, data):
    """OpenCV before 4.11 reads only one frame, or none; then FFmpeg reads the others."""
    path = tmp_path / name
    path.write_bytes(data)
    assert open_source(path).len_hint == 5
    frames, errors = read(path)
    assert errors == []
    assert [(index, value) for index, value, _ in frames] == list(enumerate(GREYS))
    assert [stamp / 1e6 for *_, stamp in frames] == pytest.approx([0, 100, 200, 300, 400], abs=20)


@pytest.mark.skipif(not hasattr(cv2, 'imwriteanimation'), reason='this OpenCV cannot write an animated WebP')
def test_all_frames_of_an_animated_webp(tmp_path):
    animation = cv2.Animation()
    animation.frames = [np.dstack([colour(value), grey(255)]) for value in GREYS]
    animation.durations = [100] * len(GREYS)
    assert cv2.imwriteanimation(str(tmp_path / 'a.webp'), animation, [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert animation_length('WebP', (tmp_path / 'a.webp').read_bytes()) == 5
    frames, errors = read(tmp_path / 'a.webp')
    assert errors == []
    assert frames == [(index, value, index * 100_000_000) for index, value in enumerate(GREYS)]


def test_an_animation_that_this_opencv_cannot_read_is_named(tmp_path, monkeypatch):
    for name in ('imdecodeanimation', 'imreadanimation'):
        monkeypatch.delattr(cv2, name, raising=False)
    _, data = cv2.imencode('.webp', colour(50))
    frame = bytes(data[12:])
    header = b'VP8X' + struct.pack('<IB3x', 10, 2) + b'\x1f\0\0\x17\0\0'
    control = b'ANIM' + struct.pack('<IIH', 6, 0, 0)
    picture = bytes(6) + b'\x1f\0\0\x17\0\0' + b'\x64\0\0\0' + frame
    chunk = b'ANMF' + struct.pack('<I', len(picture)) + picture
    body = b'WEBP' + header + control + 2 * chunk
    (tmp_path / 'a.webp').write_bytes(b'RIFF' + struct.pack('<I', len(body)) + body)
    frames, errors = read(tmp_path / 'a.webp')
    # Older versions of OpenCV do not even read the first frame.
    assert [value for _, value, _ in frames] in ([], [50])
    assert len(errors) == 1
    assert 'a.webp' in errors[0] and 'WebP' in errors[0] and cv2.__version__ in errors[0]


def test_lengths_of_files_that_are_cut_off():
    """Only the beginning of a frame counts, and no length reads beyond the end."""
    gif = animated_gif([grey(value) for value in GREYS])
    png = animated_png([colour(value) for value in GREYS])
    pages = tiff([grey(value) for value in GREYS])
    for end in range(len(gif)):
        assert 1 <= animation_length('GIF', gif[:end]) <= 5
    for end in range(0, len(png), 7):
        assert animation_length('PNG', png[:end]) in (1, 5)
    assert [len(tiff_pages(pages[:end])) for end in range(0, len(pages), 64)][-1] == 4
    assert animation_length('GIF', gif) == animation_length('PNG', png) == len(tiff_pages(pages)) == 5
    assert animation_length('JPEG', b'') == 1


def test_a_gif_that_is_cut_off_is_reported(tmp_path):
    data = animated_gif([grey(value) for value in GREYS])
    (tmp_path / 'a.gif').write_bytes(data[:len(data) // 2])
    frames, errors = read(tmp_path / 'a.gif')
    assert len(frames) < 5
    # An older OpenCV reads it with FFmpeg, which also reports the number of frames.
    assert errors[-1] == (
        f'{tmp_path}/a.gif: the file is cut off after {len(data) // 2} bytes, so pictures or parts of them are lost')
    # Some programs do not write the last byte.
    (tmp_path / 'a.gif').write_bytes(data[:-1])
    assert len(read(tmp_path / 'a.gif')[0]) == 5 and read(tmp_path / 'a.gif')[1] == []


def test_a_heic_image_in_tiles_is_refused(tmp_path):
    """FFmpeg would give the first tile as if it were the image."""
    (tmp_path / 'phone.heic').write_bytes(heic(tiles=True))
    with pytest.raises(SourceError, match=r'phone\.heic: a HEIC image that is stored in tiles, .*: convert it to JPEG'):
        open_source(tmp_path / 'phone.heic')
    (tmp_path / 'other.heic').write_bytes(heic(tiles=False))
    frames, errors = [], []
    try:
        frames, errors = read(tmp_path / 'other.heic')
    except SourceError as error:
        errors.append(str(error))
    assert frames == [] and len(errors) == 1 and 'does not read this HEIC file' in errors[0]


# Formats


@pytest.mark.parametrize('data, kind', [
    (b'\xff\xd8\xff\xe0', 'JPEG'), (b'\x89PNG\r\n\x1a\n', 'PNG'), (b'GIF87a', 'GIF'), (b'II*\0', 'TIFF'),
    (b'MM\0+', 'TIFF'), (b'RIFF\0\0\0\0WEBPVP8 ', 'WebP'), (b'BM\x36\x09\0\0\0\0\0\0', 'BMP'),
    (b'\0\0\0\x1cftypheic\0\0\0\0mif1heic', 'HEIC'), (b'\0\0\0\x20ftypavif\0\0\0\0avifmif1', 'AVIF'),
    (b'\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf', 'AVIF'), (b'\0\0\0\x18ftypisom\0\0\0\0isommp41', ''),
    (b'RIFF\0\0\0\0AVI LIST', ''), (b'', ''), (b'hello', ''), (b'RIFF\0\0\0\0WAVE', '')])
def test_formats_by_their_first_bytes(data, kind):
    assert image_format(data) == kind
    assert is_video(data) == (data[4:12] in (b'ftypisom', b'\0\0\0\0AVI ') or data[8:12] == b'AVI ')


# Folders


@pytest.fixture
def mixed(tmp_path):
    """A folder with everything that people keep beside their images."""
    folder = tmp_path / 'mixed'
    folder.mkdir()
    cv2.imwrite(str(folder / '01.jpg'), colour(10))
    (folder / '02').write_bytes(
        cv2.imencode('.png', colour(20))[1].tobytes())
    (folder / '03.gif').write_bytes(animated_gif([grey(30), grey(32)]))
    write_video(folder / '04.AVI', [40, 40, 40])
    (folder / '05.tiff').write_bytes(tiff([grey(50), grey(52)]))
    (folder / '06.avif').write_bytes(b'\0\0\0\x20ftypavif\0\0\0\0avifmif1' + bytes(64))
    (folder / '07.mp4').write_bytes(bytes(500))
    cv2.imwrite(str(folder / '08.png'), colour(80))
    (folder / 'notes.txt').write_text('no image')
    (folder / 'labels.json').write_text('{}')
    (folder / '.hidden.jpg').write_bytes(b'')
    (folder / 'more').mkdir()
    return folder


def test_a_folder_reads_every_format_that_opens_alone_and_names_the_rest(mixed):
    with open_source(mixed) as source:
        notes = source.notes
    assert notes == (
        f'{mixed}: skipped 2 files of other types (labels.json, notes.txt), and 1 subfolder (more): subfolders are not '
        'searched',)
    frames, errors = read(mixed)
    assert [index for index, *_ in frames] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 11]
    assert [value for _, value, _ in frames] == pytest.approx([10, 20, 30, 32, 40, 40, 40, 50, 52, 80], abs=4)
    assert len(errors) == 2
    assert '06.avif' in errors[0] and 'AVIF' in errors[0]
    assert '07.mp4: not an image, video or bag' in errors[1]


def test_every_file_of_a_folder_opens_alone(mixed):
    together = read(mixed)[0]
    alone = []
    for path in sorted(mixed.iterdir()):
        try:
            alone += read(path)[0] if is_media_name(path) or path.name == '02' else []
        except SourceError:
            continue
    assert [value for _, value, _ in alone if value] == [value for _, value, _ in together]


def test_the_list_of_skipped_files_is_limited(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), colour(1))
    for index in range(30):
        (tmp_path / f'{index}\x1b[31m.txt').write_text('')
    [note] = open_source(tmp_path).notes
    assert note.startswith(f'{tmp_path}: skipped 30 files of other types (0\\x1b[31m.txt, 1\\x1b[31m.txt, ')
    assert note.endswith(' and 25 more)') and len(note) < len(str(tmp_path)) + 150


def test_a_video_without_frames_is_reported_and_the_next_file_is_read(tmp_path):
    write_video(tmp_path / 'a.avi', [])
    cv2.imwrite(str(tmp_path / 'b.png'), colour(7))
    frames, errors = read(tmp_path)
    assert [(index, value) for index, value, _ in frames] == [(1, 7)]
    assert len(errors) == 1 and 'a.avi' in errors[0]


@pytest.mark.parametrize('name', ['/dev/zero', '/dev/null'])
def test_a_device_is_no_source(name):
    with pytest.raises(SourceError, match=f'{name}: a device or socket; expected an image'):
        open_source(name)


def test_an_empty_name_is_not_the_working_folder():
    with pytest.raises(SourceError, match="the source is '': expected an image"):
        open_source('')


def test_a_file_url_is_a_path(tmp_path):
    cv2.imwrite(str(tmp_path / 'a b.png'), colour(9))
    [frame] = open_source(f'file://{tmp_path}/a%20b.png')
    assert frame.source == f'{tmp_path}/a b.png'
