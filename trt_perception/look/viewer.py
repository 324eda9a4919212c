# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shows a model in the browser with Netron, to this machine only."""

from __future__ import annotations

import http.server
import importlib.metadata
import logging
import os
import socket
import threading
import webbrowser
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import PerceptionError, reason

_HOST = '127.0.0.1'
# Netron's page asks ipinfo.io for the country and reports its use to Google Analytics. With the first header the
# browser connects to this server only; with the second the page does not ask for a consent to the reports.
_HEADERS = (
    ('Content-Security-Policy', "connect-src 'self'; img-src 'self' data: blob:; form-action 'none'"),
    ('Set-Cookie', 'consent=1; SameSite=Strict'))


class ViewerError(PerceptionError):
    """Netron cannot serve the model."""


def view(path: Path, port: int = 0) -> None:
    """Serve the model until KeyboardInterrupt, and open a browser if there is a display.

    port: of 127.0.0.1, 0 for a free one

    Raises MissingDependencyError if netron is not installed, ViewerError if the port is in use.
    """
    netron = require('netron')
    _require_free(port)
    _add_headers()
    # Its messages would be shown beside ours.
    logging.getLogger('netron').setLevel(logging.WARNING)
    _, port = netron.start(str(path), address=(_HOST, port or _free_port()), browse=False)
    url = f'http://{_HOST}:{port}'
    print(f'Netron {importlib.metadata.version("netron")} shows {path.name} at {url} (Ctrl-C ends it)', flush=True)
    if os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'):
        webbrowser.open(url)
    try:
        threading.Event().wait()
    finally:
        netron.stop()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise ViewerError(
                f'port {port} of {_HOST} cannot be used: {reason(error)}; choose another with --port, or '
                'leave --port out') from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _add_headers() -> None:
    """Make this process's web servers send _HEADERS; Netron's is the only one."""
    handler: Any = http.server.BaseHTTPRequestHandler
    send = handler.end_headers

    def end_headers(self: Any) -> None:
        for name, value in _HEADERS:
            self.send_header(name, value)
        send(self)

    handler.end_headers = end_headers
