# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Silences OpenCV and FFmpeg while they read a file whose errors are reported by this package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..image.opencv import quiet as quiet_opencv


@contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCV and FFmpeg: the SourceError has the same information."""
    # Read when FFmpeg is first used. 8: fatal errors only; by default FFmpeg prints a line for each unusual packet.
    os.environ['OPENCV_FFMPEG_LOGLEVEL'] = os.environ.get('OPENCV_FFMPEG_LOGLEVEL') or '8'
    with quiet_opencv:
        yield
