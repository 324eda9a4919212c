# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs Image and CompressedImage to Frame, for messages of rclpy and of rosbags alike.

Nothing here imports ROS: a message is any object with the fields of its type. cv_bridge is used for
encodings that Frame does not know, where it is installed.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .dependencies import BACK_TO_NUMPY_1, built_for_numpy_1
from .encodings import ENCODINGS, supported
from .errors import FrameError
from .frame import Frame
from .image_size import check_size


def frame_from_image(message: Any) -> Frame:
    """Return the Frame of a sensor_msgs/Image; it shares the message's data.

    Raises FrameError if the message is malformed (see Frame.from_buffer), or if its encoding is
    known neither to Frame nor to cv_bridge.
    """
    if message.encoding in ENCODINGS:
        return Frame.from_buffer(
            message.encoding, message.width, message.height, message.step, message.is_bigendian,
            message.data)
    return Frame.from_bgr(_convert_with_cv_bridge(message))


def frame_from_compressed_image(message: Any) -> Frame:
    """Return the decoded Frame of a sensor_msgs/CompressedImage (JPEG or PNG).

    Raises FrameError, see Frame.from_compressed.
    """
    return Frame.from_compressed(message.data, message.format)


@functools.lru_cache(maxsize=1)
def _cv_bridge() -> tuple[Any, str]:
    """Return (a CvBridge or None, why there is none); looked for once, not with every bad frame."""
    try:
        from cv_bridge import CvBridge

        return CvBridge(), ''
    except ModuleNotFoundError as error:
        if error.name == 'cv_bridge':
            return None, 'is not installed (sudo apt install ros-<distro>-cv-bridge)'
        return None, f'does not import: {error}'
    except Exception as error:  # Built for another NumPy, it fails with whatever NumPy raises.
        if built_for_numpy_1(error):
            return None, f'was built for NumPy 1 and does not import with a newer one ({BACK_TO_NUMPY_1})'
        return None, f'does not import: {error}'


def _convert_with_cv_bridge(message: Any) -> np.ndarray:
    bridge, reason = _cv_bridge()
    if bridge is None:
        raise FrameError(
            f"encoding '{message.encoding}' is not supported; supported: {supported()}; "
            f'others need cv_bridge, which {reason}')
    # cv_bridge trusts the sizes.
    what = f'{message.width}x{message.height} {message.encoding} image'
    check_size(message.width, message.height, message.encoding)
    if len(message.data) < message.step * message.height:
        raise FrameError(
            f'{what}: data has {len(message.data)} bytes, but step {message.step} x '
            f'{message.height} rows = {message.step * message.height}')
    try:
        pixels = bridge.imgmsg_to_cv2(message, desired_encoding='bgr8')
    except Exception as error:  # CvBridgeError, and NumPy's errors for a step that does not fit.
        raise FrameError(
            f"encoding '{message.encoding}' is not supported; supported: {supported()}; "
            f'cv_bridge cannot convert it either: {error}') from error
    return np.asarray(pixels)
