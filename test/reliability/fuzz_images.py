# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes mutated JPEG, PNG, WebP and TIFF data in a child process.

    python test/reliability/fuzz_images.py --count 20000

Fails if the child crashes, prints a line to stderr, raises anything but a FrameError, takes more than --most-s for one
image, or needs more memory than --most-mib. OpenCV before 4.7 prints the errors of TIFF, past its own log; these lines
are left out. The last line is a summary as JSON. Half of the images are read as those of
a topic, half as files; half of each with damaged_images: keep.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
PHOTOS = TESTS / 'data' / 'photos'
# Values that mean something in headers.
_TELLING = (0x00, 0x01, 0x7F, 0x80, 0xC0, 0xC2, 0xC4, 0xD0, 0xD8, 0xD9, 0xDA, 0xFE, 0xFF)
_HEADER = 700


def peak_mib() -> int:
    """Return the peak memory of this process; ru_maxrss would begin with that of its parent."""
    with open('/proc/self/status', encoding='ascii') as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith('VmHWM:')) // 1024


def seeds() -> dict[str, bytes]:
    """Return valid images by name, of all the kinds that are decoded."""
    import cv2

    from trt_perception.image.opencv import quiet

    photo = cv2.resize(cv2.imread(str(PHOTOS / 'coffee.jpg')), (96, 64), interpolation=cv2.INTER_AREA)
    wide = photo.astype(np.uint16) * 257
    alpha = np.dstack([photo, photo[..., 0]])
    progressive, restart = cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL
    kinds = {
        'jpeg': ('.jpg', photo, []), 'jpeg_grey': ('.jpg', photo[..., 0], []),
        'jpeg_progressive': ('.jpg', photo, [progressive, 1]), 'jpeg_restart': ('.jpg', photo, [restart, 3]),
        'png': ('.png', photo, []), 'png_grey': ('.png', photo[..., 0], []), 'png_alpha': ('.png', alpha, []),
        'png_16': ('.png', wide, []), 'png_grey_16': ('.png', wide[..., 0], []),
        'png_1': ('.png', (photo[..., 0] > 99).astype(np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1]),
        'webp': ('.webp', photo, [cv2.IMWRITE_WEBP_QUALITY, 80]),
        'webp_lossless': ('.webp', photo, [cv2.IMWRITE_WEBP_QUALITY, 101]), 'webp_alpha': ('.webp', alpha, []),
        **{f'tiff_{number}': ('.tiff', photo, [cv2.IMWRITE_TIFF_COMPRESSION, number]) for number in (1, 5, 8, 32773)},
        'tiff_16': ('.tiff', wide, []), 'tiff_grey': ('.tiff', photo[..., 0], [])}
    encoded = {}
    for name, (suffix, pixels, parameters) in kinds.items():
        try:
            with quiet:
                data = cv2.imencode(suffix, pixels, parameters)[1]
            encoded[name] = data.tobytes()
        except cv2.error:  # OpenCV 4.5.4 does not write every compression of TIFF.
            continue
    return encoded


