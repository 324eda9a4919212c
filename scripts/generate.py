# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""python -m scripts.generate: writes the files that come from the table of parameters.

Run it after a change of trt_perception/parameters/table.py; a unit test fails while a file differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trt_perception.parameters.documents import documents

ROOT = Path(__file__).resolve().parents[1]


def stale(root: Path = ROOT) -> dict[str, str]:
    """Return what should be in each generated file that differs, or is missing, by its path below `root`."""
    return {
        name: content for name, content in documents().items()
        if not (root / name).is_file() or (root / name).read_text(encoding='utf-8') != content}


def main() -> int:
    """Write the files that differ and name them."""
    for name, content in stale().items():
        (ROOT / name).write_text(content, encoding='utf-8')
        print(f'{name}: written')
    return 0


if __name__ == '__main__':
    sys.exit(main())
