# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A registry of packages: an HTTP server on this machine."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_CHUNK = 1 << 16


def sha256(data: bytes) -> str:
    """Return the sha256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def wheel(members: dict[str, bytes]) -> bytes:
    """Return a wheel of demo_videos 1.0 with these members, always the same bytes."""
    buffer = io.BytesIO()
    about = {
        'demo_videos-1.0.dist-info/METADATA': b'Metadata-Version: 2.1\nName: demo-videos\nVersion: 1.0\n',
        'demo_videos-1.0.dist-info/WHEEL': b'Wheel-Version: 1.0\nRoot-Is-Purelib: true\n',
    }
    with zipfile.ZipFile(buffer, 'w') as file:
        for name, content in {**members, **about}.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


class PackageServer:
    """`pages` maps a path to (status, content type, body[, announced length]), or to a list with one for each request.

    It is also a proxy: for an absolute URL it uses only the path, and `requests` has the URL as it was requested.
    delay: seconds before an answer; chunk_delay: seconds between chunks of a file
    broken: set when a client disconnects before it has its file
    """

    def __init__(self) -> None:
        self.pages: dict = {}
        self.requests: list[str] = []
        self.headers: list[dict] = []
        self.delay = 0.0
        self.chunk_delay = 0.0
        self.broken = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                outer.headers.append(dict(self.headers))
                page = outer.pages.get(urlsplit(self.path).path, (404, 'text/plain', b'no'))
                if isinstance(page, list):
                    page = page.pop(0) if len(page) > 1 else page[0]
                status, kind, body, *rest = page
                time.sleep(outer.delay)
                self.send_response(status)
                self.send_header('Content-Type', kind)
                self.send_header('Content-Length', str(rest[0] if rest else len(body)))
                if status == 401:
                    self.send_header('WWW-Authenticate', 'Basic realm="index"')
                self.end_headers()
                try:
                    self._send(body)
                except OSError:
                    outer.broken.set()

            def _send(self, body):
                if not outer.chunk_delay or not self.path.endswith(('.whl', '.tgz')):
                    self.wfile.write(body)
                    return
                for start in range(0, len(body), _CHUNK):
                    self.wfile.write(body[start:start + _CHUNK])
                    time.sleep(outer.chunk_delay)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def index_url(self) -> str:
        """The root of the Python package index."""
        return f'{self.url}/simple'

    def offer(self, *names: str, body: bytes) -> None:
        """Offer files of demo-videos on the index, all with the same content."""
        links = ''.join(f'<a href="../../files/{name}">{name}</a><br/>' for name in names)
        page = f'<!DOCTYPE html><html><body>{links}</body></html>'
        self.pages['/simple/demo-videos/'] = (200, 'text/html; charset=utf-8', page.encode())
        for name in names:
            self.pages[f'/files/{name}'] = (200, 'application/octet-stream', body)

    def downloads(self) -> list[str]:
        """Return the requested files."""
        return [path for path in self.requests if path.endswith(('.whl', '.tgz', '.tar.gz'))]

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()
