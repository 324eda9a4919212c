# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How long the command line takes to say something, in turns with Python's own start and with the same imports.

  PYTHONPATH=.:test python test/benchmarks/command_start.py [--rounds 15]

Goals: `--help` ends within 0.25 s of Python's own start. `export` and `inspect` print their first line within 1 s of
their imports: NumPy and the files of the command line for `export` (PyTorch is imported after the line), and ONNX too
for `inspect`. The model is AlexNet-sized: 61 million random weights, 233 MiB. The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HELP_GOAL_S, FIRST_LINE_GOAL_S = 0.25, 1.0
_COMMAND = ('-m', 'trt_perception.cli.main')


def main() -> int:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=15, help='starts of each command (default: %(default)s)')
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        model = large_classifier(Path(folder) / 'large.onnx')
        starts = {
            'python -c pass': ('-c', 'pass'),
            'python -c "import trt_perception.cli.parser, numpy"': ('-c', 'import trt_perception.cli.parser, numpy'),
            'python -c "import trt_perception.cli.parser, onnx"': ('-c', 'import trt_perception.cli.parser, onnx'),
            'trt_perception --help, its end': (*_COMMAND, '--help'),
            'trt_perception export, first line': (*_COMMAND, 'export', 'alexnet', '--weights', 'none'),
            'trt_perception inspect, first line': (*_COMMAND, 'inspect', model),
            'trt_perception inspect --graph, first line': (*_COMMAND, 'inspect', model, '--graph'),
            'trt_perception inspect --fusion, first line': (*_COMMAND, 'inspect', model, '--fusion'),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in starts}
        for turn in range(rounds + 1):
            for name, arguments in starts.items():
                figures = start(arguments, folder, to_first_line='first line' in name)
                # The first turn reads the files from the disk.
                if turn:
                    taken[name].append(figures)
    print(f'{rounds} starts each, in turns; Python {sys.version.split()[0]}')
    print(f'{"median in s":<56} wall (lowest, highest)   CPU')
    for name, figures in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*figures))
        lowest, highest = min(figures)[0], max(figures)[0]
        print(f'{name:<56} {wall:.3f} ({lowest:.3f}, {highest:.3f})     {cpu:.3f}')
    plain, numpy, with_onnx, *commands = taken
    reached = True
    for name in commands:
        base = plain if 'help' in name else numpy if 'export' in name else with_onnx
        goal = HELP_GOAL_S if 'help' in name else FIRST_LINE_GOAL_S
        # Differences within a turn, because the speed of the machine drifts.
        wall, cpu = (
            statistics.median(a[column] - b[column] for a, b in zip(taken[name], taken[base])) for column in (0, 1))
        reached = reached and wall <= goal
        print(f'{name}: {wall:.3f} s more than {base} (goal {goal}), {cpu:.3f} s of CPU time')
    return 0 if reached else 1


def start(arguments: tuple[str, ...], folder: str, to_first_line: bool) -> tuple[float, float]:
    """Start Python and return wall time and CPU time in seconds, to its end or to its first line; then end it."""
    begin = time.perf_counter()
    with subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder) as process:
        assert process.stdout is not None
        line = process.stdout.readline() if to_first_line else process.stdout.read()
        wall = time.perf_counter() - begin
        if to_first_line:
            if not line:
                sys.exit(f'{arguments} printed no line')
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return wall, usage.ru_utime + usage.ru_stime


def large_classifier(path: Path) -> str:
    """Write a classifier of one layer with as many weights as AlexNet; return its path."""
    weights = np.random.default_rng(0).standard_normal((3 * 143 * 143, 1000), np.float32)
    graph = helper.make_graph(
        [helper.make_node('Flatten', ['images'], ['pixels']), helper.make_node('MatMul', ['pixels', 'w'], ['logits'])],
        'large', [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, 143, 143])],
        [helper.make_tensor_value_info('logits', TensorProto.FLOAT, [1, 1000])],
        [numpy_helper.from_array(weights, 'w')])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), str(path))
    return str(path)


if __name__ == '__main__':
    sys.exit(main())
