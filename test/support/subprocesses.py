# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Python processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent


def python_environment(*folders: Path) -> dict[str, str]:
    """Return the environment of a process that can import the package, `support` and the modules in `folders`."""
    path = [*map(str, folders), str(TESTS), str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path))}
