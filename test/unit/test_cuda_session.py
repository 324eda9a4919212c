# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A session with each package that calls CUDA, the real one, on a stand-in for the driver. test/gpu has a real GPU."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cuda_driver import built_driver

TEST = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def driver(tmp_path_factory):
    """The folder with libcuda.so.1."""
    return built_driver(tmp_path_factory.mktemp('driver'))


def installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_a_session_copies_frees_and_explains(driver):
    if installed('pycuda'):
        pytest.skip('pycuda is installed: it needs more of the driver than the stand-in has')
    if not installed('cuda.bindings'):
        pytest.skip('needs cuda-bindings: pip install -r requirements/ci.txt')
    paths = [str(TEST.parent), str(TEST), os.environ.get('PYTHONPATH', '')]
    libraries = [str(driver), os.environ.get('LD_LIBRARY_PATH', '')]
    done = subprocess.run(
        [sys.executable, '-m', 'support.cuda_session_job'], capture_output=True, text=True, timeout=300, check=False,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)),
                 LD_LIBRARY_PATH=os.pathsep.join(filter(None, libraries))))
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop('too much') == (
        'Host GPU is out of memory while asking for too much: 4096 of 8192 MiB are free (cuMemAlloc failed: out of '
        'memory); close other programs that use it, or run a smaller model or precision fp16')
    fatal, broken = seen.pop('broken')
    assert fatal and broken == (
        'Host GPU failed while running the engine: cuStreamSynchronize failed: launch failed. This process cannot use '
        'the GPU any more (unspecified launch failure): restart it')
    # Live ones: GPU memory, host memory, streams, contexts.
    assert seen == {
        'package': 'cuda-bindings', 'gpu': ['Host GPU', 8, 7, True], 'mapped': True, 'copied': True,
        'memory': [4 << 30, 8 << 30], 'open': [1, 2, 1, 1], 'depth inside': 1, 'released': [1, 1, 1, 1],
        'closed': [0, 0, 0, 0], 'depth': 0,
        'no such GPU': 'device_index is 3, but the available GPUs are: 0: Host GPU; set device_index to one of them'}
