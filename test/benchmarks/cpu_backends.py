# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
r"""Times the whole pipeline of a model on ONNX Runtime and on OpenVINO, in each precision, in turns in one process.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/cpu_backends.py MODEL VIDEO [--int8 FILE...] [--rounds N]

MODEL is an fp32 ONNX file or a name of the catalogue. VIDEO gives the frames, which are resized to 1280x720 bgr8.
--int8 takes files that `trt_perception quantize` made of MODEL, in any form. Each round runs each pipeline on the same
frames, so other programs slow down all of them. The ratio is that of ONNX Runtime fp32 to the row, of the medians and
of the minima over all rounds. The agreement is that of the accuracy gate, on frames spread over the video.

On a machine that other programs use, --cpu-time gives the CPU time of the process for a frame, with one thread.

--peer YOLO measures Ultralytics' predict on the same ONNX file and frames too, in the same turns: YOLO is the program
`yolo` of another environment. It is run as a program of its own, because it is AGPL-3.0; the times are those that it
prints.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from trt_perception.backends.create import create_pipeline
from trt_perception.catalogue.resolve import resolve_model, resolve_video
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.pipeline.interface import Pipeline
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.precision.parity import compare

SIZE = (1280, 720)
FRAMES_IN_A_TURN = 8
STAGES = ('preprocess', 'infer', 'postprocess')


def frames_of(source: str, count: int) -> list[Frame]:
    """Return frames spread evenly over the video, or the images of the folder on a black frame."""
    if Path(source).is_dir():
        return [_on_black(cv2.imread(str(path))) for path in sorted(Path(source).iterdir())[:count]]
    video = str(resolve_video(source, fetch=True))
    capture = cv2.VideoCapture(video)
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = []
    for index in np.linspace(0, total - 1, count).astype(int):
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(index))
        read, pixels = capture.read()
        if read:
            frames.append(Frame.from_bgr(cv2.resize(pixels, SIZE)))
    return frames


def _on_black(pixels: np.ndarray) -> Frame:
    height, width = pixels.shape[:2]
    scale = min(SIZE[0] / width, SIZE[1] / height)
    found = cv2.resize(pixels, (round(width * scale), round(height * scale)))
    frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    frame[:found.shape[0], :found.shape[1]] = found
    return Frame.from_bgr(frame)


class Peer:
    """Ultralytics' predict on images in a folder."""

    def __init__(self, program: str, model: Path, size: int, frames: Sequence[Frame], folder: Path) -> None:
        for index, frame in enumerate(frames):
            cv2.imwrite(str(folder / f'{index:04}.bmp'), frame.bgr())
        self._command = [
            program, 'predict', f'model={model}', f'source={folder}', f'imgsz={size}', 'device=cpu', 'save=False']
        self._folder = folder

    def run(self) -> list[float]:
        """Return its mean milliseconds of preprocess, inference, postprocess, and their sum."""
        done = subprocess.run(self._command, cwd=self._folder, capture_output=True, text=True, check=True)
        spoken = done.stdout + done.stderr
        found = re.search(r'Speed: ([\d.]+)ms preprocess, ([\d.]+)ms inference, ([\d.]+)ms postprocess', spoken)
        if found is None:
            raise RuntimeError(f'no times in the output of {self._command[0]}: {spoken[-500:]}')
        stages = [float(value) for value in found.groups()]
        return [*stages, sum(stages)]


def measure(
    pipelines: dict[str, Pipeline], frames: Sequence[Frame], rounds: int, cpu_time: bool, peer: Peer | None = None,
) -> dict[str, np.ndarray]:
    """Return [frames, stages and total] milliseconds of each pipeline; the total is the CPU time if `cpu_time`."""
    times: dict[str, list[list[float]]] = {name: [] for name in pipelines}
    for number in range(rounds):
        for name, pipeline in pipelines.items():
            for step in range(FRAMES_IN_A_TURN + 1):
                started = time.process_time()
                found = pipeline.run(frames[(number + step) % len(frames)]).timings_ms
                used = (time.process_time() - started) * 1e3
                # The first frame of a turn finds the caches of another pipeline.
                if step:
                    stages = [found[stage] for stage in STAGES]
                    times[name].append([*stages, used if cpu_time else sum(stages)])
        if peer is not None:
            times.setdefault('ultralytics predict', []).append(peer.run())
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('source', help='a video, or a folder with images')
    parser.add_argument('--int8', nargs='+', default=[], metavar='FILE')
    parser.add_argument('--backends', nargs='+', default=['onnxruntime', 'openvino'])
    parser.add_argument('--rounds', type=int, default=12)
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--cpu-time', action='store_true')
    parser.add_argument('--frames', type=int, default=24)
    parser.add_argument('--peer', metavar='YOLO', help="Ultralytics' program yolo; not with --cpu-time")
    options = parser.parse_args()
    spec = load_model(resolve_model(options.model, fetch=True))
    frames = frames_of(options.source, options.frames)
    pipelines: dict[str, Pipeline] = {}
    threads = 1 if options.cpu_time else options.threads
    for backend in options.backends:
        files = [(precision, spec, precision) for precision in ('fp32', 'fp16')]
        files += [(f'int8, {Path(path).name}', load_model(path), 'int8') for path in options.int8]
        for name, file, precision in files:
            if (backend, precision) != ('onnxruntime', 'fp16'):
                chosen = PipelineOptions(backend, precision, num_threads=threads, min_agreement=0.0)
                pipelines[f'{backend} {name}'] = create_pipeline(file, chosen)
    for pipeline in pipelines.values():
        pipeline.open()
    first = next(iter(pipelines))
    agreements = {name: compare(pipelines[first], pipeline, frames) for name, pipeline in pipelines.items()}
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(options.peer, spec.path.absolute(), spec.width, frames, Path(folder)) if options.peer else None
        times = measure(pipelines, frames, options.rounds, options.cpu_time, peer)
    base = times[first][:, -1]
    print(f'{spec.path.name} {spec.width}x{spec.height}, frames {SIZE[0]}x{SIZE[1]} bgr8, {options.rounds} rounds')
    columns = ('pipeline', 'runs in', *STAGES, 'total', 'least', 'ratio', 'ratio of the least', 'agreement')
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, values in times.items():
        whole = values[:, -1]
        described = pipelines[name].describe() if name in pipelines else {}
        stages = ' | '.join(f'{value:.2f}' for value in np.median(values[:, :-1], axis=0))
        print(
            f"| {name} | {described.get('execution_types', described.get('precision_effective', 'fp32'))} | {stages} | "
            f'{np.median(whole):.2f} | {whole.min():.2f} | {np.median(base) / np.median(whole):.2f} | '
            f'{base.min() / whole.min():.2f} | {f"{agreements[name].value:.3f}" if name in agreements else ""} |')
        if name not in pipelines:
            continue
        print(f'  {name}: least pre + post {(values[:, 0] + values[:, 2]).min():.3f} ms, '
              f'median {np.median(values[:, 0] + values[:, 2]):.3f} ms; {agreements[name].summary()}')


if __name__ == '__main__':
    main()
