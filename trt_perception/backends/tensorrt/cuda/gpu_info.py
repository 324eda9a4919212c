# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""GPU properties, read from the driver: needs no pycuda, and only use_gpu takes GPU memory."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from ....advice.backend import or_backend
from ....errors import EngineError, MissingDependencyError

_LIBRARY = 'libcuda.so.1'
# CUdevice_attribute
_MULTIPROCESSORS, _INTEGRATED, _MAJOR, _MINOR = 16, 18, 75, 76
_MIB = 1 << 20
_NO_DEVICE = 100


@dataclass(frozen=True)
class GpuInfo:
    """One GPU. compute_capability: such as '8.7'; memory_mib: total memory; integrated: it shares the CPU's memory."""

    name: str
    compute_capability: str
    multiprocessors: int
    memory_mib: int
    integrated: bool


def gpu_info(index: int = 0) -> GpuInfo:
    """Return the properties of GPU `index`; EngineError if there is none, MissingDependencyError without a driver."""
    driver, device = _device(index)
    name = ctypes.create_string_buffer(256)
    _check(driver, driver.cuDeviceGetName(name, len(name), device), 'cuDeviceGetName')
    total = ctypes.c_size_t()
    _check(driver, driver.cuDeviceTotalMem_v2(ctypes.byref(total), device), 'cuDeviceTotalMem')

    def attribute(which: int) -> int:
        value = ctypes.c_int()
        _check(driver, driver.cuDeviceGetAttribute(ctypes.byref(value), which, device), 'cuDeviceGetAttribute')
        return value.value

    return GpuInfo(
        name.value.decode(errors='replace'), f'{attribute(_MAJOR)}.{attribute(_MINOR)}', attribute(_MULTIPROCESSORS),
        total.value // _MIB, bool(attribute(_INTEGRATED)))


def has_gpu() -> bool:
    """Return whether there is a GPU and its driver."""
    return not gpu_obstacle()


def gpu_obstacle() -> str:
    """Return why there is no GPU that can be used, '' if there is one."""
    try:
        _device(0)
    except (EngineError, MissingDependencyError) as error:
        return str(error)
    return ''


def driver_cuda_version() -> str:
    """Return the highest CUDA version that the driver supports, such as '12.4'; '' if it does not tell."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return ''
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)) or version.value <= 0:
        return ''
    return f'{version.value // 1000}.{version.value % 1000 // 10}'


def use_gpu(index: int) -> int:
    """Make GPU `index` current in the calling thread; return its free memory in MiB.

    The primary context stays retained until the process ends and takes GPU memory: use this only in short processes.
    """
    driver, device = _device(index)
    context = ctypes.c_void_p()
    _check(driver, driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), f'GPU {index} provides no context')
    _check(driver, driver.cuCtxSetCurrent(context), 'cuCtxSetCurrent')
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _check(driver, driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)), 'cuMemGetInfo')
    return free.value // _MIB


def _device(index: int) -> tuple[ctypes.CDLL, ctypes.c_int]:
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise MissingDependencyError(
            f'there is no NVIDIA driver: {_LIBRARY} cannot be loaded ({error}); install the driver, or in a container '
            f'start it with --gpus all (--runtime nvidia on a Jetson){or_backend()}') from error
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code and code != _NO_DEVICE:
        raise EngineError(f'the NVIDIA driver does not start: {_reason(driver, code)}; check with nvidia-smi')
    if not 0 <= index < count.value:
        raise EngineError(
            f'device_index is {index}: expected 0 to {count.value - 1}, the GPUs that the NVIDIA driver finds'
            if count.value else
            f'the NVIDIA driver finds no GPU: check with nvidia-smi{or_backend()}')
    device = ctypes.c_int()
    _check(driver, driver.cuDeviceGet(ctypes.byref(device), index), 'cuDeviceGet')
    return driver, device


def _check(driver: ctypes.CDLL, code: int, what: str) -> None:
    if code:
        raise EngineError(f'{what}: {_reason(driver, code)}')


def _reason(driver: ctypes.CDLL, code: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    return text.value.decode(errors='replace') if text.value else f'CUDA error {code}'
