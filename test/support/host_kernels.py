# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels, compiled as host C++ (native/cuda_on_host.h) and run on NumPy arrays."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trt_perception.backends.tensorrt.cuda.kernel_module import KernelModule
from trt_perception.backends.tensorrt.cuda.runtime_api import DeviceBuffer, HostBuffer
from trt_perception.backends.tensorrt.run.detection_work import DetectionWork
from trt_perception.backends.tensorrt.run.frame_slot import PREPROCESS_BLOCK
from trt_perception.backends.tensorrt.run.resampling import (
    device_frame,
    kernel_name,
    sampling_of,
    sampling_tables,
    sampling_threads,
)
from trt_perception.backends.tensorrt.run.runtime import Tensor
from trt_perception.pipeline.preprocess import geometry_of

HEADERS = Path(__file__).parents[2] / 'trt_perception' / 'backends' / 'tensorrt' / 'cuda' / 'kernels'
SOURCE = Path(__file__).parent / 'native' / 'kernels_on_host.cpp'


def compile_kernels(folder):
    """Return the library; skip if there is no C++ compiler, fail if the code does not compile."""
    compiler = os.environ.get('CXX') or shutil.which('c++') or shutil.which('g++')
    if compiler is None:
        pytest.skip('no C++ compiler here')
    library = folder / 'kernels_on_host.so'
    # C++11 and all warnings as errors, for NVRTC and old nvcc. No fused multiply-add, as on the GPU.
    command = [
        compiler, '-std=c++11', '-O2', '-Wall', '-Wextra', '-Werror', '-Wno-unknown-pragmas', '-ffp-contract=off',
        # A fortified longjmp cannot jump from one stack to another.
        '-U_FORTIFY_SOURCE', '-shared', '-fPIC', '-I', str(HEADERS), '-o', str(library), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    loaded.float_from_half.restype = ctypes.c_float
    loaded.float_from_half.argtypes = [ctypes.c_ushort]
    loaded.half_from_float.restype = ctypes.c_ushort
    loaded.half_from_float.argtypes = [ctypes.c_float]
    return loaded


class HostDriver:
    """Runs the kernels of the library with the interface of CudaDriver."""

    def __init__(self, library):
        self.library = library

    def load_module(self, cubin):
        return 1

    def module_function(self, module, name):
        return getattr(self.library, f'launch_{name}')

    def launch(self, function, grid, block, argument, stream):
        function.restype = ctypes.c_char_p
        pair = ctypes.c_uint * 2
        wrong = function(ctypes.byref(argument), pair(*grid), pair(*block))
        assert wrong is None, wrong.decode()


class HostSession:
    """Memory with the interface of CudaSession, but on the host: first full of garbage, and with a guard behind it."""

    GUARD = b'guard' * 20

    def __init__(self):
        self._buffers = []
        self.downloads = 0

    def allocate(self, size):
        return DeviceBuffer(self._new(size).ctypes.data, size, lambda: None)

    def allocate_host(self, size, mapped=False, write_only=False):
        array = self._new(size)
        return HostBuffer(array, array.ctypes.data if mapped else 0, lambda: None)

    def release(self, buffer):
        """Keep the buffer, because check() checks its guard at the end."""

    def upload(self, target, source):
        ctypes.memmove(target, source.ctypes.data, source.nbytes)

    def download(self, target, source):
        self.downloads += 1
        ctypes.memmove(target.ctypes.data, source, target.nbytes)

    def synchronize(self):
        pass

    def check(self):
        """Fail if something was written behind a buffer."""
        for buffer in self._buffers:
            assert bytes(buffer[-len(self.GUARD):]) == self.GUARD

    def _new(self, size):
        # Aligned to 256 bytes, as in CUDA.
        buffer = np.full(size + 256 + len(self.GUARD), 0x55, np.uint8)
        first = -buffer.ctypes.data % 256
        buffer = buffer[first:first + size + len(self.GUARD)]
        buffer[size:] = np.frombuffer(self.GUARD, np.uint8)
        self._buffers.append(buffer)
        return buffer[:size]


def preprocess(library, spec, frame):
    """Return the input tensor that the preprocessing kernel writes, and the geometry."""
    interpolation = spec.preprocessing.interpolation
    geometry = geometry_of(spec, frame.width, frame.height)
    form, uploaded = device_frame(frame)
    tables = sampling_tables(interpolation, form, geometry)
    # A copy of exactly the uploaded bytes, so that a memory checker detects a read beyond them.
    pixels = np.array(uploaded.data[:form.size])
    if tables.used is not None:
        pixels = pixels.reshape(frame.height, form.step)[tables.used].copy()
    data = np.array(tables.data)
    tensor = np.full(spec.input_shape, 99, spec.input_dtype)
    header = np.full(8, 7, np.int32)
    sampling = sampling_of(spec, form, geometry)
    sampling.source, sampling.tensor, sampling.candidates = (
        array.ctypes.data for array in (pixels, tensor, header))
    tables.place(sampling, data.ctypes.data)
    KernelModule(HostDriver(library), b'').launch(
        kernel_name(interpolation, form), sampling_threads(sampling), PREPROCESS_BLOCK, sampling, 0)
    assert header.tolist() == [0, 0] + [7] * 6
    return tensor, geometry


def decode(library, head, output, geometry, settings):
    """Return the detections of the device pipeline for an output tensor, and whether the kernel selected them."""
    output = np.ascontiguousarray(output)
    session = HostSession()
    tensor = Tensor(head.output_name, output.dtype, output.shape, output.ctypes.data)
    work = DetectionWork(head, tensor, session, KernelModule(HostDriver(library), b''))
    work.prepare(geometry)
    work.update(settings)
    # The preprocessing kernel clears it.
    ctypes.memset(work.header_address, 0, 8)
    work.enqueue(0)
    session.downloads = 0
    found = work.result(settings)
    session.check()
    return found, session.downloads == 0
