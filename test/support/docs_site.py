# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The docs site for tests: built as `make docs` builds it, and served on this machine."""

import functools
import os
import subprocess
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MKDOCS = ROOT / '.venv-docs' / 'bin' / 'mkdocs'


def build(output, root=ROOT):
    """Build the pages of a checkout into a folder; return what `mkdocs build --strict` said, and how it ended."""
    return subprocess.run(
        [MKDOCS, 'build', '--strict', '--site-dir', output], cwd=root, capture_output=True, text=True,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'})


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """Serve a folder on the loopback interface; yield its address, with a slash at the end."""
    with ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(_Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()
        thread.join()
