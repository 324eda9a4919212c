# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures of the node tests: a separate ROS domain, models, node processes."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.node_fixtures import end_process, needs_ros, ros_environment, start_node, start_process

from trt_perception.node.process.shared_memory import remove_dead_segments

__all__ = ['ros_environment', 'start_node']


@pytest.fixture(scope='session')
def driver(ros_environment: int) -> Iterator[Any]:
    """The driver: the test's own ROS node in this process."""
    from support.harness_driver import Driver

    driver = Driver(ros_environment)
    yield driver
    driver.close()


@pytest.fixture(scope='session')
def command() -> str:
    """The installed program trt_perception. In CI it must be there."""
    from trt_perception.demo.errors import DemoError
    from trt_perception.demo.installation import executable

    try:
        return str(executable('trt_perception'))
    except DemoError as error:
        if os.environ.get('CI'):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope='session')
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that writes a model of harness_models once and returns its path."""
    needs_ros()
    from support import harness_models

    folder = tmp_path_factory.mktemp('models')
    made: dict[str, str] = {}

    def make(kind: str = 'color_detector', **options: Any) -> str:
        key = '_'.join([kind, *(f'{name}{value}' for name, value in sorted(options.items()))])
        if key not in made:
            made[key] = str(getattr(harness_models, kind)(folder / f'{key}.onnx', **options))
        return made[key]

    return make


@pytest.fixture(scope='session')
def shared_process(
    driver: Any, models: Callable[..., str], tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """One node for all tests that leave it configurable; diagnostics every 0.1 s."""
    client = start_process(
        driver, tmp_path_factory.mktemp('shared'),
        {'model_file': models(), 'diagnostics_period': 0.1}, ())
    client.wait_for_services()
    yield client
    end_process(client)


@pytest.fixture
def busy_model(models: Callable[..., str]) -> Callable[[Any, Any, float], str]:
    """Return a function: of a model whose inference takes this many seconds at the machine's present load.

    It takes an unconfigured node, on which it tries how long a shorter one takes, an image, and the seconds.
    """
    def make(node: Any, image: Any, seconds: float) -> str:
        node.bring_to('active', model_file=models(busy=20))
        camera = node.camera()
        times = [time.monotonic()]
        for _ in range(4):
            node.answer_to(camera, image)
            times.append(time.monotonic())
        # The shortest: a pause of a process, or an image that is lost, is no part of an inference.
        taken = min(after - before for before, after in itertools.pairwise(times))
        node.close_camera(camera)
        node.bring_to('unconfigured')
        return models(busy=min(1000, max(20, round(20 * seconds / taken))))

    return make


@pytest.fixture
def slow_model(models: Callable[..., str]) -> Callable[[Any], str]:
    """Return a function: of a model that loads for at least fifty times as long as a service call takes now.

    It takes an unconfigured node, on which both are measured.
    """
    def make(node: Any) -> str:
        started = time.monotonic()
        for _ in range(5):
            node.state()
        call_s = (time.monotonic() - started) / 5
        node.set_parameters(model_file=models(slow_load=20))
        started = time.monotonic()
        assert node.change_state('configure')
        load_s = (time.monotonic() - started) / 20
        node.bring_to('unconfigured')
        return models(slow_load=min(1000, max(100, round(50 * call_s / load_s))))

    return make


@pytest.fixture
def camera_process(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that starts a camera process; those of one topic write their stamps into one file.

    It takes the full name of the topic and the options of camera_process.py. At the end all are killed.
    """
    from support.camera_process import CameraProcess

    started: list[Any] = []

    def start(topic: str, **options: Any) -> Any:
        started.append(CameraProcess(topic, tmp_path / f'{topic.replace("/", "_")}.txt', **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
    # Killed processes leave 67 MB each.
    remove_dead_segments()


@pytest.fixture
def node(shared_process: Any) -> Iterator[Any]:
    """Return the shared node, unconfigured, with its initial parameters."""
    shared_process.bring_to('unconfigured')
    yield shared_process
    shared_process.close_cameras()
    shared_process.process.assert_clean()
