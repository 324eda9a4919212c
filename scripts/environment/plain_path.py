# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A path that the CMake files of ROS can use: they split paths at spaces."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PLAIN = re.compile(r'[A-Za-z0-9_./+@=~-]+')


@contextlib.contextmanager
def plain(path: Path) -> Iterator[Path]:
    """Yield a path of the same folder without special characters: a link in a temporary folder, if it has some."""
    if _PLAIN.fullmatch(str(path)):
        yield path
        return
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(dir=usual if _PLAIN.fullmatch(usual) else '/tmp') as folder:
        link = Path(folder, 'link')
        link.symlink_to(path, target_is_directory=True)
        yield link


def replace_in_files(root: Path, old: Path, new: Path) -> None:
    """Replace a path in the CMake files and shell files of an installed package, such as the link by its folder."""
    if old == new:
        return
    for file in root.rglob('*'):
        if file.suffix in ('.cmake', '.sh', '.bash', '.zsh', '.dsv') and file.is_file():
            text = file.read_text(encoding='utf-8', errors='surrogateescape')
            if str(old) in text:
                file.write_text(text.replace(str(old), str(new)), encoding='utf-8', errors='surrogateescape')
