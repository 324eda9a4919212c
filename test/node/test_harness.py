# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of nodes rely on: a diagnosis is not older than the call that asks for it."""

import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from support.harness_driver import NodeClient
from support.node_session import in_thread


def test_a_diagnosis_is_measured_after_the_call(driver):
    """Here each one is measured long before it is published."""
    node = NodeClient(driver, SimpleNamespace(namespace='/stand_in'))
    publisher = driver.node.create_publisher(DiagnosticArray, '/diagnostics', 10)
    present = [0]

    def report(done: threading.Event) -> None:
        while not done.is_set():
            measured = present[0]
            time.sleep(0.05)
            publisher.publish(DiagnosticArray(status=[DiagnosticStatus(
                name='stand_in/perception_node: perception', values=[KeyValue(key='number', value=str(measured))])]))

    try:
        with in_thread(report):
            for number in range(1, 11):
                present[0] = number
                assert node.diagnosis()[1]['number'] == str(number)
    finally:
        driver.node.destroy_publisher(publisher)
        node.close()
