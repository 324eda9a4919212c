# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests on a real GPU: `pytest test/gpu`.

Without a GPU, TensorRT, or a package that calls CUDA, they are skipped, with the reason.

TRT_PERCEPTION_TEST_PLANS names a folder that keeps the engines between runs.
"""

import os
from pathlib import Path

import pytest
from support.node_fixtures import ros_environment, start_node

__all__ = ['ros_environment', 'start_node']

HERE = Path(__file__).parent


def _missing():
    """Return why these tests cannot run here, '' if they can."""
    from trt_perception.backends.tensorrt.cuda.runtime_api import device_at
    from trt_perception.backends.tensorrt.library.compat import load
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
    from trt_perception.backends.tensorrt.library.compat import load
    return load()


@pytest.fixture(scope='session')
def engines(tensorrt, tmp_path_factory):
    """The test models with their engines; each is built at its first use."""
    from support.engines import Engines
    return Engines(tensorrt, tmp_path_factory.mktemp('models'))


@pytest.fixture(scope='module')
def driver(ros_environment):
    """This process's side of DDS; closed after the module, because test/node has its own."""
    from support.harness_driver import Driver
    driver = Driver(ros_environment)
    yield driver
    driver.close()


@pytest.fixture(scope='session')
def color_models(tmp_path_factory):
    """The networks of node_models, and frames for their calibration; see ColorModels."""
    from support.node_models import ColorModels
    return ColorModels(tmp_path_factory.mktemp('color_models'))


@pytest.fixture
def new_cache(monkeypatch, tmp_path):
    """An empty cache for the nodes of one test."""
    from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return EngineCache()


@pytest.fixture(scope='session')
def _kept_folder(tmp_path_factory):
    plans = os.environ.get('TRT_PERCEPTION_TEST_PLANS')
    return Path(plans).absolute() / 'cache' if plans else tmp_path_factory.mktemp('cache')


@pytest.fixture
def kept_cache(monkeypatch, _kept_folder):
    """The cache of nodes for which it does not matter which test built the engine."""
    from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache
    monkeypatch.setenv('XDG_CACHE_HOME', str(_kept_folder))
    return EngineCache()


@pytest.fixture
def session():
    """Keeps the primary context alive, so that tests do not measure the context itself."""
    from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession
    session = CudaSession()
    yield session
    session.close()
