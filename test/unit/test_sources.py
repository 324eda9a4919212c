# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import struct

import cv2
import numpy as np
import pytest
from support.bags import grey_image as image
from support.bags import write_bag

from trt_perception.errors import SourceError
from trt_perception.sources.bag_messages import COMPRESSED_IMAGE
from trt_perception.sources.open_source import open_source

pytest.importorskip('rosbags.rosbag2')


def plain(value, size=(32, 24)):
    return np.full((size[1], size[0], 3), value, np.uint8)


def write_video(path, values, fourcc='MJPG', fps=12.5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), fps, (64, 48))
    assert writer.isOpened()
    for value in values:
        writer.write(plain(value, (64, 48)))
    writer.release()


def compressed(value, recorded, header):
    data = cv2.imencode('.png', plain(value))[1].reshape(-1)
    return COMPRESSED_IMAGE, recorded, header, {'format': 'png', 'data': data}


def values(source):
    return [(f.index, int(f.frame.bgr()[0, 0, 0]), f.stamp_ns) for f in source]


# --- images ---

def test_image_file(tmp_path):
    path = tmp_path / 'photo.PNG'
    path.write_bytes(cv2.imencode('.png', np.dstack([plain(9), plain(0)[..., :1]]))[1].tobytes())
    source = open_source(path)
    assert source.len_hint == 1
    [found] = source
    assert (found.source, found.index, found.stamp_ns) == (str(path), 0, None)
    assert found.frame.encoding == 'bgr8'
    np.testing.assert_array_equal(found.frame.bgr(), plain(9))  # Transparent, but not black.


def test_exif_orientation_of_a_file_is_applied(tmp_path):
    left_half_bright = np.zeros((24, 32, 3), np.uint8)
    left_half_bright[:, :16] = 255
    jpeg = cv2.imencode('.jpg', left_half_bright)[1].tobytes()
    tiff = b'MM\0*' + struct.pack('>IHHHIHHI', 8, 1, 0x112, 3, 1, 6, 0, 0)  # 6: turn clockwise.
    body = b'Exif\0\0' + tiff
    path = tmp_path / 'turned.jpg'
    path.write_bytes(
        jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:])
    pixels = next(open_source(path)).frame.bgr()
    assert pixels.shape == (32, 24, 3)
    assert pixels[:14].min() > 200 and pixels[18:].max() < 50


def test_folder_is_read_in_natural_order(tmp_path):
    for name, value in (('frame10.png', 10), ('frame2.png', 2), ('Frame1.png', 1),
                        ('a.bmp', 0), ('frame2b.jpg', 3)):
        cv2.imwrite(str(tmp_path / name), plain(value))
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / '._frame2.png').write_bytes(b'resource fork')
    (tmp_path / 'more').mkdir()
    cv2.imwrite(str(tmp_path / 'more' / 'x.png'), plain(99))
    source = open_source(str(tmp_path))
    assert source.len_hint == 5
    assert [(f.index, f.source.rsplit('/', 1)[1]) for f in source] == [
        (0, 'a.bmp'), (1, 'Frame1.png'), (2, 'frame2.png'), (3, 'frame2b.jpg'),
        (4, 'frame10.png')]


def test_unreadable_images_of_a_folder_are_reported_and_passed_over(tmp_path):
    for index in range(4):
        cv2.imwrite(str(tmp_path / f'{index}.jpg'), plain(index))
    whole = (tmp_path / '1.jpg').read_bytes()
    (tmp_path / '1.jpg').write_bytes(whole[:-30])
    (tmp_path / '2.jpg').write_bytes(b'')
    errors = []
    found = [f.index for f in open_source(tmp_path, on_error=errors.append)]
    assert found == [0, 3]
    assert [type(e) for e in errors] == [SourceError, SourceError]
    assert '1.jpg: compressed JPEG image of 32x24 pixels: the data is cut off' in str(errors[0])
    assert '2.jpg: not an image that OpenCV reads, or damaged (0 bytes)' in str(errors[1])
    with pytest.raises(SourceError, match=r'1\.jpg'):
        list(open_source(tmp_path))


def test_a_link_to_a_missing_image_is_reported(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), plain(1))
    (tmp_path / '2.png').symlink_to('elsewhere.png')
    (tmp_path / '3.png').symlink_to('3.png')
    (tmp_path / '4.txt').symlink_to('elsewhere.txt')
    errors = []
    source = open_source(tmp_path, on_error=errors.append)
    assert [f.index for f in source] == [0]
    assert [str(error).removeprefix(f'{tmp_path}/').split(':')[0] for error in errors] == ['2.png', '3.png']
    assert all('cannot be read' in str(error) for error in errors)
    assert source.notes == (f'{tmp_path}: skipped 1 file of other types (4.txt)',)


def test_huge_image_file_is_refused_by_its_header(tmp_path):
    jpeg = bytearray(cv2.imencode('.jpg', plain(0))[1].tobytes())
    at = jpeg.index(b'\xff\xc0')
    jpeg[at + 5:at + 9] = struct.pack('>HH', 65500, 65500)
    (tmp_path / 'bomb.jpg').write_bytes(jpeg)
    with pytest.raises(SourceError, match=r'bomb\.jpg: .*65500x65500.*limit is 67108864'):
        next(open_source(tmp_path / 'bomb.jpg'))


