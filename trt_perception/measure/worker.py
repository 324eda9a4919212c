# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The child process of one variant: its memory and its load time are its own.

    python -m trt_perception.measure.worker PARENT_PID

It reads pickled requests from stdin and writes pickled answers to stdout, both from and to its parent only.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..backends.create import create_pipeline
from ..child_process import serve
from ..errors import MissingDependencyError, PerceptionError, one_line
from ..image.frame import Frame
from ..model.spec import load_model
from ..monitor import Monitor
from ..pipeline.host import HostPipeline
from ..pipeline.interface import Pipeline
from ..precision.parity import loosened
from ..results.results import Result
from .process_usage import peak_memory_mb
from .variant import PYTORCH, Variant


class Worker:
    """Answers the requests about one variant."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._pipeline: Pipeline | None = None

    def send(self, *answer: Any) -> None:
        """Write one answer."""
        pickle.dump(answer, self._answers)
        self._answers.flush()

    def open(self, variant: Variant) -> dict[str, Any]:
        """Open the pipeline; returns the seconds from the start of the first import to the end, and a description."""
        started = time.perf_counter()
        pipeline = self._create(variant)
        pipeline.open()
        seconds = time.perf_counter() - started
        self._pipeline = pipeline
        return {'seconds': seconds, 'description': pipeline.describe()}

    def _create(self, variant: Variant) -> Pipeline:
        spec = load_model(variant.spec_file, variant.model_options)
        if variant.backend == PYTORCH:
            from .torchscript import TorchScriptBackend
            backend = TorchScriptBackend(variant.model, spec, variant.options.num_threads)
            return HostPipeline(spec, backend, variant.settings)
        monitor = Monitor(lambda *step: self.send('progress', *step), lambda *line: self.send('log', *line))
        return create_pipeline(spec, variant.options, variant.settings, monitor)

    def run(self, files: list[Path]) -> list[dict[str, float]]:
        """Return the times of each frame in milliseconds: the stages, and `wall` around them."""
        assert self._pipeline is not None
        times = []
        for file in files:
            frame = Frame.from_bgr(np.load(file))
            started = time.perf_counter()
            timings = self._pipeline.run(frame).timings_ms
            times.append({**timings, 'wall': (time.perf_counter() - started) * 1e3})
        return times

    def results(self, files: list[Path]) -> list[Result]:
        """Return the results for a comparison: all classes, and boxes a little below the threshold."""
        pipeline = self._pipeline
        assert pipeline is not None
        kept, pipeline.settings = pipeline.settings, loosened(pipeline.settings)
        found = [pipeline.run(Frame.from_bgr(np.load(file))).result for file in files]
        pipeline.settings = kept
        return found

    def memory(self) -> float | None:
        """Return this process's largest resident memory in MB."""
        return peak_memory_mb(os.getpid())


def main() -> None:
    """Serve until stdin ends."""
    serve(int(sys.argv[1]))
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), 'wb')
    # What libraries print belongs into the log.
    os.dup2(2, 1)
    worker = Worker(answers)
    while True:
        try:
            name, *arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            worker.send('done', getattr(worker, name)(*arguments))
        except MissingDependencyError as error:
            worker.send('missing', one_line(error))
        except (PerceptionError, OSError, MemoryError) as error:
            worker.send('error', one_line(error) or type(error).__name__)


if __name__ == '__main__':
    main()
