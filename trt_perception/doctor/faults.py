# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Known faults of JetPack and TensorRT versions, each with its source (the day of the table: 2026-11-29)."""

from __future__ import annotations

from collections.abc import Iterator

from ..advice.backend import or_backend
from ..advice.platform import Platform
from .finding import Finding, Level

# JetPack -> the TensorRT that it has. Sources: NVIDIA's pages of JetPack, and the release notes of TensorRT 10.16.1 and
# 11.4.1. Longer versions first.
_SHIPPED = (('7.2.2', (11, 4)), ('7.2', (10, 16)), ('7.1', (10, 13)), ('7.0', (10, 13)), ('6.2', (10, 3)),
            ('6.1', (10, 3)), ('6.0', (8, 6)), ('5', (8, 5)))
OLDEST = (8, 6)


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version: (10, 13, 3) of '10.13.3.9+cuda13'."""
    numbers = []
    for part in text.split('+', maxsplit=1)[0].split('.'):
        digits = part[:len(part) - len(part.lstrip('0123456789'))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def shipped_tensorrt(jetpack: str) -> tuple[int, int] | None:
    """Return the TensorRT of a JetPack, None if it is not in the table."""
    numbers = version_of(jetpack)
    for name, tensorrt in _SHIPPED:
        wanted = version_of(name)
        # 7.2.3 has what 7.2.2 has.
        if numbers[:len(wanted)] == wanted or (len(wanted) == 3 and numbers[:2] == wanted[:2] and numbers >= wanted):
            return tensorrt
    return None


def known_faults(platform: Platform, tensorrt: str, driver_cuda: str) -> Iterator[Finding]:
    """Yield what is known to be wrong with this TensorRT on this platform.

    tensorrt: its version; driver_cuda: the highest CUDA version that the driver supports, '' if unknown
    """
    version, cuda = version_of(tensorrt), version_of(driver_cuda)
    if not version:
        return
    if version < OLDEST:
        yield _of(Level.ERROR, f'TensorRT {tensorrt} is too old: 8.6 or newer is needed', _update(platform))
    if platform.is_jetson:
        yield from _on_jetson(platform, version, tensorrt)
    elif cuda:
        needed = 13 if version >= (11,) else 12 if version >= (10, 13, 2) else 0
        if cuda[0] < needed:
            yield _of(
                Level.ERROR, f'TensorRT {tensorrt} needs CUDA {needed}, and this driver supports CUDA {driver_cuda}',
                'run sudo ubuntu-drivers install, then reboot')


def _on_jetson(platform: Platform, version: tuple[int, ...], text: str) -> Iterator[Finding]:
    jetpack = version_of(platform.jetpack)
    if not jetpack:
        yield _of(Level.NOTE, 'the JetPack of this L4T is not known here: the TensorRT that belongs to it is unknown')
        return
    shipped = shipped_tensorrt(platform.jetpack)
    if version >= (11,) and jetpack < (7, 2, 2):
        where = 'JetPack 6' if jetpack < (7,) else 'JetPack before 7.2.2'
        yield _of(
            Level.ERROR, f'TensorRT {text} is not supported on {where} (release notes of TensorRT 11.4.1: it is the '
            'first 11.x on JetPack)', _as_shipped(platform, shipped))
        return
    if (11,) <= version < (11, 4):
        yield _of(
            Level.ERROR, f'TensorRT {text} is not supported on JetPack (release notes of TensorRT 11.4.1)',
            _as_shipped(platform, shipped))
        return
    if shipped is not None and version[:2] != shipped:
        yield _of(
            Level.WARNING, f'TensorRT {text} is not the {shipped[0]}.{shipped[1]} of JetPack {platform.jetpack}',
            _as_shipped(platform, shipped))
    if jetpack[:1] == (6,) and (10, 7) <= version < (11,):
        yield _of(
            Level.NOTE, 'TensorRT 10.7 was reported slower than 10.3 on Orin: YOLO26n in fp16 1.44 ms more '
            '(ivanlok.com); measure both', 'run trt_perception benchmark MODEL --precision fp16')
    if (10, 8) <= version < (11, 4):
        yield _of(
            Level.NOTE, f'TensorRT {text} has no DLA: 10.7 was the last 10.x with it', 'leave dla_core at -1')


def import_fault(platform: Platform, error: str, container: bool) -> str:
    """Return what to do if TensorRT is installed and cannot be imported, '' if the error is not known."""
    if 'libnvdla_compiler' in error or 'libnvcudla' in error:
        host = ' on the host, and start the container with --runtime nvidia' if container else ''
        return f'run sudo apt install nvidia-l4t-dla-compiler{host}'
    if 'libnvinfer' in error:
        return 'run sudo apt install --reinstall libnvinfer-bin python3-libnvinfer' if platform.is_jetson else (
            f'run {platform.pip("--force-reinstall tensorrt")}')
    if 'libcuda' in error or 'libcudart' in error:
        return (
            'start the container with --runtime nvidia' if platform.is_jetson else
            'start the container with --gpus all') if container else 'install the NVIDIA driver'
    return ''


def _as_shipped(platform: Platform, shipped: tuple[int, int] | None) -> str:
    removed = f'run {platform.pip_uninstall("tensorrt")}, then '
    if shipped is None:
        return f'{removed}sudo apt install --reinstall python3-libnvinfer'
    return f"{removed}sudo apt install 'python3-libnvinfer={shipped[0]}.{shipped[1]}*'"


def _update(platform: Platform) -> str:
    if platform.is_jetson:
        return f'install JetPack 6.1 or newer{or_backend()}'
    return f'run {platform.pip("--upgrade tensorrt")}'


def _of(level: Level, text: str, advice: str = '') -> Finding:
    return Finding('tensorrt', level, text, advice)
