# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the Python packages: NumPy and OpenCV that fit each other, the runtimes of the CPU, readers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from importlib import metadata

from ..advice.packages import install_line, numpy_1_line
from .facts import Probe
from .faults import version_of
from .finding import Finding, Level
from .system import System

# module -> (name for people, the first version that is tested, what does not work without it: '' if nothing works)
_NEEDED = {
    'numpy': ('NumPy', '1.23', ''),
    'cv2': ('OpenCV', '4.5.4', ''),
    # Older ones read models, but the quantiser of ONNX Runtime 1.20 and newer cannot be imported with them.
    'onnx': ('onnx', '1.16', 'ONNX models cannot be read'),
    'yaml': ('PyYAML', '5.4', 'class names in .yaml files and bags with metadata cannot be read'),
}
_OPTIONAL = {
    'simplejpeg': ('simplejpeg', '1.8', 'damaged JPEG images are not noticed'),
    'rosbags': ('rosbags', '0.11.0', 'the command line cannot read bags'),
}
# Beside LEAST.
_TESTED_RUNTIMES = {'onnxruntime': '1.16'}
_RUNTIMES = {'onnxruntime': 'ONNX Runtime', 'openvino': 'OpenVINO', 'ai_edge_litert': 'LiteRT'}
# Packages that write into the same folder: the last one installed replaces parts of the others.
_SAME_FOLDER = (
    ('onnxruntime', 'onnxruntime-gpu'),
    ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python', 'opencv-contrib-python-headless'))


def check_packages(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """What the package needs to read images and models."""
    for module, (name, oldest, lost) in _NEEDED.items():
        found = facts.get(module, Probe())
        if not found.found:
            yield _not_found(system, module, found, lost or 'nothing works without it')
        else:
            yield _found(system, module, name, found, oldest)
    fit = facts.get('opencv_with_numpy', Probe())
    if facts.get('cv2', Probe()).found and facts.get('numpy', Probe()).found and not fit.found:
        yield Finding(
            'cv2', Level.ERROR, f'OpenCV does not work with this NumPy: {fit.error.partition("; ")[0]}',
            f'run {numpy_1_line(system.platform)}')
    for module, (name, oldest, lost) in _OPTIONAL.items():
        found = facts.get(module, Probe())
        if found.found:
            yield _found(system, module, name, found, oldest)
        elif found.missing:
            yield Finding(
                module, Level.NOTE, f'{name} is not installed: {lost}', install_line(module, system.platform))
        else:
            yield _broken(system, module, found, Level.WARNING)
    yield from _doubled(system)


def check_runtimes(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """What runs a network: at least one must be there."""
    found = {module: facts.get(module, Probe()) for module in _RUNTIMES}
    gpu = facts.get('gpu', Probe()).found and any(facts.get(n, Probe()).found for n in ('tensorrt', 'tensorrt_rtx'))
    others = gpu or found['openvino'].found
    without = Level.WARNING if others else Level.ERROR
    for module, name in _RUNTIMES.items():
        runtime = found[module]
        if runtime.found:
            yield _found(system, module, name, runtime, _TESTED_RUNTIMES.get(module, '0'))
        elif not runtime.missing:
            yield _broken(system, module, runtime, without if module == 'onnxruntime' else Level.WARNING)
    if not found['onnxruntime'].found and found['onnxruntime'].missing:
        # Accuracy checks compare with it, and a build tries the outputs with it.
        yield Finding(
            'onnxruntime', without,
            'ONNX Runtime is not installed: ' + (
                'accuracy checks and int8 need it' if others else
                'no ONNX model runs' + (', only .tflite files' if found['ai_edge_litert'].found else '')),
            install_line('onnxruntime', system.platform))


def _not_found(system: System, module: str, found: Probe, lost: str) -> Finding:
    if found.missing:
        name = _NEEDED[module][0]
        return Finding(module, Level.ERROR, f'{name} is not installed: {lost}', install_line(module, system.platform))
    return _broken(system, module, found, Level.ERROR)


def _found(system: System, module: str, name: str, found: Probe, oldest: str) -> Finding:
    if found.version and version_of(found.version) < version_of(oldest):
        return Finding(
            module, Level.WARNING, f'{name} {found.version}: {oldest} or newer is tested',
            install_line(module, system.platform, upgrade=True))
    return Finding(module, Level.OK, f'{name} {found.version}')


def _broken(system: System, module: str, found: Probe, level: Level) -> Finding:
    """Return the finding about a package that is installed and cannot be used."""
    if 'built for NumPy 1' in found.error:
        return Finding(module, level, found.error.partition(': run ')[0], f'run {numpy_1_line(system.platform)}')
    if found.error.startswith('files of the Python package') or 'failed to map segment' in found.error:
        text, _, advice = found.error.partition('; ')
        return Finding(module, level, text, advice)
    old = 'is too old' in found.error
    return Finding(
        module, level, found.error.partition('; ')[0],
        install_line(module, system.platform, upgrade=old, again=not old))


def _doubled(system: System) -> Iterator[Finding]:
    for names in _SAME_FOLDER:
        installed = [name for name in names if _is_installed(name)]
        if len(installed) > 1:
            yield Finding(
                'packages', Level.WARNING, f'{" and ".join(installed)} write into one folder and replace each other',
                f'run {system.platform.pip_uninstall(" ".join(installed))}, then '
                f'{system.platform.pip(installed[0])}')


def _is_installed(name: str) -> bool:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return False
