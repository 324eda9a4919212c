# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the picture of README.md from four frames of the demo's annotated video.

    make demo
    .venv/bin/python scripts/readme_picture.py

The frames are what `make demo` wrote, boxes and scores included; they are only put side by side.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2

from trt_perception.results.draw import contact_sheet

FRAMES = (30, 78, 139, 190)
LIMIT_BYTES = 300_000
_QUALITY = 90


def main() -> int:
    """Write the picture; exit code 1, with one line, if it cannot be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--demo', type=Path, default=Path('demo_output'), help='folder that the demo wrote')
    parser.add_argument('--frames', type=int, nargs='+', default=FRAMES, help='numbers of the frames, from 0')
    parser.add_argument('--output', type=Path, default=Path('docs/images/demo.jpg'))
    options = parser.parse_args()
    video, results = options.demo / 'annotated.webm', options.demo / 'detections.jsonl'
    missing = [str(path) for path in (video, results) if not path.is_file()]
    if missing:
        return _fail(f'missing: {", ".join(missing)}; run make demo first')
    processed = {json.loads(line)['frame'] for line in results.read_text(encoding='utf-8').splitlines()}
    skipped = sorted(set(options.frames) - processed)
    if skipped:
        return _fail(f'the node did not process the frames {skipped} in this run; run make demo again, or use --frames')
    cells = []
    capture = cv2.VideoCapture(str(video))
    for number in range(max(options.frames) + 1):
        found, frame = capture.read()
        if not found:
            return _fail(f'{video} has no frame {number}')
        if number in options.frames:
            cells.append(frame)
    capture.release()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(options.output), contact_sheet(cells, columns=2), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
        return _fail(f'{options.output} cannot be written')
    size = options.output.stat().st_size
    if size > LIMIT_BYTES:
        return _fail(f'{options.output} has {size} bytes: expected at most {LIMIT_BYTES}')
    print(f'{options.output}: {size} bytes')
    return 0


def _fail(reason: str) -> int:
    print(f'readme_picture: {reason}', file=sys.stderr)
    return 1


if __name__ == '__main__':
    sys.exit(main())
