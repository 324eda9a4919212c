# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception node as users run it: in its own process, with images from another process over DDS."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition

from ..child_process import start_module
from ..demo.child import Child
from ..demo.consumer import Consumer, start_consumer
from ..demo.errors import DemoError
from ..demo.installation import executable
from ..demo.waiting import wait_until
from ..progress import ProgressCallback
from .process_usage import cpu_seconds, memory_mb

NODE = '/perception_node'
# configure may build an engine.
_CONFIGURE_S = 3600
_CONNECT_S = 30
_DIAGNOSTICS_S = 10
_POLL_S = 0.2


class NodeRun:
    """The node, configured and active, and a subscriber to its topics; a context manager.

    parameters: of the node, as -p NAME:=VALUE takes them
    environment: of `demo_environment`; this process adopts it
    """

    def __init__(self, parameters: Mapping[str, str], folder: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        command = [str(executable('perception_node')), '--ros-args']
        for name, value in parameters.items():
            command += ['-p', f'{name}:={value}']
        self.child = Child('perception_node', command, folder / 'node.log', environment)
        try:
            self.consumer: Consumer = start_consumer(environment, NODE)
            try:
                self._activate()
            except BaseException:
                self.consumer.close()
                raise
        except BaseException:
            self.child.stop()
            raise

    def _activate(self) -> None:
        # The node must be up first: the time of configure must not include Python's start.
        wait_until(
            lambda: self.consumer.diagnostics_after(0) is not None, _CONNECT_S, 'diagnostics', [self.child])
        started = time.monotonic()
        self.consumer.change_state(
            Transition.TRANSITION_CONFIGURE, 'configure', self.child, _CONFIGURE_S, lambda: None)
        self.configure_s = time.monotonic() - started
        self.consumer.change_state(Transition.TRANSITION_ACTIVATE, 'activate', self.child, _CONNECT_S, lambda: None)
        wait_until(self.consumer.is_connected, _CONNECT_S, 'the node to be connected', [self.child])

    def feed(
        self, width: int, height: int, rate: float, frames: int, label: str, image: str, progress: ProgressCallback,
    ) -> dict[str, Any]:
        """Run a camera to its end.

        image: npy file of a (height, width, 3) uint8 BGR image, '' for noise
        Returns the camera's `sent` and `rate_hz`, the node's `resident_mb` every 0.2 s, its `cpu_percent` of one core
        while images were sent, and `ages_ms`: from the stamp of an image to its result here. Raises DemoError if the
        node or the camera ends.
        """
        before = len(self.consumer.results)
        camera = start_module(
            'trt_perception.measure.camera', '--width', str(width), '--height', str(height), '--rate', str(rate),
            '--frames', str(frames), *(['--image', image] if image else []), stdout=subprocess.PIPE)
        resident: list[float] = []
        try:
            started, before_cpu = time.monotonic(), self._cpu()
            while camera.poll() is None:
                time.sleep(_POLL_S)
                self.child.check_running()
                resident.append(self.resident_mb())
                progress(label, int(time.monotonic() - started), int(frames / rate) + 4)
            used = self._cpu() - before_cpu
        finally:
            camera.kill()
            camera.wait()
        assert camera.stdout is not None
        with camera.stdout as output:
            printed = output.read()
        if camera.returncode:
            raise DemoError(f'the camera of the benchmark ended with code {camera.returncode}')
        # Two more diagnostics messages: the second one has the last counts.
        seen = self.consumer.diagnostics_received + 1
        wait_until(
            lambda: self.consumer.diagnostics_after(seen) is not None, _DIAGNOSTICS_S, 'diagnostics', [self.child])
        # Fast DDS prints its warnings to the same stream.
        sent = json.loads(next(line for line in printed.splitlines() if line.startswith(b'{')))
        # The camera also starts and ends in this time, but the node only works while images arrive.
        seconds = sent['sent'] / sent['rate_hz']
        return {
            **sent, 'resident_mb': resident, 'cpu_percent': round(100 * used / seconds, 1),
            'ages_ms': [result.age_ms for result in self.consumer.results[before:]]}

    def _cpu(self) -> float:
        return cpu_seconds(self.child.pid) or 0.0

    def diagnostics(self) -> dict[str, str]:
        """Return the node's newest diagnostics."""
        return self.consumer.diagnostics_after(0) or {}

    def resident_mb(self) -> float:
        """Return the node's resident memory in MB."""
        return memory_mb(self.child.pid) or 0.0

    def close(self) -> None:
        """End both."""
        self.consumer.close()
        self.child.stop()

    def __enter__(self) -> NodeRun:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End both."""
        self.close()
