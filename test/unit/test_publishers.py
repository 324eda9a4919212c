# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers by name, publishers whose node is not discovered yet, and publishers that cannot match."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from trt_perception.node.image_topics.publishers import MismatchLog, publishers_of

IMAGE = 'sensor_msgs/msg/Image'
UNNAMED = 'a publisher whose node is not discovered yet'
OFFERS = (
    ' offers reliability best_effort on /image, but this node requests reliable: set image_reliability to best_effort')


def endpoint(
    name: str = 'camera', namespace: str = '/front', kind: str = IMAGE,
    reliability: ReliabilityPolicy = ReliabilityPolicy.BEST_EFFORT,
) -> Any:
    return TopicEndpointInfo(
        node_name=name, node_namespace=namespace, topic_type=kind,
        qos_profile=QoSProfile(depth=1, reliability=reliability))


def undiscovered(**changes: Any) -> Any:
    """An endpoint as rmw_fastrtps reports it."""
    return endpoint('_NODE_NAME_UNKNOWN_', '_NODE_NAMESPACE_UNKNOWN_', **changes)


def look(*endpoints: Any, reliable: bool = True) -> Any:
    return publishers_of(endpoints, '/image', IMAGE, reliable)


def test_nobody_publishes():
    publishers = look()
    assert (publishers.names, publishers.incompatible, publishers.unnamed) == ((), (), frozenset())


def test_names_and_reasons():
    found = look(
        endpoint(), endpoint('other', '/', reliability=ReliabilityPolicy.RELIABLE),
        endpoint('third', '/a/b', 'sensor_msgs/msg/CompressedImage'))
    assert found.names == ('/front/camera', '/other', '/a/b/third')
    assert found.incompatible == (
        f'/front/camera{OFFERS}',
        '/a/b/third publishes /image as sensor_msgs/msg/CompressedImage, but this node subscribes to '
        'sensor_msgs/msg/Image: set image_transport to compressed and remap image/compressed to /image')
    assert found.unnamed == frozenset()


def test_best_effort_matches_all():
    found = look(endpoint(), endpoint(reliability=ReliabilityPolicy.RELIABLE), reliable=False)
    assert found.incompatible == ()


@pytest.mark.parametrize('unknown', [undiscovered(), endpoint('', '')], ids=['rmw_fastrtps', 'empty'])
def test_a_name_that_is_not_discovered_is_never_shown(unknown):
    found = look(unknown, endpoint())
    assert found.names == (UNNAMED, '/front/camera')
    assert found.incompatible == (UNNAMED + OFFERS, '/front/camera' + OFFERS)
    assert found.unnamed == {UNNAMED + OFFERS}


def test_the_type_of_an_undiscovered_publisher_is_told():
    found = look(undiscovered(kind='std_msgs/msg/String'))
    assert found.incompatible[0].startswith(f'{UNNAMED} publishes /image as std_msgs/msg/String')
    assert found.unnamed == set(found.incompatible)


class Log(list):
    """The logged lines, with a clock that moves only on request."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.mismatches = MismatchLog(self.append, lambda: self.now)

    def update(self, *endpoints: Any, later: float = 0.0) -> Log:
        self.now += later
        self.mismatches.update(look(*endpoints))
        return self


def test_each_reason_is_logged_once():
    log = Log()
    for _ in range(3):
        log.update(endpoint(), later=10.0)
    assert log == ['/front/camera' + OFFERS]
    # It disappeared and came back.
    log.update(later=10.0)
    log.update(endpoint(), endpoint('second'), later=10.0)
    assert log == ['/front/camera' + OFFERS, '/front/second' + OFFERS]


def test_the_log_waits_for_the_name():
    log = Log().update(undiscovered())
    assert log.update(undiscovered(), later=4.9) == []
    assert log.update(endpoint(), later=1.0) == ['/front/camera' + OFFERS]
    # Another publisher: its waiting time starts again.
    log.update(undiscovered(), endpoint(), later=100.0)
    assert log.update(undiscovered(), endpoint(), later=4.9) == ['/front/camera' + OFFERS]


def test_a_publisher_without_a_node_is_logged_in_the_end():
    log = Log().update(undiscovered())
    log.update(undiscovered(), later=5.0)
    assert log.update(undiscovered(), later=5.0) == [UNNAMED + OFFERS]
