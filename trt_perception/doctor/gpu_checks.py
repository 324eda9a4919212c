# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the way to the GPU: device, driver, TensorRT, CUDA from Python, the compiler of the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..advice.packages import install_line, tensorrt_line
from .facts import Probe
from .faults import import_fault, known_faults
from .finding import Finding, Level
from .system import System

_NVIDIA = '0x10de'
# Class 03 of PCI: display controllers, with 3D controllers.
_DISPLAY = '0x03'
_ON_CPU = 'so the model runs on the CPU'


def check_gpu(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """The GPU and its driver."""
    gpu = facts.get('gpu', Probe())
    if gpu.found:
        memory = f'{gpu.get("memory_mib")} MiB' + (' shared with the CPU' if gpu.get('integrated') == 'True' else '')
        driver = f', the driver supports CUDA {gpu.version}' if gpu.version else ''
        yield Finding('gpu', Level.OK, (
            f'{gpu.get("name")}, compute capability {gpu.get("compute_capability")}, {memory}{driver}'))
        return
    if not _expected(system):
        yield Finding('gpu', Level.OK, 'no NVIDIA GPU: the model runs on the CPU')
        return
    reason = _without_advice(gpu.error) or 'the GPU is not found'
    yield Finding('gpu', Level.WARNING, f'{reason}, {_ON_CPU}', _driver(system))


def check_tensorrt(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """TensorRT, and the known faults of its version on this platform."""
    tensorrt, rtx, gpu = (facts.get(name, Probe()) for name in ('tensorrt', 'tensorrt_rtx', 'gpu'))
    wanted = gpu.found or _expected(system)
    if tensorrt.found:
        yield Finding('tensorrt', Level.OK, f'TensorRT {tensorrt.version}')
        yield from known_faults(system.platform, tensorrt.version, gpu.version)
        return
    if not tensorrt.missing:
        advice = import_fault(system.platform, tensorrt.error, system.in_container())
        yield Finding(
            'tensorrt', Level.WARNING, _without_advice(tensorrt.error),
            advice or tensorrt_line(system.platform))
    elif rtx.found:
        yield Finding('tensorrt', Level.OK, f'TensorRT for RTX {rtx.version}')
    elif wanted:
        yield Finding(
            'tensorrt', Level.WARNING, f'TensorRT is not installed, {_ON_CPU}', tensorrt_line(system.platform))
    else:
        yield Finding('tensorrt', Level.OK, 'not installed, and not needed without an NVIDIA GPU')


def check_cuda(system: System, facts: Mapping[str, Probe]) -> Iterator[Finding]:
    """The Python package that calls CUDA, and what compiles the kernels."""
    if not (facts.get('gpu', Probe()).found or _expected(system)):
        return
    pycuda, bindings, kernels = (facts.get(name, Probe()) for name in ('pycuda', 'cuda', 'kernels'))
    if pycuda.found or bindings.found:
        yield Finding('cuda', Level.OK, (
            f'pycuda {pycuda.version}' if pycuda.found else f'cuda-bindings {bindings.version}, in place of pycuda'))
    else:
        broken = next((found for found in (pycuda, bindings) if not found.missing), None)
        yield Finding(
            'cuda', Level.WARNING, (
                f'{_without_advice(broken.error)}, {_ON_CPU}' if broken else
                f'neither pycuda nor cuda-bindings is installed, {_ON_CPU}'),
            f'{install_line("pycuda", system.platform)}; or, if it cannot be compiled, '
            f'{install_line("cuda", system.platform)}')
    if kernels.get('nvcc'):
        yield Finding('kernels', Level.OK, f'nvcc is {kernels.get("nvcc")}')
    elif kernels.get('nvrtc') == 'True':
        yield Finding('kernels', Level.OK, 'NVRTC compiles the CUDA kernels')
    else:
        yield Finding(
            'kernels', Level.WARNING,
            'neither nvcc nor NVRTC is found: preprocessing and decoding run on the CPU, which is slower',
            install_line('nvcc', system.platform))


def _expected(system: System) -> bool:
    """Return whether the machine has an NVIDIA GPU, whatever the driver says."""
    if system.platform.is_jetson or system.path('proc/driver/nvidia/version').exists():
        return True
    return any(
        system.text_of(path) == _NVIDIA and system.text_of(path.with_name('class')).startswith(_DISPLAY)
        for path in system.find('sys/bus/pci/devices', '*/vendor'))


def _driver(system: System) -> str:
    if system.in_container():
        return 'start the container with ' + ('--runtime nvidia' if system.platform.is_jetson else '--gpus all')
    if system.platform.is_jetson:
        return 'run sudo apt install nvidia-jetpack, then reboot'
    return 'run sudo ubuntu-drivers install, then reboot; nvidia-smi shows whether the driver works'


def _without_advice(error: str) -> str:
    """Return the first part of an error's text: the advice of the table follows in its own column."""
    return error.partition('; ')[0]
