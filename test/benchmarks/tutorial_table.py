# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of docs/tutorial.md: the networks of the tutorial on the CPU, in one run, in turns.

  PYTHONPATH=.:test python test/benchmarks/tutorial_table.py tutorial [--rounds 15]

The argument is the folder in which the tutorial's commands were run. The time is the CPU time of one inference in one
thread, the median over the rounds: other programs make it longer too, but less than the time on the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from trt_perception.catalogue.resolve import resolve_model
from trt_perception.litert.backend import LiteRtBackend
from trt_perception.measure.torchscript import TorchScriptBackend
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend


def main() -> int:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of the tutorial, with its models')
    parser.add_argument('--rounds', type=int, default=15, help='inferences of each (default: %(default)s)')
    options = parser.parse_args()
    folder = options.folder
    alexnet = load_model(folder / 'alexnet.onnx')
    lite0, tflite = load_model(resolve_model('efficientnet-lite0')), load_model(folder / 'lite0.tflite')
    yolo = load_model(resolve_model('yolov3-tiny'))
    backends = {
        'AlexNet, PyTorch': (TorchScriptBackend(folder / 'alexnet.torchscript', alexnet, 1), alexnet),
        'AlexNet, ONNX Runtime': (OnnxRuntimeBackend(alexnet.path, num_threads=1), alexnet),
        'EfficientNet-Lite0, ONNX Runtime': (OnnxRuntimeBackend(lite0.path, num_threads=1), lite0),
        'EfficientNet-Lite0, LiteRT': (LiteRtBackend(tflite.path, num_threads=1), tflite),
        'YOLOv3-tiny, ONNX Runtime': (OnnxRuntimeBackend(yolo.path, num_threads=1), yolo),
    }
    inputs = {
        name: np.random.default_rng(0).random(spec.input_shape, np.float32) for name, (_, spec) in backends.items()}
    taken: dict[str, list[float]] = {name: [] for name in backends}
    for backend, _ in backends.values():
        backend.open()
    # The first two turns are not counted.
    for turn in range(options.rounds + 2):
        for name, (backend, spec) in backends.items():
            begin = time.process_time()
            backend.infer(spec.input_name, inputs[name])
            if turn > 1:
                taken[name].append(1000 * (time.process_time() - begin))
    print(f'CPU time in ms, one thread, {options.rounds} inferences in turns: median (lowest, highest)')
    for name, values in taken.items():
        version = backends[name][0].describe()['backend_version']
        print(f'{name} {version}: {statistics.median(values):.1f} ({min(values):.1f}, {max(values):.1f})')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
