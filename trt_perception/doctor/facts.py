# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is installed, as a child process finds it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..child_process import signal_name, start_module

# An import of a large library from a slow disk.
_PROBE_S = 60.0
# Of all probes alike.
NOT_STARTED = 'the child process that imports it cannot be started'


@dataclass(frozen=True)
class Probe:
    """What a probe of worker.py found.

    found: whether it works; version: '' if it has none
    error: why it does not work; more: other facts by name
    """

    found: bool = False
    version: str = ''
    error: str = ''
    more: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> bool:
        """Whether it is not installed; otherwise it is installed and does not work."""
        return not self.found and (not self.error or 'is not installed' in self.error)

    def get(self, name: str) -> str:
        """Return another fact, '' if there is none."""
        return self.more.get(name, '')


def probe(names: Sequence[str], limit_s: float = _PROBE_S) -> dict[str, Probe]:
    """Run the probes, each in a process that may crash; returns what each found. Raises nothing.

    limit_s: the longest time of one probe in seconds
    """
    found: dict[str, Probe] = {}
    while len(found) < len(names):
        left = [name for name in names if name not in found]
        before = len(found)
        _run(left, found, limit_s)
        if len(found) == before:
            found[left[0]] = Probe(error=NOT_STARTED)
    return found


def _run(names: Sequence[str], found: dict[str, Probe], limit_s: float) -> None:
    """Run the probes in one process until it ends."""
    begun = ''
    try:
        process = start_module(
            'trt_perception.doctor.worker', str(os.getpid()), *names, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return
    try:
        for answer in _answers(process, limit_s):
            if 'begins' in answer:
                begun = str(answer['begins'])
                continue
            facts = {key: str(value) for key, value in answer.get('facts', {}).items()}
            found[str(answer['ends'])] = Probe(
                bool(answer['found']), facts.pop('version', ''), str(answer.get('error', '')), facts)
            begun = ''
        code = process.poll()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if begun:
        found[begun] = Probe(error=(
            f'it is installed, but it does not answer within {limit_s:.0f} s' if code is None else
            f'it is installed, but it ends the process with {signal_name(-code)}' if code < 0 else
            f'it is installed, but it ends the process with exit code {code}'))


def _answers(process: subprocess.Popen[bytes], limit_s: float) -> Any:
    """Yield each line as a dict until the process ends or a line takes longer than limit_s."""
    assert process.stdout is not None
    descriptor, rest, deadline = process.stdout.fileno(), b'', time.monotonic() + limit_s
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return
        data = os.read(descriptor, 65536)
        if not data:
            process.wait()
            return
        *lines, rest = (rest + data).split(b'\n')
        for line in lines:
            with contextlib.suppress(ValueError):
                yield json.loads(line)
            deadline = time.monotonic() + limit_s
