# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A frame's work recorded once and launched as one CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from .driver import CudaDriver, CudaFailure


class CudaGraph:
    """What was queued on a stream, to be run again with one call. Made and used with the context current."""

    def __init__(self, driver: CudaDriver, stream: int, enqueue: Callable[[], None]) -> None:
        """Record what `enqueue` queues on `stream`, without running it.

        All it uses must keep its address and shape as long as the graph lives, and must have run once before, so
        that nothing is loaded or allocated now. Raises CudaFailure, or what `enqueue` raises.
        """
        self._driver = driver
        self._stream = stream
        self._executable = 0
        driver.begin_capture(stream)
        try:
            enqueue()
        except BaseException:
            # The stream must leave the capture, whatever became of it.
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
        """Free it, once; the stream must be idle."""
        executable, self._executable = self._executable, 0
        if executable:
            self._driver.destroy_executable_graph(executable)
