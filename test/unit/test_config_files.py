# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The files in config/: they know every parameter, with the default that the node has."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parents[2] / 'config'
# What concerns one task only is in one file only.
OTHERS = {
    'detect.yaml': {'top_k'},
    'classify.yaml': {'score_threshold', 'iou_threshold', 'class_agnostic_nms', 'max_detections', 'classes'},
}
TASKS = {'detect.yaml': 'detection', 'classify.yaml': 'classification'}


@pytest.mark.parametrize('name', TASKS)
def test_parameters_and_defaults(name):
    yaml = pytest.importorskip('yaml')
    pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    from trt_perception.parameters.table import PARAMETERS

    text = (CONFIG / name).read_text()
    values = yaml.safe_load(text)['/**']['ros__parameters']
    # Not a number: the model's own.
    unset = {'mean', 'std'}
    expected = {
        key: spec.default for key, spec in PARAMETERS.items() if key not in unset and key not in OTHERS[name]}
    assert values == {**expected, 'task': TASKS[name]}
    for key, value in values.items():
        assert type(value) is type(expected[key]), f'{key}: ROS tells 1 from 1.0'
    for key in unset:
        assert f'    # {key}: ' in text


@pytest.mark.parametrize('name', TASKS)
def test_every_parameter_is_explained(name):
    lines = [line for line in (CONFIG / name).read_text().splitlines() if line.startswith('    ') and ': ' in line]
    bare = [line.strip() for line in lines if '#' not in line]
    assert not bare


def test_fast_dds_profile_has_room_for_large_images():
    space = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
    root = ElementTree.parse(CONFIG / 'fastdds_large_images.xml').getroot()
    transports = {
        node.findtext(f'{space}transport_id'): node for node in root.iter(f'{space}transport_descriptor')}
    participant = root.find(f'{space}participant')
    assert participant.get('is_default_profile') == 'true'
    assert participant.findtext(f'{space}rtps/{space}useBuiltinTransports') == 'false'
    used = [node.text for node in participant.iter(f'{space}transport_id')]
    assert [transports[name].findtext(f'{space}type') for name in used] == ['SHM', 'UDPv4']
    # Two 3840x2160 bgr8 images.
    assert int(transports[used[0]].findtext(f'{space}segment_size')) > 2 * 3840 * 2160 * 3
