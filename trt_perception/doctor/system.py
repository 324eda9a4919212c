# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the machine: files below a root, programs, variables. Nothing here raises: what cannot be read is empty."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..advice.platform import Platform, find_platform

_COMMAND_S = 10


class System:
    """A machine.

    root: the folder that has proc/, sys/, etc/ and dev/; a test has its own
    environment: the variables; their PATH finds programs
    platform: None to find it
    """

    def __init__(
        self, root: Path = Path('/'), environment: Mapping[str, str] = os.environ, platform: Platform | None = None,
    ) -> None:
        self.root = root
        self.environment = environment
        self.platform = find_platform(root, environment) if platform is None else platform

    def path(self, name: str) -> Path:
        """Return the path of '/name'."""
        return self.root / name.lstrip('/')

    def read(self, name: str) -> str:
        """Return the text of a file, '' if it cannot be read."""
        try:
            return self.path(name).read_text('utf-8', 'replace').strip('\n\0 ')
        except (OSError, ValueError):
            return ''

    def number(self, name: str) -> int | None:
        """Return the whole number in a file, None if it has none."""
        text = self.read(name).strip()
        return int(text) if text.isdigit() else None

    def find(self, folder: str, pattern: str) -> list[Path]:
        """Return the paths in a folder that match a pattern, sorted."""
        try:
            return sorted(self.path(folder).glob(pattern))
        except OSError:
            return []

    def text_of(self, path: Path) -> str:
        """Return the text of a path that find() returned, '' if it cannot be read."""
        try:
            return path.read_text('utf-8', 'replace').strip('\n\0 ')
        except OSError:
            return ''

    def program(self, name: str) -> str:
        """Return the path of a program, '' if it is not on PATH."""
        return shutil.which(name, path=self.environment.get('PATH', os.defpath)) or ''

    def output(self, *command: str) -> str:
        """Return what a program prints, '' if it is missing, fails or takes too long."""
        program = self.program(command[0])
        if not program:
            return ''
        try:
            done = subprocess.run(
                [program, *command[1:]], capture_output=True, text=True, errors='replace', timeout=_COMMAND_S,
                check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError):
            return ''
        return done.stdout.strip() if done.returncode == 0 else ''

    def in_container(self) -> bool:
        """Return whether this is a container of Docker or Podman."""
        return self.path('.dockerenv').exists() or self.path('run/.containerenv').exists()

    def free_bytes(self, folder: Path) -> tuple[int, int] | None:
        """Return free and total bytes of the file system of a folder or of its nearest parent; None if unknown."""
        for place in (folder, *folder.parents):
            try:
                status = os.statvfs(place)
            except OSError:
                continue
            return status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
        return None
