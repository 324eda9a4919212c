# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Python processes that tests start."""

from __future__ import annotations

import os
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent


def python_environment(*folders: Path) -> dict[str, str]:
    """Return the environment of a process that can import the package, `support` and the modules in `folders`."""
    path = [*map(str, folders), str(TESTS), str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path))}


def without_progress(text: str) -> str:
    """Return the error output without the lines of a job that takes some seconds, as on a busy machine."""
    return re.sub(r'(?m)^(?:[^:\n]* \(\d+ s\)|[^:\n]+: \d+(?: of \d+)? (?:frames|images))\n', '', text)


def without_middleware(text: str) -> str:
    """Return the output without the lines of Fast DDS, for example about shared memory that other processes use."""
    # Its log has colours, whose codes end in "m": there is no word boundary before the name.
    return re.sub(r'(?m)^.*RTPS_\w+.*\n', '', text)
