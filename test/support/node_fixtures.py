# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that start nodes: a separate ROS domain, node processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trt_perception.launching.large_images import PROFILE_VARIABLES, profile_variables

ROOT = Path(__file__).resolve().parents[2]
_NAMESPACES = itertools.count(1)
# Fast DDS repeats an announcement after 3 s. On a busy machine, many new nodes are found only then.
_ANNOUNCEMENTS = (
    '<builtin><discovery_config><leaseAnnouncement><sec>0</sec><nanosec>200000000</nanosec></leaseAnnouncement>'
    '</discovery_config></builtin>')


def needs_ros() -> None:
    for package in ('rclpy', 'lifecycle_msgs.msg', 'vision_msgs.msg', 'diagnostic_msgs.msg'):
        pytest.importorskip(package, reason=f'needs ROS 2 with {package.split(".")[0]}: make setup')
    for package in ('onnx', 'onnxruntime', 'cv2', 'psutil'):
        pytest.importorskip(package, reason=f'needs {package}: make setup')


@contextlib.contextmanager
def _free_domain() -> Iterator[int]:
    """A ROS domain that no process on this machine uses, and that no other tests take until the end."""
    for offset in range(100):
        domain = 1 + (os.getpid() + offset) % 100
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        ):
            try:
                # Until a node of these tests has started, nobody else would see that the domain is in use. The kernel
                # frees this name (abstract, without a file) when the process ends.
                taken.bind(f'\0trt_perception_tests_domain_{domain}')
                # The DDS port for multicast discovery in this domain.
                probe.bind(('', 7400 + 250 * domain))
            except OSError:
                continue
            probe.close()
            yield domain
            return
    pytest.fail('all ROS domains 1 to 100 are in use on this machine')


def _write_profile(path: Path) -> None:
    """Write the package's profile for large images, with announcements every 0.2 s."""
    before, tag, after = (ROOT / 'config' / 'fastdds_large_images.xml').read_text().partition('<useBuiltinTransports>')
    assert tag
    path.write_text(before + _ANNOUNCEMENTS + tag + after)


@contextlib.contextmanager
def separate_domain() -> Iterator[int]:
    """The environment of this process and of the nodes: a separate domain, only this machine, large images."""
    with _free_domain() as domain, tempfile.TemporaryDirectory() as folder:
        profile = str(Path(folder, 'fastdds_large_images.xml'))
        _write_profile(Path(profile))
        changes = {
            'ROS_DOMAIN_ID': str(domain), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            **dict.fromkeys(profile_variables(os.environ), profile)}
        before = {name: os.environ.get(name) for name in (*changes, *PROFILE_VARIABLES)}
        for name in PROFILE_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(changes)
        try:
            yield domain
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@pytest.fixture(scope='session')
def ros_environment() -> Iterator[int]:
    """The environment of separate_domain, for all tests of the session."""
    needs_ros()
    with separate_domain() as domain:
        yield domain


def start_process(
    driver: Any, folder: Path, parameters: dict[str, Any], arguments: tuple[str, ...], prefix: tuple[str, ...] = (),
) -> Any:
    from support.harness_driver import NodeClient
    from support.harness_process import NodeProcess

    namespace = f'/node_{next(_NAMESPACES)}'
    process = NodeProcess(namespace, folder / namespace[1:], parameters, arguments, prefix=prefix)
    return NodeClient(driver, process)


def end_process(client: Any) -> None:
    """End the node if it still runs. It must end, or have ended, with its expected exit code."""
    process = client.process
    try:
        # Also a process that has ended by itself.
        code = process.process.poll()
        if code is None:
            code, _ = process.stop()
        assert code == process.exit_code, (
            f'exit code {code}, expected {process.exit_code}; the last lines of its log:\n{process.tail(60)}')
        process.assert_clean()
    finally:
        client.close()


@pytest.fixture
def start_node(driver: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that starts a node for this test only. At the end the node must stop cleanly.

    Diagnostics come every 0.1 s; `diagnostics_period=None` uses the node's default.
    """
    clients: list[Any] = []

    def start(*arguments: str, wait: bool = True, prefix: tuple[str, ...] = (), **parameters: Any) -> Any:
        parameters.setdefault('diagnostics_period', 0.1)
        given = {name: value for name, value in parameters.items() if value is not None}
        clients.append(start_process(driver, tmp_path, given, arguments, prefix))
        if wait:
            clients[-1].wait_for_services()
        return clients[-1]

    yield start
    for client in clients:
        end_process(client)
