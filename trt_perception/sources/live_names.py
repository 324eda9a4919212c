# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of cameras and network streams, and how they are shown."""

from __future__ import annotations

import os
import re
import stat
from urllib.parse import unquote, urlsplit

_URL = re.compile(r'[a-z][a-z0-9+.-]*://', re.IGNORECASE)
_SECRET = re.compile(r'(?i)((?:pass|pwd|token|secret|key|auth|sig|cred)[^=&#;]*=)[^&#;]*')


def is_url(name: str) -> bool:
    """Return whether this is a URL, of any scheme."""
    return bool(_URL.match(name))


def is_live(name: str) -> bool:
    """Return whether this is the number of a camera, a camera's device, or a URL. An existing file or folder is not."""
    if is_url(name):
        return not name.lower().startswith('file://')
    if not name.isascii() or not name.isdecimal():
        return _is_camera(name)
    # A folder may have a number as its name.
    return not os.path.lexists(name)


def shown(name: str) -> str:
    """Return the name of a live source as it may be shown: without passwords and keys of a URL."""
    if not is_url(name):
        return f'camera {name}' if name.isdecimal() else name
    scheme, _, rest = name.partition('://')
    # A password may contain every character, so the last @ before the path counts.
    address = re.split('[/?#]', rest, maxsplit=1)[0] if '@' not in rest else rest[:rest.rfind('@') + 1]
    user, at, host = address.rpartition('@')
    if at:
        masked = f'{user.partition(":")[0]}:***@' if ':' in user else f'{user}@'
        rest = masked + rest[len(address) - len(host):]
    masked = _SECRET.sub(r'\1***', rest)
    return f'{scheme}://{masked}'


def file_of_url(name: str) -> str:
    """Return the path in a file:// URL."""
    return unquote(url_path(name)) or name


def url_path(name: str) -> str:
    """Return the path of a URL, '' for another name or a URL that cannot be parsed."""
    try:
        return urlsplit(name).path if is_url(name) else ''
    except ValueError:
        return ''


def _is_camera(name: str) -> bool:
    """Return whether a path is the device of a camera."""
    if not name.startswith('/dev/'):
        return False
    try:
        is_device = stat.S_ISCHR(os.stat(name).st_mode)  # noqa: PTH116 - with a Path, tests could not name a device
    except OSError:
        is_device = False
    return bool(re.match(r'/dev/(video\d|v4l/)', name)) or (is_device and '/video' in os.path.realpath(name))
