# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends processes that write into the cache with SIGKILL, at random moments.

    PYTHONPATH=.:test python test/reliability/kill_builds.py --kills 100

Jobs: engines of TensorRT for RTX into the cache (fp32, fp16, int8), `build --output`, `quantize --output`, and
`predict` with fp16 and int8 on ONNX Runtime, which stores the converted file. Half of the kills come at any time of the
job, the others just after an unfinished file has appeared.

After each kill the same job runs to its end. It must succeed, and then no unfinished file and no process may be left,
and each stored file must have the SHA-256 of its description. A description may never be beside another file, also
right after the kill. The last line is a summary as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from support.subprocesses import TESTS, python_environment

_CLI = ('-m', 'trt_perception.cli.main')
_ENGINE_JOB = str(TESTS / 'reliability' / 'engine_job.py')
_TIMEOUT_S = 300


class Workplace:
    """A folder with a model, calibration images, a cache, and a folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        from support.precision_models import color_folder, conv_detector

        self.folder = folder
        self.written = [folder / 'cache', folder / 'temporary', folder / 'output']
        color_folder(folder / 'images', 24)
        conv_detector(folder / 'model.onnx', batch_norm=True)
        self.clear()

    def clear(self) -> None:
        """Remove all that jobs have written."""
        for path in self.written:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()

    def jobs(self) -> dict[str, list[str]]:
        """Return the arguments of Python by the name of the job."""
        model, images, output = (str(self.folder / name) for name in ('model.onnx', 'images', 'output'))
        image = next(str(path) for path in sorted((self.folder / 'images').iterdir()))
        calibration = ['--calibration', images]
        found = {
            f'predict {precision}': [
                *_CLI, 'predict', model, image, '--backend', 'onnxruntime', '--precision', precision, *calibration,
                '--calibration-samples', '16', '--min-agreement', '0']
            for precision in ('fp16', 'int8')}
        found['quantize'] = [
            *_CLI, 'quantize', model, *calibration, '--samples', '8', '--checking', '8', '--output',
            f'{output}/int8.onnx']
        if importlib.util.find_spec('tensorrt_rtx'):
            found.update({
                f'engine {precision}': [_ENGINE_JOB, model, images, precision]
                for precision in ('fp32', 'fp16', 'int8')})
            found['build --output'] = [
                *_CLI, 'build', model, '--precision', 'fp16', '--compute-capability', '8.6', '--output',
                f'{output}/model.plan']
        return found

    def start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        """Start a job."""
        environment = {
            **python_environment(), 'XDG_CACHE_HOME': str(self.written[0]), 'TMPDIR': str(self.written[1])}
        return subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=(self.folder / 'stderr').open('wb'))

    def finish(self, arguments: list[str]) -> float:
        """Run a job to its end. Return the seconds. Fails if it fails."""
        started = time.monotonic()
        code = self.start(arguments).wait(_TIMEOUT_S)
        assert code == 0, f'{arguments} ended with {code}: {(self.folder / "stderr").read_text()[-2000:]}'
        return time.monotonic() - started

    def unfinished(self) -> list[Path]:
        """Return the unfinished files and folders."""
        return [path for folder in self.written for path in folder.rglob('.*.part')]

    def wrong_files(self) -> list[str]:
        """Return the files with a description that is not theirs. Descriptions are written last."""
        wrong = []
        for path in (path for folder in self.written for path in folder.rglob('*.json')):
            if path.parent.name.startswith('.'):
                continue
            text = json.loads(path.read_text())
            digest = text.get('plan_sha256') or text.get('sha256')
            file = path.with_suffix('.plan') if path.parent.name == 'engines' else path.with_suffix('')
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                wrong.append(str(path))
        return wrong

    def check_all(self) -> None:
        """Check what is stored after a job has ended by itself."""
        from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache

        assert self.unfinished() == []
        assert self.wrong_files() == []
        engines = EngineCache(self.written[0] / 'trt_perception' / 'engines').entries()
        assert [entry.problem for entry in engines if entry.problem] == []
        converted = list((self.written[0] / 'trt_perception').glob('quantized/*.onnx'))
        # A file without a description would be written again and again.
        assert all(path.with_name(f'{path.name}.json').is_file() for path in converted)


def kill(place: Workplace, job: list[str], after_s: float, wait_for_part: bool) -> bool:
    """Start a job and end it with SIGKILL. Return False if it had ended before."""
    process = place.start(job)
    deadline = time.monotonic() + _TIMEOUT_S
    if wait_for_part:
        while process.poll() is None and not place.unfinished() and time.monotonic() < deadline:
            time.sleep(0.001)
    time.sleep(after_s)
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    # The workers of a build end with their parent.
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == [], alive
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def main() -> int:
    """Kill and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    choose = random.Random(options.seed)
    killed: Counter[str] = Counter()
    finished = with_unfinished = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder))
        jobs = place.jobs()
        seconds: dict[str, float] = {}
        while killed.total() < options.kills:
            name = list(jobs)[(killed.total() + finished) % len(jobs)]
            if name not in seconds:
                seconds[name] = place.finish(jobs[name])
                place.check_all()
                place.clear()
            writing = choose.random() < 0.5
            after = choose.expovariate(1 / 0.05) if writing else choose.uniform(0.2, 1.0) * seconds[name]
            if not kill(place, jobs[name], after, writing):
                finished += 1
                place.clear()
                continue
            killed[name] += 1
            with_unfinished += bool(place.unfinished())
            assert place.wrong_files() == []
            seconds[name] = place.finish(jobs[name])
            place.check_all()
            place.clear()
            print(f'{killed.total()} {name}', file=sys.stderr, flush=True)
    print(json.dumps({
        'kills': killed.total(), 'of': dict(killed), 'with_unfinished_files': with_unfinished,
        'ended_before': finished, 'seconds': round(time.monotonic() - started)}))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
