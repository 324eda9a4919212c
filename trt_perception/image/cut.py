# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cuts a part out of a frame and turns it."""

from __future__ import annotations

from dataclasses import replace

from ..dependencies import require
from ..errors import FrameError
from ..results.regions import Region
from .frame import Frame

_ROTATIONS = {90: 'ROTATE_90_CLOCKWISE', 180: 'ROTATE_180', 270: 'ROTATE_90_COUNTERCLOCKWISE'}
# An encoding for each order of Frame.view.
_ENCODINGS = {'mono': 'mono8', 'bgr': 'bgr8', 'rgb': 'rgb8', 'bgra': 'bgra8', 'rgba': 'rgba8'}


def cut_out(frame: Frame, region: Region) -> Frame:
    """Return what the network sees of the frame, as 8-bit pixels; the frame itself if that is all of it.

    Raises FrameError if the region lies outside the image.
    """
    if region.is_whole:
        return frame
    left, top, right, bottom = region.within(frame.width, frame.height)
    if right <= left or bottom <= top:
        raise FrameError(
            f'roi begins at {left}, {top}, outside the image of {frame.width}x{frame.height} pixels: expected '
            '[x, y, width, height] in pixels of the image')
    pixels, order = frame.view()
    part = pixels[top:bottom, left:right]
    if region.rotate:
        cv2 = require('cv2')
        # Much faster than a copy of np.rot90's view.
        part = cv2.rotate(part, getattr(cv2, _ROTATIONS[region.rotate]))
    return replace(Frame.from_pixels(_ENCODINGS[order], part), damage=frame.damage)
