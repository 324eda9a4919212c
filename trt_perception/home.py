# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's home folder. An empty HOME, as of some services and containers, counts as not set."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def home_folder() -> Path:
    """Return $HOME, or the folder in the password database. Raises RuntimeError if there is none."""
    given = os.environ.get('HOME')
    if given:
        return Path(given)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise RuntimeError('this user has no home folder') from error


def expanded(name: str) -> str:
    """Return a path without a leading ~ or ~user; it stays if that user has no home folder.

    A final '/' stays too, unlike in a Path.
    """
    if name == '~' or name.startswith('~/'):
        try:
            return f'{str(home_folder()).rstrip("/")}{name[1:]}' or '/'
        except RuntimeError:
            return name
    return os.path.expanduser(name)  # noqa: PTH111
