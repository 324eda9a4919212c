# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""config/monitoring: the aggregator groups what the node publishes; Foxglove and RViz show topics that exist."""

import json
import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support.harness_driver import wait_until

FOLDER = Path(__file__).resolve().parents[2] / 'config' / 'monitoring'


def aggregated(name):
    """Return the name on /diagnostics_agg, None if no group takes it.

    After diagnostic_aggregator: GenericAnalyzer::match compares the name as it is published, and
    getOutputName (status_item.hpp) turns its slashes into blanks.
    """
    parameters = yaml.safe_load((FOLDER / 'aggregator.yaml').read_text())['analyzers']['ros__parameters']
    group = parameters['perception']
    assert group['type'] == 'diagnostic_aggregator/GenericAnalyzer'
    assert set(group) <= {'type', 'path', 'contains', 'startswith', 'timeout'}
    if not any(part in name for part in group['contains']):
        return None
    return f'/{parameters["path"]}/{group["path"]}/{name.replace("/", " ")}'


def test_the_aggregator_groups_the_status_of_a_node(node):
    node.bring_to('inactive')
    status, values = node.diagnosis()
    assert status.name == f'{node.name[1:]}: perception'
    # A slash at the beginning would become a blank here.
    assert aggregated(status.name) == f'/Robot/Perception/{node.name[1:].replace("/", " ")}: perception'
    assert aggregated('front/places: detections_3d') == '/Robot/Perception/front places: detections_3d'
    assert aggregated('motor: temperature') is None
    period = node.parameters(['diagnostics_period'])[0]
    assert yaml.safe_load((FOLDER / 'aggregator.yaml').read_text())[
        'analyzers']['ros__parameters']['perception']['timeout'] > period
    assert values['state'] == 'inactive'


def wait_for_topics(node, wanted):
    """Wait until these topics of the active node are known, as if its namespace were /: they are found one by one."""
    namespace = node.process.namespace
    wait_until(
        lambda: wanted <= {name.removeprefix(namespace) for name, _ in node.driver.node.get_topic_names_and_types()},
        lambda: f'{wanted}; there are {node.driver.node.get_topic_names_and_types()}')


def test_foxglove_and_rviz_show_topics_that_exist(node):
    node.bring_to('active', publish_debug_image=True)
    layout = json.loads((FOLDER / 'foxglove_layout.json').read_text())
    shown = set(re.findall(r'"(?:imageTopic|topicPath|topicToRender)": "([^"]+)"', json.dumps(layout)))
    assert shown == {'/debug_image', '/detections', '/diagnostics', '/rosout'}
    wait_for_topics(node, shown)
    # Each panel of the layout has its settings, and the other way round.
    placed = re.findall(r'"(?:first|second)": "([^"]+)"', json.dumps(layout['layout']))
    assert sorted(placed) == sorted(layout['configById'])
    rviz = yaml.safe_load((FOLDER / 'perception.rviz').read_text())
    displays = rviz['Visualization Manager']['Displays']
    shown = {display['Topic']['Value'] for display in displays}
    assert shown == {'/debug_image', '/image'}
    wait_for_topics(node, shown)
    # Best effort matches every publisher.
    assert {display['Topic']['Reliability Policy'] for display in displays} == {'Best Effort'}
