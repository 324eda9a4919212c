# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs `trt_perception predict` on a photo of the tests and compares the result with that of x86-64.

  python -m scripts.arm.predict

The model is downloaded once. Exit code 1, with what differs, if a class, score or box is another one.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_MODEL = 'yolov3-tiny'
# Small, because an emulated processor is slow: 416 pixels took more than three minutes of it.
_SIZE = '160'
_PHOTO = 'test/data/photos/coffee.jpg'
# ONNX Runtime 1.32 on x86-64 (AMD EPYC). The pixels are the same on each processor; the sums of a network are not.
_CLASS, _SCORE, _BOX = 'cup', 0.910701, (127.737, 16.177, 452.807, 331.808)
_SCORE_TOLERANCE = 0.001
_BOX_TOLERANCE = 0.05


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'trt_perception.cli.main', *arguments], cwd=_ROOT, stdout=subprocess.PIPE, text=True,
        check=False)


def main() -> int:
    """Return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / 'result.jsonl'
        fetched = _run('fetch', _MODEL, '--size', _SIZE)
        if fetched.returncode:
            return 1
        if _run('predict', fetched.stdout.strip(), _PHOTO, '--json', str(output)).returncode:
            return 1
        found = json.loads(output.read_text(encoding='utf-8'))['detections']
    print(f'{platform.machine()}: {found}')
    if [detection['class_id'] for detection in found] != [_CLASS]:
        print(f'expected one {_CLASS}, as on x86-64')
        return 1
    score = abs(found[0]['score'] - _SCORE)
    box = max(abs(here - there) for here, there in zip(found[0]['bbox'], _BOX))
    print(f'difference from x86-64: score {score:.6f}, box {box:.3f} pixels')
    if score > _SCORE_TOLERANCE or box > _BOX_TOLERANCE:
        print(f'expected at most {_SCORE_TOLERANCE} and {_BOX_TOLERANCE} pixels')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