@pytest.mark.parametrize('make, message', [
    (lambda p: p / 'missing.jpg', 'missing.jpg: no such file or folder'),
    (lambda p: p, 'no images in this folder'),
    (lambda p: (p / 'sub').mkdir() or p, r'1 subfolder \(sub\): subfolders are not searched'),
    (lambda p: (p / 'x.bag').write_bytes(b'#ROSBAG V2.0\n') and p / 'x.bag', 'x.bag: the file is cut off'),
    (lambda p: (p / 'x.txt').write_text('hello') and p / 'x.txt', 'not an image, video or bag'),
    (lambda p: (p / 'x.mp4').write_bytes(bytes(999)) and p / 'x.mp4', 'not an image, video or bag'),
    (lambda p: (p / 'x.mcap').write_bytes(b'text') and p / 'x.mcap', 'x.mcap: the file is not an MCAP file'),
    (lambda p: (p / 'x.db3').write_bytes(b'text') and p / 'x.db3', 'x.db3: the file is not an SQLite database'),
])
def test_unusable_paths(tmp_path, make, message):
    with pytest.raises(SourceError, match=message):
        open_source(make(tmp_path))


def test_topic_is_for_bags_only(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), plain(1))
    with pytest.raises(SourceError, match="not a bag, so it has no topic 'image'"):
        open_source(tmp_path, topic='image')


# --- videos ---

@pytest.mark.parametrize('name, fourcc', [('v.avi', 'MJPG'), ('v.mp4', 'mp4v')])
def test_video(tmp_path, name, fourcc):
    expected = [10, 60, 110, 160, 210]
    write_video(tmp_path / name, expected, fourcc)
    source = open_source(tmp_path / name)
    assert source.len_hint == 5
    found = list(source)
    assert [f.index for f in found] == list(range(5))
    assert [f.stamp_ns for f in found] == pytest.approx([i * 80_000_000 for i in range(5)], abs=1e6)
    for frame, value in zip(found, expected, strict=True):
        assert frame.frame.bgr().shape == (48, 64, 3)
        assert abs(float(frame.frame.bgr().mean()) - value) < 6
    assert len({id(f.frame.data) for f in found}) == 5  # A frame stays valid after the next one is read.


def test_video_that_ends_early_is_reported(tmp_path):
    path = tmp_path / 'v.avi'
    write_video(path, range(0, 200, 4))
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    errors = []
    found = list(open_source(path, on_error=errors.append))
    assert 5 < len(found) < 40
    assert [str(e) for e in errors] == [f'{path}: only {len(found)} of 50 frames can be decoded']


def test_closing_a_source_ends_it(tmp_path):
    write_video(tmp_path / 'v.avi', range(5))
    with open_source(tmp_path / 'v.avi') as source:
        next(source)
    assert list(source) == []


# --- bags ---

@pytest.mark.parametrize('storage, suffix', [('mcap', 'mcap'), ('sqlite3', 'db3')])
@pytest.mark.parametrize('distro', ['ROS2_HUMBLE', 'ROS2_JAZZY', 'ROS2_KILTED'])
def test_bag(tmp_path, storage, suffix, distro):
    bag = tmp_path / 'recording'
    write_bag(bag, {'/camera/image_raw': [
        image(5, 1_000, 7_000_000_001), image(6, 2_000, 0), image(7, 3_000, 7_500_000_000)]},
        storage, distro=distro)
    # The header's stamp is used; for a header without a stamp, the time of recording.
    expected = [(0, 5, 7_000_000_001), (1, 6, 2_000), (2, 7, 7_500_000_000)]
    for path in (bag, bag / f'recording.{suffix}'):
        source = open_source(path)
        assert source.len_hint == 3
        assert values(source) == expected
    assert values(open_source(bag, topic='camera/image_raw')) == expected


def test_bag_of_compressed_images_among_other_topics(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image/compressed': [compressed(3, 1, 1), compressed(4, 2, 2)]})
    assert values(open_source(bag)) == [(0, 3, 1), (1, 4, 2)]


def test_bag_with_several_image_topics_asks_for_one(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, {'/right': [image(2, 1, 1)], '/left': [compressed(1, 1, 1), compressed(1, 2, 2)]})
    with pytest.raises(SourceError, match=r'several image topics, choose one by its name .*: '
                                          r'/left \(CompressedImage, 2\), /right \(Image, 1\)'):
        open_source(bag)
    with pytest.raises(SourceError, match=r"no image topic 'middle' in this bag; it has /left"):
        open_source(bag, topic='middle')
    assert values(open_source(bag, topic='/right')) == [(0, 2, 1)]
    assert values(open_source(bag, topic='left')) == [(0, 1, 1), (1, 1, 2)]


def test_bag_without_images(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, {'/chatter': None})
    with pytest.raises(SourceError, match='no image topic in this bag'):
        open_source(bag)


def test_malformed_images_of_a_bag_are_reported_and_passed_over(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image': [
        image(1, 1, 1), image(2, 2, 2, step=3), image(3, 3, 3, encoding='32FC1'), image(4, 4, 4)]})
    errors = []
    assert values(open_source(bag, on_error=errors.append)) == [(0, 1, 1), (3, 4, 4)]
    assert 'frame 1 of /image: 32x24 mono8 image: step is 3 bytes' in str(errors[0])
    assert "frame 2 of /image: encoding '32FC1' is not supported" in str(errors[1])


def test_bag_that_was_not_closed(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, {'/image': [image(1, 1, 1)]})
    (bag / 'metadata.yaml').unlink()
    with pytest.raises(SourceError, match=r'metadata\.yaml is missing.*ros2 bag reindex'):
        open_source(bag)
    assert values(open_source(bag / 'bag.mcap')) == [(0, 1, 1)]


def test_folder_of_images_with_a_metadata_file_is_no_bag(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), plain(1))
    (tmp_path / 'metadata.yaml').write_text('author: somebody\n')
    assert [f.index for f in open_source(tmp_path)] == [0]
