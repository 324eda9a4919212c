# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags as camera drivers and image_transport write them: one picture in many encodings, formats and storages.

  PYTHONPATH=.:test python -m support.driver_bags DIR [--video bikes] [--frames 10]

Writes a bag for each variant into DIR, of the shipped photos or of frames of a video. Topics, frame ids and formats are
those of the drivers' sources (docs/how-to/camera_drivers.md has the versions); no driver was run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from support.bag_storage import write_stored
from support.image_encoders import encoded_rows, padded

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
COLOR, GREY, DEPTH, UNREADABLE = 'color', 'grey', 'depth', 'unreadable'
PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
START_NS = 1_760_000_000 * 10**9
PERIOD_NS = 33_366_700
_PADDED = 64


@dataclass(frozen=True)
class Variant:
    """What one driver writes.

    name: of the driver and its setting
    topic, frame_id: its default ones
    encoding: of sensor_msgs/Image; '' for a CompressedImage
    format, codec, stored: of a CompressedImage: its `format`, the extension for OpenCV, and the encoding in the file
        ('' for BGR, which OpenCV expects)
    shows: COLOR, the picture; GREY, the picture in grey; DEPTH, an image of depth; UNREADABLE, no image
    storage: a name of STORAGES
    big_endian: is_bigendian, and the byte order of 16 bits; padding: bytes at the end of each row
    """

    name: str
    topic: str
    frame_id: str
    encoding: str = ''
    format: str = ''
    codec: str = ''
    stored: str = ''
    shows: str = COLOR
    storage: str = 'mcap'
    big_endian: bool = False
    padding: int = 0

    @property
    def type(self) -> str:
        """The type of its messages."""
        return IMAGE if self.encoding else COMPRESSED


# The row of a V4L2 buffer is a multiple of 64 bytes with some cameras.
VARIANTS = (
    Variant('usb_cam_yuyv', '/camera/image_raw', 'default_cam', 'yuv422_yuy2', storage='sqlite3'),
    Variant('usb_cam_mjpeg2rgb', '/camera/image_raw', 'default_cam', 'rgb8'),
    Variant('usb_cam_uyvy', '/camera/image_raw', 'default_cam', 'yuv422', storage='sqlite3-file'),
    Variant('v4l2_camera_rgb8', '/image_raw', 'camera', 'rgb8', storage='mcap-zstd'),
    Variant('v4l2_camera_yuyv_padded', '/image_raw', 'camera', 'yuv422_yuy2', padding=_PADDED, storage='mcap-split'),
    Variant('realsense_color', '/camera/camera/color/image_raw', 'camera_color_optical_frame', 'rgb8',
            storage='mcap-lz4'),
    Variant('realsense_infra1', '/camera/camera/infra1/image_rect_raw', 'camera_infra1_optical_frame', 'mono8',
            shows=GREY),
    Variant('oakd_bgr8', '/oak/rgb/image_raw', 'oak_rgb_camera_optical_frame', 'bgr8', big_endian=True),
    Variant('oakd_jpeg', '/oak/rgb/image_raw/compressed', 'oak_rgb_camera_optical_frame', format='jpeg', codec='.jpg'),
    Variant('zed_bgra8', '/zed/zed_node/rgb/color/rect/image', 'zed_left_camera_frame_optical', 'bgra8',
            storage='mcap-message'),
    Variant('webots_rgba8', '/camera/image_color', 'camera', 'rgba8', storage='mcap-file'),
    Variant('isaac_ros_nv12', '/left/image_raw', 'left_camera', 'nv12', storage='mcap-zstd'),
    Variant('camera_ros_nv21', '/camera/image_raw', 'camera', 'nv21'),
    Variant('spinnaker_bayer', '/flir_camera/image_raw', 'flir_camera', 'bayer_rggb8', storage='sqlite3-message'),
    Variant('pylon_bayer_gbrg', '/my_camera/pylon_ros2_camera_node/image_raw', 'pylon_camera', 'bayer_gbrg8'),
    Variant('vimbax_bayer16', '/camera/image_raw', 'camera', 'bayer_grbg16', storage='mcap-lz4'),
    Variant('thermal_mono16_big_endian', '/thermal/image_raw', 'thermal', 'mono16', shows=GREY, big_endian=True,
            padding=6),
    Variant('humble_compressed_jpeg', '/camera/image_raw/compressed', 'camera', format='rgb8; jpeg compressed bgr8',
            codec='.jpg', storage='sqlite3'),
    Variant('jazzy_compressed_png', '/camera/image_raw/compressed', 'camera', format='rgb8; png compressed bgr8',
            codec='.png', storage='mcap-zstd'),
    Variant('jazzy_compressed_tiff', '/camera/image_raw/compressed', 'camera', format='bgr8; tiff compressed bgr8',
            codec='.tiff'),
    Variant('compressed_rgb_swapped', '/camera/image_raw/compressed', 'camera', format='rgb8; jpeg compressed rgb8',
            codec='.jpg', stored='rgb8'),
    Variant('compressed_bayer_png', '/flir_camera/image_raw/compressed', 'flir_camera',
            format='bayer_rggb8; png compressed ', codec='.png', stored='bayer_rggb8', storage='mcap-split'),
    Variant('compressed_mono_jpeg', '/camera/camera/infra1/image_rect_raw/compressed', 'camera_infra1_optical_frame',
            format='mono8; jpeg compressed ', codec='.jpg', stored='mono8', shows=GREY),
    Variant('bridge_webp', '/camera/compressed', 'camera', format='webp', codec='.webp'),
    Variant('realsense_depth', '/camera/camera/depth/image_rect_raw', 'camera_depth_optical_frame', '16UC1',
            shows=DEPTH),
    Variant('realsense_compressed_depth', '/camera/camera/depth/image_rect_raw/compressedDepth',
            'camera_depth_optical_frame', format='16UC1; compressedDepth png', codec='.png', stored='16UC1',
            shows=UNREADABLE),
    Variant('usb_cam_raw_mjpeg', '/camera/image_raw', 'default_cam', 'yuv422', codec='.jpg', shows=UNREADABLE),
    Variant('h264_compressed', '/camera/image_raw/compressed', 'camera', format='h264', shows=UNREADABLE),
    Variant('zstd_compressed', '/camera/image_raw/zstd', 'camera', format='zstd', shows=UNREADABLE))