def with_another_size(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a JPEG or PNG whose header claims another size, usually one that is allowed."""
    width, height = (int(2 ** rng.uniform(0, 13.5)) for _ in range(2))
    changed = bytearray(data)
    if data.startswith(b'\x89PNG'):
        changed[16:24] = width.to_bytes(4, 'big') + height.to_bytes(4, 'big')
    for marker in (b'\xff\xc0', b'\xff\xc2'):
        at = data.find(marker)
        if data.startswith(b'\xff\xd8') and at > 0:
            changed[at + 5:at + 9] = height.to_bytes(2, 'big') + width.to_bytes(2, 'big')
    return bytes(changed)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a changed copy: bytes or bits replaced, parts removed, repeated or moved, the end cut off."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        reach = min(len(changed), _HEADER) if rng.random() < 0.6 else len(changed)
        at, length = int(rng.integers(0, max(reach, 1))), int(rng.integers(1, 64))
        kind = int(rng.integers(0, 8))
        if not changed:
            break
        if kind in (0, 1):
            changed[at] = int(rng.integers(0, 256)) if kind else int(rng.choice(_TELLING))
        elif kind == 2:
            changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 3:
            del changed[at:at + length]
        elif kind == 4:
            changed[at:at] = changed[at:at + length]
        elif kind == 5:
            changed[at:at] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif kind == 6:
            # A size or a length.
            width = int(rng.choice((2, 4)))
            changed[at:at + width] = int(rng.integers(0, 2**(8 * width) - 1)).to_bytes(width, 'big')
        elif rng.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """Return a PNG whose chunks have right checksums again: otherwise nearly every mutation is found by them."""
    import zlib

    parts, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position:position + 4], 'big')
        body = data[position + 4:end]
        parts += [data[position:position + 4], body, zlib.crc32(body).to_bytes(4, 'big')]
        position = end + 4
    return b''.join(parts)


def images(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield mutated images with the names of their seeds. The same seed gives the same images."""
    rng = np.random.default_rng(seed)
    known = seeds()
    names = sorted(known)
    for number in range(count):
        name = names[number % len(names)]
        data = with_another_size(known[name], rng) if number % 10 == 9 else mutated(known[name], rng)
        yield name, with_right_checksums(data) if name.startswith('png') and rng.random() < 0.8 else data


def decode_all(count: int, seed: int) -> None:
    """Decode in this process and print the summary."""
    from trt_perception.errors import DamagedImageError, FrameError
    from trt_perception.image.file import frame_of_file
    from trt_perception.image.frame import Frame
    from trt_perception.image.options import DROP, KEEP, ImageOptions

    found: Counter[str] = Counter()
    slowest, slowest_name = 0.0, ''
    for number, (name, data) in enumerate(images(count, seed)):
        options = ImageOptions(damaged=KEEP if number // 2 % 2 else DROP)
        started = time.perf_counter()
        try:
            if number % 2:
                frame = frame_of_file(np.frombuffer(data, np.uint8), options)
            else:
                frame = Frame.from_compressed(data, '', options)
            assert frame.bgr().shape == (frame.height, frame.width, 3)
            found['kept' if frame.damage else 'decoded'] += 1
        except DamagedImageError:
            found['damaged'] += 1
        except FrameError:
            found['refused'] += 1
        took = time.perf_counter() - started
        if took > slowest:
            slowest, slowest_name = took, f'{name} {number}'
    print(json.dumps({
        'count': count, 'seed': seed, **found, 'slowest_s': round(slowest, 2), 'slowest': slowest_name,
        'peak_mib': peak_mib()}))


def _old_opencv() -> bool:
    import cv2

    return tuple(map(int, cv2.__version__.split('.')[:2])) < (4, 7)


def main() -> int:
    """Run the child and judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=20000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--most-mib', type=int, default=1300)
    parser.add_argument('--most-s', type=float, default=30.0)
    parser.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        decode_all(options.count, options.seed)
        return 0
    done = subprocess.run(
        [sys.executable, __file__, '--child', '--count', str(options.count), '--seed', str(options.seed)],
        capture_output=True, text=True, check=False)
    print(done.stdout, end='')
    faults = []
    if done.returncode:
        faults.append(f'the child ended with {done.returncode}')
    known = ('imdecode_(', 'TIFF') if _old_opencv() else ()
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(known)]
    if lines:
        faults.append(f'stderr has {len(lines)} lines, the last: {lines[-1]}')
    if not done.returncode:
        summary = json.loads(done.stdout.splitlines()[-1])
        if summary['peak_mib'] > options.most_mib:
            faults.append(f'peak memory was {summary["peak_mib"]} MiB')
        if summary['slowest_s'] > options.most_s:
            faults.append(f'{summary["slowest"]} took {summary["slowest_s"]} s')
    print('\n'.join(faults), file=sys.stderr, end='\n' if faults else '')
    return 1 if faults else 0


if __name__ == '__main__':
    raise SystemExit(main())
