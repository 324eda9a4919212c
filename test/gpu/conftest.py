# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests on a real GPU: `pytest test/gpu`. Without a GPU, TensorRT or pycuda they are skipped, and say why.

TRT_PERCEPTION_TEST_PLANS names a folder that keeps the engines from one run to the next.
"""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / 'unit'), str(HERE)]


def _missing():
    """Why these tests cannot run here; '' if they can."""
    from trt_perception.backends.tensorrt.compat import load
    from trt_perception.backends.tensorrt.cuda import device_at
    from trt_perception.errors import PerceptionError

    try:
        device_at(0)
        load()
    except PerceptionError as error:
        return str(error)
    return ''


def pytest_collection_modifyitems(items):
    mine = [item for item in items if HERE in Path(str(item.fspath)).parents]
    reason = _missing() if mine else ''
    if reason:
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope='session')
def tensorrt():
    from trt_perception.backends.tensorrt.compat import load
    return load()


@pytest.fixture(scope='session')
def engines(tensorrt, tmp_path_factory):
    """The test models with their engines, each built when it is first asked for."""
    from engines import Engines
    return Engines(tensorrt, tmp_path_factory.mktemp('models'))
