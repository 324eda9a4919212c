# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera with an HTTP server: multipart JPEG, as most network cameras send it."""

from __future__ import annotations

import base64
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

# Frame N has the grey value FIRST_GREY + N % GREYS. It is not black, so nothing warns of the lens cap.
FIRST_GREY, GREYS = 90, 150
USER, PASSWORD = 'robot', 'sec:ret'


class Camera:
    """State of the server.

    length: frames of one connection, then it is closed; period: seconds between two frames
    refuse: answer 503; connections: number of requests; secret: whether a password is needed
    """

    def __init__(self) -> None:
        self.length = 10**9
        self.period = 0.02
        self.refuse = False
        self.connections = 0
        self.secret = False
        self.sent = 0
        self.url = ''


def jpeg(value: int) -> bytes:
    """Return a 64x48 JPEG of one grey value."""
    return bytes(cv2.imencode('.jpg', np.full((48, 64, 3), value, np.uint8))[1])


@contextmanager
def camera() -> Iterator[Camera]:
    """Run a camera on a free port of this machine: /video is the stream, /still.jpg one image."""
    state = Camera()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            state.connections += 1
            wanted = f'Basic {base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}'
            if state.refuse:
                self.send_error(503)
            elif state.secret and self.headers.get('Authorization') != wanted:
                self.send_response(401)
                self.send_header('WWW-Authenticate', 'Basic realm="camera"')
                self.end_headers()
            elif self.path.startswith('/still.jpg'):
                self.send_response(200)
                self.send_header('Content-Type', 'image/jpeg')
                self.end_headers()
                self.wfile.write(jpeg(77))
            else:
                self._stream()

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            try:
                for _ in range(state.length):
                    data = jpeg(FIRST_GREY + state.sent % GREYS)
                    self.wfile.write(
                        b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n' % len(data) + data
                        + b'\r\n')
                    state.sent += 1
                    time.sleep(state.period)
            except OSError:
                pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        state.url = f'127.0.0.1:{server.server_address[1]}'
        try:
            yield state
        finally:
            server.shutdown()
