# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs all checks. A check that fails itself is one finding, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import one_line, printable
from .facts import NOT_STARTED, Probe, probe
from .finding import Finding, Level
from .gpu_checks import check_cuda, check_gpu, check_tensorrt
from .package_checks import check_packages, check_runtimes
from .platform_checks import check_cache, check_memory, check_platform, check_power
from .ros_checks import check_log_folder, check_middleware, check_ros, check_shared_memory, check_sockets
from .system import System
from .worker import PROBES

Check = Callable[[System, Mapping[str, Probe]], Iterator[Finding]]
_WITHOUT_PROBES: tuple[Check, ...] = (check_platform, check_power, check_memory, check_cache)
CHECKS: tuple[Check, ...] = (
    *_WITHOUT_PROBES, check_gpu, check_tensorrt, check_cuda, check_packages,
    check_runtimes, check_ros, check_middleware, check_log_folder, check_shared_memory, check_sockets)


def examine(system: System, facts: Mapping[str, Probe] | None = None) -> list[Finding]:
    """Return the findings of all checks, in the order of the report. Raises nothing.

    facts: what the probes of worker.py found, None to run them
    """
    if facts is None:
        facts = probe(list(PROBES))
    findings: list[Finding] = []
    unknown = bool(facts) and all(found.error == NOT_STARTED for found in facts.values())
    for check in _WITHOUT_PROBES if unknown else CHECKS:
        try:
            findings += check(system, facts)
        except Exception as error:
            name = check.__name__.removeprefix('check_').replace('_', ' ')
            findings.append(Finding(
                name, Level.WARNING, one_line(f'this check failed: {type(error).__name__}: {error}'),
                'report it as a bug of trt_perception'))
    if unknown:
        # Each package would be called broken.
        findings.append(Finding(
            'packages', Level.ERROR, 'not checked: no child process can be started',
            'allow this user more processes (ulimit -u, or the limit of the container) and more memory'))
    return findings


def prevented(findings: list[Finding]) -> bool:
    """Return whether a finding prevents something from running."""
    return any(finding.level is Level.ERROR for finding in findings)


def as_dict(findings: list[Finding], version: str) -> dict[str, Any]:
    """Return the report in the form of --json."""
    return {
        'version': version, 'ok': not prevented(findings),
        'findings': [
            {'check': f.check, 'level': f.level.value, 'text': printable(f.text), 'advice': printable(f.advice)}
            for f in findings]}


def as_text(findings: list[Finding]) -> str:
    """Return the report as lines: level, check, text, and the advice below."""
    lines = []
    for finding in findings:
        lines.append(f'{finding.level.value:<8} {finding.check:<14} {printable(finding.text)}')
        if finding.advice:
            lines.append(f'{"":<8} {"":<14} -> {printable(finding.advice)}')
    counts = {level: sum(f.level is level for f in findings) for level in Level}
    end = 'something cannot run: see the errors' if prevented(findings) else 'nothing prevents it from running'
    lines.append(
        f'{_counted(counts[Level.ERROR], "error")}, {_counted(counts[Level.WARNING], "warning")}, '
        f'{_counted(counts[Level.NOTE], "note")}: {end}')
    return '\n'.join(lines)


def _counted(count: int, name: str) -> str:
    return f'{count} {name}{"" if count == 1 else "s"}'
