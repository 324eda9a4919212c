# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends `trt_perception annotate` with SIGKILL at random moments, again and again in the same folder of results.

    PYTHONPATH=.:test python test/reliability/kill_annotate.py --kills 100

Each round annotates six bags and is killed at a random time of the run, or just after an unfinished folder has
appeared. After each kill, every folder that has a name of its own must be complete: its outputs have the sizes of
annotation.json, and as many lines as the bag has images. When all bags are finished, the results must be those of a
run that nobody killed, byte for byte, and no unfinished folder may be left; then the folder is emptied, and it begins
anew. The originals may not change. The last line is a summary as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from support.bags import IMAGE, write_bag
from support.subprocesses import python_environment
from support.tiny_models import color_detector

from trt_perception.annotate.options import FORMATS, PARQUET

_TIMEOUT_S = 300
_BAGS = 6
# Parquet needs a package that is not always there.
_FORMATS = tuple(name for name in FORMATS if name != PARQUET or find_spec('pyarrow'))
# annotation.json, results.jsonl, two of the bag, the COCO file and four images, a video; results.parquet.
_FILES = 10 + (PARQUET in _FORMATS)
_IMAGES = 40


class Workplace:
    """A folder with a model and bags."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        color_detector(folder / 'm.onnx')
        random_numbers = np.random.default_rng(0)
        for number in range(_BAGS):
            images = []
            for index in range(_IMAGES):
                pixels = random_numbers.integers(0, 256, (64, 64, 3), np.uint8)
                pixels[8:16, 8 * (index % 7):8 * (index % 7) + 8] = 0, 0, 255
                images.append((IMAGE, 10**18 + index * 10**7, 10**18 + index * 10**7, {
                    'height': 64, 'width': 64, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 192,
                    'data': pixels.reshape(-1)}))
            write_bag(folder / f'bag{number}', {'/camera/image_raw': images})
        self.originals = self._digests('bag*/*')

    def start(self, output: str) -> subprocess.Popen[bytes]:
        """Start to annotate all bags."""
        return subprocess.Popen(
            [sys.executable, '-m', 'trt_perception.cli.main', 'annotate', *(f'bag{n}' for n in range(_BAGS)), '--model',
             'm.onnx', '--output', output, '--formats', ','.join(_FORMATS), '--merge', '--tracking',
             '--coco-every', '10'],
            cwd=self.folder, env=python_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=(self.folder / 'stderr').open('wb'))

    def finish(self, output: str) -> float:
        """Annotate all bags; return the seconds."""
        started = time.monotonic()
        code = self.start(output).wait(_TIMEOUT_S)
        assert code == 0, (self.folder / 'stderr').read_text()[-2000:]
        return time.monotonic() - started

    def unfinished(self, output: str) -> list[Path]:
        """Return the unfinished folders."""
        return list((self.folder / output).glob('.*.part'))

    def check(self, output: str) -> int:
        """Fail if a folder with a name of its own is not complete; return their number."""
        folders = [path for path in (self.folder / output).glob('*') if not path.name.startswith('.')]
        for folder in folders:
            record = json.loads((folder / 'annotation.json').read_text())
            sizes = {
                str(path.relative_to(folder)): path.stat().st_size
                for path in folder.rglob('*') if path.is_file() and path.name != 'annotation.json'}
            assert sizes == record['outputs'], folder
            assert len((folder / 'results.jsonl').read_text().splitlines()) == _IMAGES, folder
        assert self._digests('bag*/*') == self.originals
        return len(folders)

    def results(self, output: str) -> dict[str, str]:
        """Return the hashes of all results by their names."""
        start = len(output) + 1
        return {name[start:]: digest for name, digest in self._digests(f'{output}/bag*/**/*').items()}

    def _digests(self, pattern: str) -> dict[str, str]:
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.glob(pattern) if path.is_file()}


def main() -> int:
    """Kill and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    choose = random.Random(options.seed)
    kills = with_unfinished = finished_rounds = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = Workplace(Path(name))
        seconds = place.finish('expected')
        expected = place.results('expected')
        assert len(expected) == _BAGS * _FILES, len(expected)
        while kills < options.kills:
            process = place.start('out')
            if choose.random() < 0.7:
                # Those of the run before are removed first.
                old = set(place.unfinished('out'))
                while process.poll() is None and not set(place.unfinished('out')) - old:
                    time.sleep(0.001)
                time.sleep(choose.expovariate(1 / (0.1 * seconds)))
            else:
                time.sleep(choose.uniform(0.1, 1.1) * seconds)
            process.send_signal(signal.SIGKILL)
            killed = process.wait() == -signal.SIGKILL
            kills += killed
            with_unfinished += bool(place.unfinished('out'))
            if place.check('out') == _BAGS or not killed:
                place.finish('out')
                assert place.check('out') == _BAGS and place.unfinished('out') == []
                assert place.results('out') == expected
                shutil.rmtree(place.folder / 'out')
                finished_rounds += 1
            print(f'{kills} kills, {finished_rounds} rounds', file=sys.stderr, flush=True)
        place.finish('out')
        assert place.results('out') == expected and place.unfinished('out') == []
    print(json.dumps({
        'kills': kills, 'formats': ','.join(_FORMATS), 'with_unfinished_folder': with_unfinished,
        'rounds': finished_rounds + 1, 'seconds': round(time.monotonic() - began)}))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
