# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""annotate in one process beside `--ray` with several workers: throughput and CPU time.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/fleet_speed.py MODEL [--workers 2] [--rounds 3]

Both annotate the same bags (JPEG, 640x480, of the test photos) with one thread a process. They take turns, so other
programs slow down both. The clock of a turn runs from the first unfinished output to the end of the command, so
starting Python, Ray and the model is not in it; the whole command is shown too. CPU time is that of all processes of
the command, with those of Ray. The last line has the medians as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from support.bags import write_bag
from support.subprocesses import python_environment

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
SIZE = (640, 480)
START = 1_700_000_000 * 10**9
KIND = 'sensor_msgs/msg/CompressedImage'


def make_bags(folder: Path, bags: int, images: int) -> list[str]:
    """Write bags of shifted photos."""
    photos = [cv2.resize(cv2.imread(str(path)), SIZE) for path in sorted(PHOTOS.glob('*.jpg'))]
    names = []
    for number in range(bags):
        messages = []
        for index in range(images):
            pixels = np.roll(photos[(index + number) % len(photos)], 7 * index, axis=1)
            stamp = START + index * 33_333_333
            data = cv2.imencode('.jpg', pixels)[1].reshape(-1)
            messages.append((KIND, stamp, stamp, {'format': 'bgr8; jpeg compressed bgr8', 'data': data}))
        write_bag(folder / f'bag{number}', {'/camera/image/compressed': messages})
        names.append(f'bag{number}')
    return names


class CpuTime:
    """CPU seconds of all processes that have a variable in their environment, also of those that have ended."""

    def __init__(self, variable: str) -> None:
        self._variable = variable.encode()
        self._seconds: dict[str, float] = {}

    def look(self) -> float:
        """Look at all processes now; return the seconds until now."""
        for process in Path('/proc').glob('[0-9]*'):
            try:
                if process.name not in self._seconds and self._variable not in (process / 'environ').read_bytes():
                    continue
                fields = (process / 'stat').read_text().rpartition(')')[2].split()
            except OSError:
                continue
            self._seconds[process.name] = (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
        return sum(self._seconds.values())


def turn(folder: Path, arguments: list[str], output: str) -> dict[str, float]:
    """Run once; return its seconds of work, of the whole command, and of CPU time."""
    shutil.rmtree(folder / output, ignore_errors=True)
    began = looked = time.monotonic()
    first = last = cpu_first = cpu_last = 0.0
    mark = f'FLEET_SPEED={uuid.uuid4().hex}'
    cpu = CpuTime(mark)
    bags = [name for name in arguments if re.fullmatch(r'bag\d+', name)]
    command = [sys.executable, '-m', 'trt_perception.cli.main', 'annotate', *arguments, '--output', output]
    environment = python_environment() | {'FLEET_SPEED': mark.partition('=')[2]}
    with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            if not first and any(path.suffix == '.part' for path in (folder / output).glob('.*')):
                first, cpu_first = time.monotonic(), cpu.look()
            if not last and all((folder / output / name).exists() for name in bags):
                last, cpu_last = time.monotonic(), cpu.look()
            if time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                cpu.look()
            time.sleep(0.01)
        if process.returncode:
            raise SystemExit(process.stderr.read() if process.stderr else 'failed')
    return {
        'work_s': last - first, 'command_s': time.monotonic() - began,
        'work_cpu_s': cpu_last - cpu_first, 'command_cpu_s': cpu.look()}


def content(folder: Path) -> dict[str, str]:
    """Return the hash of each file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*')) if path.is_file()}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--bags', type=int, default=4)
    parser.add_argument('--images', type=int, default=300)
    parser.add_argument('--part', type=int, default=100)
    options = parser.parse_args()
    model = Path(options.model).absolute() if Path(options.model).exists() else options.model
    found: dict[str, list[dict[str, float]]] = {'one': [], 'fleet': []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bags = make_bags(folder, options.bags, options.images)
        common = [*bags, '--model', str(model), '--threads', '1']
        for number in range(options.rounds):
            for which, extra in (
                    ('one', []),
                    ('fleet', ['--ray', '--ray-workers', str(options.workers), '--ray-images', str(options.part)])):
                found[which].append(turn(folder, [*common, *extra], which))
                print(number, which, {key: round(value, 1) for key, value in found[which][-1].items()},
                      'load', round(os.getloadavg()[0], 1), flush=True)
        same = content(folder / 'one') == content(folder / 'fleet')
    total = options.bags * options.images
    result = {which: {key: round(median(turn[key] for turn in turns), 2) for key in turns[0]}
              for which, turns in found.items()}
    ratios = [one['work_s'] / fleet['work_s'] for one, fleet in zip(found['one'], found['fleet'])]
    print(json.dumps({
        'images': total, 'medians': result, 'images_per_s': {
            which: round(total / values['work_s'], 1) for which, values in result.items()},
        'ratio_of_medians': round(result['one']['work_s'] / result['fleet']['work_s'], 2),
        'ratios': [round(ratio, 2) for ratio in ratios], 'same_files': same}))
    return 0 if same else 1


if __name__ == '__main__':
    sys.exit(main())
