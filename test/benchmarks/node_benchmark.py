# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the node as users run it: in its own process, with images from another process over DDS.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/node_benchmark.py [--json FILE] [--soak-frames N]

Each result is compared with another of the same run; the exit code is 1 if a bound of docs/benchmarks.md is not met.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from trt_perception.backends.create import create_pipeline
from trt_perception.catalogue.resolve import resolve_model
from trt_perception.demo.environment import demo_environment, free_domain_id
from trt_perception.demo.installation import large_images_profile
from trt_perception.demo.waiting import wait_until
from trt_perception.image.frame import Frame
from trt_perception.measure.node_run import NodeRun
from trt_perception.model.spec import load_model
from trt_perception.pipeline.interface import Pipeline
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.progress import ConsoleProgress

HERE = Path(__file__).parent
PHOTO = HERE.parent / 'data' / 'photos' / 'coffee.jpg'
LATENCY_RATE, LATENCY_FRAMES, LATENCY_TURNS = 10.0, 40, 5
CONFIGURE_TURNS = 5


class Node(NodeRun):
    """The node with these options."""

    def __init__(
        self, model: Path, folder: Path, environment: dict[str, str], precision: str = 'fp32', image_depth: int = 1,
    ) -> None:
        super().__init__(
            {'model_file': str(model), 'precision': precision, 'image_depth': str(image_depth)}, folder, environment)

    def run_camera(
        self, width: int, height: int, rate: float, frames: int, label: str, image: str = '',
    ) -> dict[str, Any]:
        with ConsoleProgress(unit='s') as progress:
            return self.feed(width, height, rate, frames, label, image, progress)


def configuring(folder: Path, environment: dict[str, str], model: Path, precision: str) -> dict[str, Any]:
    """Seconds from the configure request to its response, each in a new process; the first one fills the caches."""
    seconds, engines = [], []
    for _ in range(1 + CONFIGURE_TURNS):
        node = Node(model, folder, environment, precision)
        seconds.append(round(node.configure_s, 2))
        seen = node.consumer.diagnostics_received
        wait_until(
            lambda node=node, seen=seen: node.consumer.diagnostics_after(seen) is not None, 10, 'diagnostics',
            [node.child])
        engines.append(node.diagnostics().get('engine_from', 'no engine'))
        node.close()
    return {
        'precision': precision, 'first_s': seconds[0], 'first_engine_from': engines[0], 'configure_s': seconds[1:],
        'engine_from': sorted(set(engines[1:])), 'met': max(seconds[1:]) <= 2.0}


def raw_inference(pipeline: Pipeline, pixels: np.ndarray, frames: int, rate: float) -> list[float]:
    """Return the inference times in the same pipeline without ROS, at the same rate, in milliseconds."""
    frame = Frame.from_bgr(pixels)
    samples = []
    started = time.monotonic()
    for index in range(frames):
        time.sleep(max(0.0, started + index / rate - time.monotonic()))
        samples.append(pipeline.run(frame).timings_ms['infer'])
    return samples


def p(values: list[float], percentile: float = 50) -> float:
    return round(float(np.percentile(values, percentile)), 2)


def latency(folder: Path, environment: dict[str, str], model: Path, precision: str) -> dict[str, Any]:
    """Stamp-to-detection at 10 Hz, 640x480, in turns with raw inference, because the machine's speed drifts."""
    import cv2
    pixels = cv2.resize(cv2.imread(str(PHOTO)), (640, 480))
    np.save(folder / 'photo.npy', pixels)
    pipeline = create_pipeline(load_model(model), PipelineOptions(precision=precision))
    pipeline.open()
    node = Node(model, folder, environment, precision)
    sent, ages = 0, []
    raw = raw_inference(pipeline, pixels, LATENCY_FRAMES, LATENCY_RATE)
    for _ in range(LATENCY_TURNS):
        fed = node.run_camera(640, 480, LATENCY_RATE, LATENCY_FRAMES, 'latency', str(folder / 'photo.npy'))
        sent += fed['sent']
        ages += fed['ages_ms']
        raw += raw_inference(pipeline, pixels, LATENCY_FRAMES, LATENCY_RATE)
    values = node.diagnostics()
    node.close()
    pipeline.close()
    return {
        'sent': sent, 'detected': len(ages), 'raw_inference_p50_ms': p(raw),
        # From the last statistics window of the node.
        'stages_p50_ms': {name[:-7]: float(value) for name, value in values.items() if name.endswith('_ms_p50')},
        'stamp_to_detection_p50_ms': p(ages), 'p95_ms': p(ages, 95), 'p99_ms': p(ages, 99),
        'bound_ms': round(p(raw) + 8, 2), 'met': p(ages) <= p(raw) + 8}


