# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""config/sros2/policy.xml has exactly the topics and services that each node opens with all options."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support.harness_driver import NodeClient, wait_until
from support.harness_process import NodeProcess
from support.node_fixtures import end_process

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2' / 'policy.xml'
# Not in Humble.
NEW = {'~/get_type_description'}
WITH_BOND = {'bond'}
# With foxglove_msgs, and of a model with masks: not opened here.
ELSEWHERE = {'image_annotations', 'masks', 'mask_instances'}


def allowed(name):
    """Return the rights of a node's profile: (published topics, subscribed topics, services), as written."""
    profile, = ElementTree.parse(POLICY).getroot().iterfind(f".//enclave[@path='/perception/{name}']//profile")
    assert (profile.get('ns'), profile.get('node')) == ('/', name)
    found = {}
    for group in profile:
        for right, value in group.attrib.items():
            assert value == 'ALLOW'
            found[group.tag, right] = {entry.text for entry in group}
    assert set(found) == {('topics', 'publish'), ('topics', 'subscribe'), ('services', 'reply')}
    return found['topics', 'publish'], found['topics', 'subscribe'], found['services', 'reply']


def written(names, node):
    """Return names as a policy writes them: ~ for the node, relative in its namespace."""
    namespace, _, own = node.name.rpartition('/')
    short = set()
    for name in names:
        if name.startswith(f'{node.name}/'):
            short.add(f'~{name.removeprefix(node.name)}')
        else:
            short.add(name.removeprefix(f'{namespace}/'))
    assert own in ('perception_node', 'detections_3d_node')
    return short


def opened(node):
    """Return what the graph knows of the node: published topics, subscribed topics, services. It has no clients."""
    graph = node.driver.node
    namespace, _, own = node.name.rpartition('/')
    wait_until(lambda: own in dict(graph.get_node_names_and_namespaces()), 'the node is discovered')
    assert graph.get_client_names_and_types_by_node(own, namespace) == []
    return tuple(written(dict(ask(own, namespace)), node) for ask in (
        graph.get_publisher_names_and_types_by_node, graph.get_subscriber_names_and_types_by_node,
        graph.get_service_names_and_types_by_node))


def absent():
    """Return the topics that need a package which is not installed."""
    try:
        import bond.msg  # noqa: F401
    except ImportError:
        return WITH_BOND
    return set()


@pytest.mark.parametrize('name, kind', [('detector', 'color_detector'), ('classifier', 'color_classifier')])
def test_the_policy_is_what_the_node_opens(start_node, models, name, kind):
    without = absent()
    node = start_node(
        model_file=models(kind), publish_debug_image=True, use_sim_time=True, bond=not without)
    expected = allowed(name)
    seen = (set(), set(), set())

    def all_discovered():
        """Whether each right was used by now. Fewer would not end the wait, more are found below."""
        for rights, found in zip(seen, opened(node)):
            rights |= found
        return all(names - without - ELSEWHERE - NEW <= rights for names, rights in zip(expected, seen))

    for transport in ('raw', 'compressed'):
        node.bring_to('active', image_transport=transport)
        image = {'raw': 'image', 'compressed': 'image/compressed'}[transport]
        wait_until(lambda image=image: image in opened(node)[1], f'{image} is subscribed')
        wait_until(lambda: 'label_info' in opened(node)[0] and len(opened(node)[2]) >= 11, 'most are discovered')
        all_discovered()
    wait_until(all_discovered, lambda: f'the rights are used: {seen}')
    published, subscribed, services = seen
    assert published | (ELSEWHERE & expected[0]) == expected[0] - without
    assert subscribed == expected[1] - without
    assert services <= expected[2] and expected[2] - services <= NEW


def test_the_policy_of_detections_3d_node(driver, tmp_path):
    without = absent()
    process = NodeProcess(
        '/policy_3d', tmp_path, {'use_sim_time': True, 'use_masks': True, 'bond': not without}, (),
        'trt_perception.node.depth.main')
    node = NodeClient(driver, process, 'detections_3d_node', 'detections_3d')
    try:
        node.wait_for_services()
        assert node.change_state('configure') and node.change_state('activate')
        expected = allowed('detections_3d_node')
        wait_until(
            lambda: opened(node)[:2] == tuple(names - without for names in expected[:2]) and len(opened(node)[2]) >= 11,
            lambda: f'the rights are used: {opened(node)}')
        services = opened(node)[2]
        assert services <= expected[2] and expected[2] - services <= NEW
    finally:
        end_process(node)
