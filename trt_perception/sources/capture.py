# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens cameras and network streams with OpenCV."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..dependencies import require
from ..errors import SourceError
from ..utf8_path import is_utf8, not_utf8
from .live_names import is_url, shown
from .quiet import quiet

# The name of threads that may wait for a host when the program ends.
THREAD = 'camera'
# OpenCV's FFmpeg waits this long for a connection, and for a frame. Its own default is 30 s.
_TIMEOUT_MS = 10_000
_POLL_S = 0.2


def open_capture(name: str) -> Any:
    """Return an open cv2.VideoCapture. Raises SourceError.

    name: number or device of a camera, or a URL
    """
    cv2 = require('cv2')
    if not is_utf8(name):
        raise SourceError(not_utf8(shown(name), 'OpenCV', 'give another name'))
    with quiet():
        if name.isdecimal():
            capture = cv2.VideoCapture(int(name)) if int(name) < 2**31 else cv2.VideoCapture()
        elif not is_url(name):
            capture = cv2.VideoCapture(name, cv2.CAP_V4L2)
        elif cv2.CAP_FFMPEG in cv2.videoio_registry.getStreamBackends():
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS])
        else:
            capture = cv2.VideoCapture(name)
    if not capture.isOpened():
        raise SourceError(f'{shown(name)}: OpenCV {cv2.__version__} cannot open it: {_remedy(name)}')
    return capture


def open_capture_in_thread(name: str) -> Any:
    """As `open_capture`. While a library waits for a host, its thread handles no signal; here Ctrl-C still works."""
    result: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            result.put(open_capture(name))
        except Exception as error:
            result.put(error)

    threading.Thread(target=run, name=THREAD, daemon=True).start()
    while True:
        try:
            opened = result.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if isinstance(opened, Exception):
            raise opened
        return opened


def _remedy(name: str) -> str:
    if is_url(name):
        try:
            # Not of the URL itself: of a password with a /, urlsplit takes a part as the host.
            host = urlsplit(shown(name)).hostname
        except ValueError:
            host = None
        return (f'check that {host or "the host"} is reachable, and the path, user and password of the URL; in a '
                'password, characters such as @ and : must be written as %40 and %3A')
    device = Path(f'/dev/video{name}' if name.isdecimal() else name)
    if device.exists() and not os.access(device, os.R_OK | os.W_OK):
        return f'you have no permission to read {device} (sudo usermod -aG video $USER, then log in again)'
    found = ', '.join(sorted(map(str, Path('/dev').glob('video*')))) or 'none'
    return f'expected a camera that no other program uses; found these devices: {found}'
