# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Records a frame's GPU work once and launches it as one CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from .driver import CudaDriver, CudaFailure


class CudaGraph:
    """Recorded work of a stream, which one call runs again. Create and use it with the context current."""

    def __init__(self, driver: CudaDriver, stream: int, enqueue: Callable[[], None]) -> None:
        """Record the work that `enqueue` queues on `stream`, without running it.

        Its memory must keep its address and shape while the graph exists. `enqueue` must have run once before, so that
        nothing is loaded or allocated now. Raises CudaFailure, or the error of `enqueue`.
        """
        self._driver = driver
        self._stream = stream
        self._executable = 0
        driver.begin_capture(stream)
        try:
            enqueue()
        except BaseException:
            # The stream must leave the capture mode in any case.
            with contextlib.suppress(CudaFailure):
                driver.destroy_graph(driver.end_capture(stream))
            raise
        graph = driver.end_capture(stream)
        try:
            self._executable = driver.instantiate_graph(graph)
        finally:
            driver.destroy_graph(graph)

    def launch(self) -> None:
        """Queue the whole graph."""
        self._driver.launch_graph(self._executable, self._stream)

    def free(self) -> None:
        """Free the graph; the stream must be idle. Does nothing the second time."""
        executable, self._executable = self._executable, 0
        if executable:
            self._driver.destroy_executable_graph(executable)
