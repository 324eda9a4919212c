# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The child process that imports packages: one that crashes or hangs ends this process, not the doctor.

Called with the parent's process id and the names of probes. It prints a JSON line before and after each.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..child_process import serve
from ..dependencies import require
from ..errors import PerceptionError, one_line


def _package(module: str) -> Callable[[], dict[str, str]]:
    def look() -> dict[str, str]:
        found = require(module)
        return {
            'version': str(getattr(found, '__version__', '') or _installed(module)),
            'file': str(getattr(found, '__file__', ''))}

    return look


def _installed(module: str) -> str:
    from importlib import metadata

    for name in (module.split('.', maxsplit=1)[0].replace('_', '-'), module.split('.', maxsplit=1)[0]):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ''


def _cuda() -> dict[str, str]:
    require('cuda.bindings.driver')
    return {'version': _installed('cuda_bindings')}


def _pycuda() -> dict[str, str]:
    require('pycuda.driver')
    return {'version': _installed('pycuda')}


def _numpy_with_opencv() -> dict[str, str]:
    """Use both together: a package that was built for another NumPy may be imported and crash later."""
    cv2: Any = require('cv2')
    numpy: Any = require('numpy')
    resized = cv2.resize(numpy.full((4, 4, 3), 7, numpy.uint8), (2, 2))
    if resized.shape != (2, 2, 3) or int(resized.max()) != 7:
        raise PerceptionError('cv2.resize gives wrong values')
    return {'version': str(cv2.__version__)}


def _gpu() -> dict[str, str]:
    from ..backends.tensorrt.cuda.gpu_info import driver_cuda_version, gpu_info

    gpu = gpu_info(0)
    return {
        'version': driver_cuda_version(), 'name': gpu.name, 'compute_capability': gpu.compute_capability,
        'memory_mib': str(gpu.memory_mib), 'integrated': str(gpu.integrated)}


def _kernels() -> dict[str, str]:
    from ..backends.tensorrt.cache.kernel_cache import find_nvcc, has_nvrtc

    return {'version': '', 'nvcc': find_nvcc() or '', 'nvrtc': str(has_nvrtc())}


def _rclpy() -> dict[str, str]:
    require('rclpy')
    from ..node.process.rclpy_internals import require_internals

    require_internals()
    utilities: Any = importlib.import_module('rclpy.utilities')
    return {'version': _installed('rclpy'), 'middleware': str(utilities.get_rmw_implementation_identifier())}


def _messages() -> dict[str, str]:
    for package in ('sensor_msgs.msg', 'diagnostic_msgs.msg', 'vision_msgs.msg'):
        require(package)
    return {'version': ''}


PROBES: Mapping[str, Callable[[], dict[str, str]]] = {
    **{module: _package(module) for module in (
        'numpy', 'cv2', 'onnx', 'onnxruntime', 'openvino', 'ai_edge_litert', 'simplejpeg', 'yaml', 'rosbags',
        'tensorrt', 'tensorrt_rtx', 'cv_bridge')},
    'opencv_with_numpy': _numpy_with_opencv, 'pycuda': _pycuda, 'cuda': _cuda, 'gpu': _gpu, 'kernels': _kernels,
    'rclpy': _rclpy, 'messages': _messages}


def main() -> int:
    """Run the probes named in the arguments."""
    serve(int(sys.argv[1]))
    # What libraries print must not come between the lines.
    answers = os.fdopen(os.dup(1), 'w', encoding='utf-8', buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for name in sys.argv[2:]:
        print(json.dumps({'begins': name}), file=answers, flush=True)
        try:
            outcome: dict[str, Any] = {'found': True, 'facts': PROBES[name]()}
        except Exception as error:
            outcome = {'found': False, 'error': one_line(error) or type(error).__name__}
        # What the probe found is apart: a GPU has a name too.
        print(json.dumps({'ends': name, **outcome}), file=answers, flush=True)
    answers.flush()
    # A library that hangs at its end must not keep the doctor waiting.
    os._exit(0)


if __name__ == '__main__':
    sys.exit(main())
