# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts sensor_msgs Image and CompressedImage messages, from rclpy or rosbags, to Frame.

Nothing here imports ROS: a message is any object with the fields of its type. Encodings that Frame
does not support are passed to cv_bridge if it is installed.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from ..advice.packages import install_line
from ..advice.platform import this_platform
from ..dependencies import back_to_numpy_1, built_for_numpy_1
from ..errors import FrameError
from .encodings import ENCODINGS, supported
from .frame import Frame
from .options import DEFAULT, ImageOptions
from .size import check_size


def frame_from_image(message: Any, options: ImageOptions = DEFAULT) -> Frame:
    """Return the Frame of a sensor_msgs/Image, sharing the message's data.

    Raises FrameError if the message is malformed (see Frame.from_buffer), or if neither Frame nor
    cv_bridge supports its encoding.
    """
    if message.encoding in ENCODINGS:
        return Frame.from_buffer(
            message.encoding, message.width, message.height, message.step, message.is_bigendian,
            message.data, options)
    return Frame.from_bgr(_convert_with_cv_bridge(message, options))


def frame_from_compressed_image(message: Any, options: ImageOptions = DEFAULT) -> Frame:
    """Return the decoded Frame of a sensor_msgs/CompressedImage (JPEG, PNG, WebP or TIFF).

    Raises FrameError, see Frame.from_compressed.
    """
    return Frame.from_compressed(message.data, message.format, options)


@functools.lru_cache(maxsize=1)
def load_cv_bridge() -> tuple[Any, str]:
    """Return (a CvBridge or None, the reason if None); cached, so it runs once and not for every bad frame."""
    try:
        if _would_crash():
            return None, f'was built for NumPy 1 and crashes with NumPy 2 ({back_to_numpy_1()})'
        from cv_bridge import CvBridge

        return CvBridge(), ''
    except ModuleNotFoundError as error:
        if error.name == 'cv_bridge':
            return None, f'is not installed ({install_line("cv_bridge", this_platform())})'
        return None, f'cannot be imported: {error}'
    except Exception as error:  # If built for another NumPy, NumPy's error types vary.
        if built_for_numpy_1(error):
            return None, f'was built for NumPy 1 and cannot be imported with NumPy 2 ({back_to_numpy_1()})'
        return None, f'cannot be imported: {error}'


def _would_crash() -> bool:
    """Return whether cv_bridge's library was built for NumPy 1 and NumPy 2 is installed.

    Then it hides its import error, and its first conversion ends the process with SIGSEGV: it must not be tried. A
    library built with NumPy 2, which also works with NumPy 1, contains the module name numpy._core.
    """
    if int(np.__version__.split('.', maxsplit=1)[0]) < 2:
        return False
    spec = importlib.util.find_spec('cv_bridge')
    folders = (spec.submodule_search_locations if spec is not None else None) or ()
    libraries = [path for folder in folders for path in Path(folder).glob('boost/cv_bridge_boost*.so')]
    return any(b'numpy._core' not in path.read_bytes() for path in libraries)


def _convert_with_cv_bridge(message: Any, options: ImageOptions) -> np.ndarray:
    bridge, reason = load_cv_bridge()
    if bridge is None:
        raise FrameError(
            f'encoding {message.encoding!r} is not supported; supported: {supported()}; '
            f'others need cv_bridge, which {reason}')
    # cv_bridge trusts the sizes, and rounds down a step that is not a multiple of a pixel.
    what = f'{message.width}x{message.height} {message.encoding} image'
    check_size(message.width, message.height, message.encoding, options.max_pixels)
    if len(message.data) < message.step * message.height:
        raise FrameError(
            f'{what}: data has {len(message.data)} bytes, but step {message.step} x '
            f'{message.height} rows = {message.step * message.height}')
    try:
        pixels = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding='bgr8'))
        dtype, channels = bridge.encoding_to_dtype_with_channels(message.encoding)
    except Exception as error:  # CvBridgeError, or NumPy's errors if the step does not fit.
        raise FrameError(
            f'encoding {message.encoding!r} is not supported; supported: {supported()}; '
            f'cv_bridge cannot convert it either: {error}') from error
    pixel_bytes = np.dtype(dtype).itemsize * channels
    if message.step < message.width * pixel_bytes or message.step % pixel_bytes:
        raise FrameError(
            f'{what}: step is {message.step} bytes, but a row of {message.width} pixels takes at least '
            f'{message.width * pixel_bytes}, and step must be a multiple of {pixel_bytes}')
    return pixels