def loss(folder: Path, environment: dict[str, str], model: Path, precision: str, image_depth: int) -> dict[str, Any]:
    """Frames lost between the processes at 30 Hz, 1920x1080."""
    node = Node(model, folder, environment, precision, image_depth)
    fed = node.run_camera(1920, 1080, 30.0, 300, 'loss')
    values = node.diagnostics()
    node.close()
    received = int(values['received'])
    return {
        'sent': fed['sent'], 'rate_hz': round(fed['rate_hz'], 1), 'received': received,
        'processed': int(values['processed']), 'replaced': int(values['replaced']),
        'stamp_to_detection_p50_ms': p(fed['ages_ms']), 'p99_ms': p(fed['ages_ms'], 99),
        'lost': fed['sent'] - received, 'met': received == fed['sent']}


def memory_of_large_model(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Resident memory with a model of YOLOv8n's size at 640x640."""
    model = folder / 'yolov8n_sized.onnx'
    subprocess.run([sys.executable, str(HERE / 'yolov8n_sized.py'), str(model)], check=True)
    node = Node(model, folder, environment)
    fed = node.run_camera(640, 480, 5.0, 100, 'memory')
    resident = node.resident_mb()
    values = node.diagnostics()
    node.close()
    return {
        'sent': fed['sent'], 'received': int(values['received']), 'detected': len(fed['ages_ms']),
        'infer_p50_ms': float(values['infer_ms_p50']), 'stamp_to_detection_p50_ms': p(fed['ages_ms']),
        'resident_mb': round(resident, 1), 'met': resident <= 350}


def soak(
    folder: Path, environment: dict[str, str], model: Path, precision: str, frames: int, rate: float,
) -> dict[str, Any]:
    """Growth of resident memory over many frames."""
    node = Node(model, folder, environment, precision)
    # Only one camera: a second one would add a shared-memory segment, which counts as resident memory too.
    fed = node.run_camera(640, 480, rate, frames + frames // 10, 'soak')
    resident = fed['resident_mb']
    before, after = resident[len(resident) // 11], resident[-1]
    values = node.diagnostics()
    node.close()
    return {
        'processed': int(values['processed']), 'resident_before_mb': round(before, 1),
        'resident_after_mb': round(after, 1),
        # The normal variation of the allocators of Python, DDS and ONNX Runtime is smaller than this.
        'met': after - before < 5.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--soak-frames', type=int, default=10000)
    parser.add_argument('--soak-rate', type=float, default=20.0, help='images a second')
    parser.add_argument('--only', choices=('configure', 'latency', 'loss', 'memory', 'soak'))
    parser.add_argument('--model', default='yolov3-tiny', help='for all steps except memory (default: %(default)s)')
    parser.add_argument('--precision', default='fp32')
    parser.add_argument(
        '--image-depth', type=int, default=1,
        help="the node's image_depth when loss is measured (default: %(default)s)")
    options = parser.parse_args()
    model = resolve_model(options.model)
    environment = demo_environment(free_domain_id(), large_images_profile())
    os.environ.update(environment)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for step, measure in {
            'configure': lambda: configuring(folder, environment, model, options.precision),
            'latency': lambda: latency(folder, environment, model, options.precision),
            'loss': lambda: loss(folder, environment, model, options.precision, options.image_depth),
            'memory': lambda: memory_of_large_model(folder, environment),
            'soak': lambda: soak(folder, environment, model, options.precision, options.soak_frames, options.soak_rate),
        }.items():
            if options.only in (None, step):
                results[step] = measure()
                print(f'{step}: {json.dumps(results[step])}', flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
    return 0 if all(result['met'] for result in results.values()) else 1


if __name__ == '__main__':
    sys.exit(main())