def pictures(count: int, size: tuple[int, int] = (320, 240)) -> list[np.ndarray]:
    """Return shipped photos, HxWx3 uint8 BGR, in turns and shifted. size: width and height, even."""
    photos = [cv2.resize(cv2.imread(str(PHOTOS / f'{name}.jpg')), size, interpolation=cv2.INTER_AREA)
              for name in ('coffee', 'astronaut', 'rocket', 'chelsea')]
    return [np.roll(photos[number % 4], 8 * (number // 4), axis=1) for number in range(count)]


def shown(variant: Variant, bgr: np.ndarray) -> np.ndarray:
    """Return the picture that a variant shows, HxWx3 uint8 BGR, without the losses of its encoding."""
    if variant.shows == GREY:
        return np.repeat(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    return bgr


def message(variant: Variant, bgr: np.ndarray) -> dict[str, Any]:
    """Return the fields of the message that has a picture."""
    bgr = shown(variant, bgr)
    height, width = bgr.shape[:2]
    if not variant.encoding:
        return {'frame_id': variant.frame_id, 'format': variant.format, 'data': _content(variant, bgr)}
    rows = padded(encoded_rows(bgr, variant.encoding, variant.big_endian), variant.padding)
    data = _content(variant, bgr) if variant.codec else rows.reshape(-1)
    return {
        'frame_id': variant.frame_id, 'height': height, 'width': width, 'encoding': variant.encoding,
        'is_bigendian': int(variant.big_endian), 'step': rows.shape[1], 'data': data}


def write_variant(variant: Variant, folder: Path, frames: Sequence[np.ndarray]) -> Path:
    """Write the bag of a variant into a folder; return its path, a folder or a file."""
    messages = []
    for number, bgr in enumerate(frames):
        stamp = START_NS + number * PERIOD_NS
        messages.append((variant.type, stamp + 4_000_000, stamp, message(variant, bgr)))
    return write_stored(folder / variant.name, variant.topic, messages, variant.storage)


def _content(variant: Variant, bgr: np.ndarray) -> np.ndarray:
    """Return the data of a CompressedImage, (N,) uint8."""
    if not variant.codec:
        # The begin of an H.264 stream, and of a frame of zstd.
        start = {'h264': b'\0\0\0\1\x67\x42\0\x1f', 'zstd': b'\x28\xb5\x2f\xfd'}[variant.format]
        return np.frombuffer(start + bgr[0].tobytes(), np.uint8)
    pixels = bgr
    if variant.stored:
        height, width = bgr.shape[:2]
        pixels = encoded_rows(bgr, variant.stored).reshape(height, -1)
        pixels = pixels.view('<u2') if variant.stored == '16UC1' else pixels
        pixels = pixels.reshape(height, width, 3) if pixels.shape[1] == 3 * width else pixels
    # OpenCV's WebP is without losses by default.
    done, data = cv2.imencode(variant.codec, pixels, [cv2.IMWRITE_WEBP_QUALITY, 90] if variant.codec == '.webp' else [])
    assert done
    # compressedDepth has 12 bytes of parameters in front.
    head = bytes(12) if 'compressedDepth' in variant.format else b''
    return np.frombuffer(head + data.tobytes(), np.uint8)


def main() -> None:
    """Write all bags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('--video', metavar='NAME', help='a video of the catalogue, or a file (default: the photos)')
    parser.add_argument('--frames', type=int, default=10, metavar='N')
    options = parser.parse_args()
    frames = pictures(options.frames, (640, 480))
    if options.video:
        from trt_perception.catalogue.resolve import resolve_video
        from trt_perception.sources.open_source import open_source

        with open_source(resolve_video(options.video)) as source:
            # Spread over the video.
            step = max(1, (source.len_hint or 0) // options.frames)
            frames = [entry.frame.bgr() for entry in source if entry.index % step == 0][:options.frames]
    options.folder.mkdir(parents=True, exist_ok=True)
    for variant in VARIANTS:
        print(f'{write_variant(variant, options.folder, frames)}  {variant.shows}, {variant.storage}')


if __name__ == '__main__':
    main()
