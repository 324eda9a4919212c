# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels' arithmetic, compiled as host C++ and called on NumPy arrays."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trt_perception.backends.tensorrt.candidates import (
    CANDIDATE,
    FRAME_SETTINGS,
    HEADER_BYTES,
    candidate_layout,
    read_candidates,
    write_settings,
)
from trt_perception.backends.tensorrt.sampling import (
    column_taps,
    device_frame,
    renumbered,
    row_taps,
    sampling_of,
    used_rows,
)
from trt_perception.backends.tensorrt.selection import KERNEL, SELECTED, SelectedView, selection_of
from trt_perception.geometry import make_geometry

HEADERS = Path(__file__).parents[2] / 'trt_perception' / 'backends' / 'tensorrt' / 'kernels'
SOURCE = Path(__file__).parent / 'native' / 'kernels_on_host.cpp'


def compile_kernels(folder):
    """Return the library; skips where there is no C++ compiler, fails where the code does not compile."""
    compiler = os.environ.get('CXX') or shutil.which('c++') or shutil.which('g++')
    if compiler is None:
        pytest.skip('no C++ compiler here')
    library = folder / 'kernels_on_host.so'
    # C++11, and every warning an error: NVRTC and old nvcc take no more. No fused multiply-add, as on the GPU.
    command = [
        compiler, '-std=c++11', '-O2', '-Wall', '-Wextra', '-Werror', '-ffp-contract=off', '-shared', '-fPIC',
        '-I', str(HEADERS), '-o', str(library), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    loaded.float_from_half.restype = ctypes.c_float
    loaded.float_from_half.argtypes = [ctypes.c_ushort]
    loaded.half_from_float.restype = ctypes.c_ushort
    loaded.half_from_float.argtypes = [ctypes.c_float]
    return loaded


def preprocess(library, spec, frame):
    """What the preprocessing kernel writes: the input tensor."""
    options = spec.preprocessing
    geometry = make_geometry(
        options.resize_mode, frame.width, frame.height, spec.width, spec.height, options.crop_fraction)
    form, uploaded = device_frame(frame)
    columns, rows = column_taps(geometry), row_taps(geometry)
    # A copy of exactly the uploaded bytes, so that a tool that checks memory sees a read beyond them.
    pixels = np.array(uploaded.data[:form.size])
    used = used_rows(form, rows)
    if used is not None:
        pixels = pixels.reshape(frame.height, form.step)[used].copy()
        rows = renumbered(rows, used)
    tensor = np.full(spec.input_shape, 99, spec.input_dtype)
    counter = np.array([7], np.int32)
    sampling = sampling_of(spec, form, geometry)
    sampling.source, sampling.columns, sampling.rows, sampling.tensor, sampling.counter = (
        array.ctypes.data for array in (pixels, columns, rows, tensor, counter))
    getattr(library, form.kernel)(ctypes.byref(sampling))
    assert counter[0] == 0
    return tensor, geometry


def decode(library, head, output, geometry, settings):
    """What the device pipeline makes of an output tensor: the kernels that decode and select, or the host's selection.

    Returns it and whether the kernel selected.
    """
    output = np.ascontiguousarray(output)
    layout = candidate_layout(head, output.shape, output.dtype)
    buffer = np.zeros(layout.size, np.uint8)
    parameters = np.zeros((), FRAME_SETTINGS)
    expressible = write_settings(parameters, settings, output.dtype)
    decoding = layout.decoding(output.ctypes.data, buffer.ctypes.data, parameters.ctypes.data)
    getattr(library, layout.kernel)(ctypes.byref(decoding))
    # What the frame before left must not show.
    result = np.full(SELECTED.itemsize, 0x55, np.uint8)
    selection = selection_of(head, geometry)
    selection.header = buffer.ctypes.data
    selection.candidates = buffer.ctypes.data + HEADER_BYTES
    selection.settings = parameters.ctypes.data
    selection.selected = result.ctypes.data
    getattr(library, KERNEL)(ctypes.byref(selection))
    view = SelectedView(result)
    count = view.candidates
    assert HEADER_BYTES + count * CANDIDATE.itemsize <= layout.size
    found = view.read(head) if expressible else None
    if found is not None:
        return found, True
    return head.select(*read_candidates(buffer, count), geometry, settings), False
