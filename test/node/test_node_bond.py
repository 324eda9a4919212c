# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The bond with a lifecycle manager that behaves as nav2_lifecycle_manager does."""

import os
import signal
import threading
import time
import uuid

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
pytest.importorskip('bond.msg', reason='needs the ROS package bond: make setup')

from bond.msg import Status
from rclpy.qos import QoSProfile
from support import harness_images as images
from support.harness_driver import TIMEOUT, NodeClient, wait_until
from support.harness_process import NodeProcess
from support.node_fixtures import end_process

PERIOD_S = 0.25


class Manager:
    """The manager's side, after nav2_lifecycle_manager/src/lifecycle_manager.cpp and bondcpp/src/bond.cpp.

    It creates the bond after activate, and waits at most half of bond_timeout until it is formed.
    """

    def __init__(self, client, bond_timeout=4.0):
        self.client, self.timeout = client, bond_timeout
        self.id = client.name.rpartition('/')[2]
        self.instance = str(uuid.uuid4())
        self.sister, self.heard, self.broken = '', 0.0, False
        self._active = True
        self._changed = threading.Condition()
        self._timer = self._publisher = self._subscription = None

    def startup(self):
        """Configure, activate, bond: whether bring-up succeeds."""
        return self.client.change_state('configure') and self.client.change_state('activate') and self.connect()

    def connect(self):
        node = self.client.driver.node
        topic = self.client.topic('bond')
        self._subscription = node.create_subscription(Status, topic, self._on_status, QoSProfile(depth=100))
        self._publisher = node.create_publisher(Status, topic, QoSProfile(depth=5))
        self._timer = node.create_timer(PERIOD_S, self._publish)
        self.client.driver.executor.wake()
        with self._changed:
            return self._changed.wait_for(lambda: self.sister, self.timeout / 2)

    def _on_status(self, message):
        if message.id != self.id or message.instance_id == self.instance:
            return
        with self._changed:
            self.sister = self.sister or message.instance_id
            assert message.instance_id == self.sister, 'more than two sides'
            self.heard = time.monotonic()
            self.broken = self.broken or not message.active
            self._changed.notify_all()

    def is_broken(self):
        """Whether the node left, or was silent for bond_timeout."""
        with self._changed:
            return self.broken or time.monotonic() - self.heard > self.timeout

    def _publish(self):
        self._publisher.publish(Status(
            id=self.id, instance_id=self.instance, active=self._active, heartbeat_timeout=self.timeout,
            heartbeat_period=PERIOD_S))

    def leave(self):
        # Heartbeats go on without `active` (AwaitSisterDeath): on a busy machine, one message may be lost.
        self._active = False

    def close(self):
        node = self.client.driver.node
        if self._timer is not None:
            node.destroy_timer(self._timer)
            node.destroy_subscription(self._subscription)
            node.destroy_publisher(self._publisher)
            self._timer = None


@pytest.fixture
def manage():
    """Return a function that makes a manager for a node."""
    managers = []

    def make(client, **options):
        managers.append(Manager(client, **options))
        return managers[-1]

    yield make
    for manager in managers:
        manager.close()


def test_bring_up_and_deactivate(start_node, models, manage):
    node = start_node(model_file=models(), bond=True)
    # Long, because the machine may be busy; Nav2's default is 4.
    manager = manage(node, bond_timeout=TIMEOUT)
    assert manager.startup()
    node.process.wait_for_line('bond: connected to the lifecycle manager')
    first = manager.heard
    wait_until(lambda: manager.heard > first, 'the next heartbeat')
    assert not manager.is_broken()
    assert node.change_state('deactivate')
    wait_until(manager.is_broken, 'the node leaves the bond')
    assert manager.broken
    manager.close()
    # Each activation is a new bond.
    again = manage(node, bond_timeout=TIMEOUT)
    assert node.change_state('activate') and again.connect()
    assert again.sister != manager.sister


def test_detections_3d_node_has_one_too(driver, tmp_path, manage):
    process = NodeProcess('/depth_with_bond', tmp_path, {'bond': True}, (), 'trt_perception.node.depth.main')
    node = NodeClient(driver, process, 'detections_3d_node', 'detections_3d')
    try:
        node.wait_for_services()
        manager = manage(node, bond_timeout=TIMEOUT)
        assert manager.startup()
        assert node.change_state('deactivate')
        wait_until(manager.is_broken, 'the node leaves the bond')
        assert manager.broken
    finally:
        end_process(node)


def test_without_a_bond_bring_up_fails(start_node, models, manage):
    """This is why the parameter exists: the node is active, and the manager reports a failure."""
    node = start_node(model_file=models())
    manager = manage(node, bond_timeout=2.0)
    assert not manager.startup()
    assert node.state() == 'active'


def test_a_killed_node_is_noticed(start_node, models, manage):
    node = start_node(model_file=models(), bond=True)
    manager = manage(node, bond_timeout=TIMEOUT)
    assert manager.startup()
    node.process.exit_code = -signal.SIGKILL
    node.process.process.kill()
    node.process.process.wait()
    manager.timeout = 1.0
    wait_until(manager.is_broken, 'silence')
    # Nobody said goodbye.
    assert not manager.broken


def test_a_node_that_shuts_down_leaves_the_bond(start_node, models, manage):
    node = start_node(model_file=models(), bond=True)
    manager = manage(node, bond_timeout=TIMEOUT)
    assert manager.startup()
    assert node.change_state('shutdown')
    wait_until(lambda: manager.broken, 'the node leaves the bond')


def test_a_manager_that_leaves_and_comes_back(start_node, models, manage):
    node = start_node(model_file=models(), bond=True)
    manager = manage(node, bond_timeout=TIMEOUT)
    assert manager.startup()
    # The node may hear a manager later than the manager hears the node.
    node.process.wait_for_line('bond: connected to the lifecycle manager')
    manager.close()
    mark = node.process.mark()
    other = manage(node, bond_timeout=TIMEOUT)
    assert other.connect()
    node.process.wait_for_line('bond: connected to the lifecycle manager', since=mark)
    # The node goes on without a manager, and with a new one.
    found = node.answer_to(node.camera(), images.image(
        images.picture(640, 480, {'red': (64, 48, 256, 192)}), images.header('optical', node.driver.now_ns())))
    assert len(found.detections) == 1
    other.leave()
    node.process.wait_for_line('bond: the lifecycle manager has closed its bond')
    wait_until(lambda: other.broken, 'the node acknowledges')
    assert node.state() == 'active'


def test_without_the_package_configure_says_what_to_install(start_node, models, tmp_path, monkeypatch):
    (tmp_path / 'bond.py').write_text('raise ModuleNotFoundError("No module named \'bond\'", name="bond")\n')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')]))
    node = start_node(model_file=models(), bond=True)
    assert not node.change_state('configure')
    node.process.wait_for_line(r"configure failed: the Python package 'bond' is not installed; ")
