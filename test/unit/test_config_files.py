# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The generated files, docs/parameters.md and those in config/: their content, and that they are up to date."""

import itertools
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from scripts.generate import stale
from trt_perception.demo.environment import free_domain_id
from trt_perception.errors import ParameterError
from trt_perception.parameters.depth_table import DEPTH_PARAMETERS, DepthSettings
from trt_perception.parameters.documents import CONFIG_FILES, DEPTH_FILE, documents
from trt_perception.parameters.settings import Settings
from trt_perception.parameters.table import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'config'


def test_generated_files_are_up_to_date():
    assert not sorted(stale()), 'these files differ from trt_perception/parameters/table.py: run make generate'


def test_a_file_that_differs_or_is_missing_is_stale(tmp_path):
    names = set(documents())
    assert names == {
        'config/detect.yaml', 'config/classify.yaml', 'config/detections_3d.yaml', 'docs/parameters.md'}
    assert set(stale(tmp_path)) == names
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    assert not stale(tmp_path)
    edited = tmp_path / 'config/detect.yaml'
    edited.write_text(edited.read_text().replace('num_threads: 0', 'num_threads: 1'))
    assert set(stale(tmp_path)) == {'config/detect.yaml'}


def values_in(task):
    yaml = pytest.importorskip('yaml')
    return yaml.safe_load((CONFIG / CONFIG_FILES[task]).read_text())['/**']['ros__parameters']


@pytest.mark.parametrize('task', CONFIG_FILES)
def test_parameters_and_defaults(task):
    values = values_in(task)
    # What concerns one task only is in one file only.
    assert set(values) == {name for name, row in PARAMETERS.items() if row.group.task in ('', task)}
    assert ('top_k' in values, 'iou_threshold' in values) == (task == 'classification', task == 'detection')
    for name, value in values.items():
        expected = task if name == 'task' else PARAMETERS[name].default
        assert type(value) is type(expected), f'{name}: ROS tells 1 from 1.0'
        if name in ('mean', 'std'):
            assert len(value) == 1 and math.isnan(value[0]), name
        else:
            assert value == expected, name
    assert Settings().changed(values) == Settings(task=task)


@pytest.mark.parametrize('task', CONFIG_FILES)
def test_the_node_takes_the_whole_file(task):
    """Read the file with rcl, which parses YAML differently from PyYAML."""
    rclpy = pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    from trt_perception.node.lifecycle import parameters
    from trt_perception.node.process.rclpy_internals import parameter_overrides

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain_id())
    try:
        node = rclpy.create_node(
            'reader', context=context, cli_args=['--ros-args', '--params-file', str(CONFIG / CONFIG_FILES[task])])
        parameters.declare(node)
        assert not parameters.unknown_overrides(node, parameter_overrides(node))
        assert parameters.read(node) == Settings(task=task)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize('task', CONFIG_FILES)
def test_every_parameter_is_explained(task):
    """The explanation is in comment lines directly above the parameter."""
    lines = (CONFIG / CONFIG_FILES[task]).read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith('    ') and not line.startswith('    #'):
            assert before.startswith('    # '), line
        assert len(line) <= 120


def test_the_page_has_a_row_for_each_parameter():
    parts = (ROOT / 'docs/parameters.md').read_text().split('\n## detections_3d_node\n')
    rows, depth_rows = ([
        [cell.strip() for cell in line.strip('|').split(' | ')]
        for line in part.splitlines() if line.startswith('| `')] for part in parts)
    assert {row[0].strip('`') for row in rows} == set(PARAMETERS)
    assert {row[0].strip('`') for row in depth_rows} == set(DEPTH_PARAMETERS)
    assert all(len(row) == 5 for row in rows + depth_rows)
    page = {row[0].strip('`'): row[1:] for row in rows}
    assert page['score_threshold'][:3] == ['`-1.0`', '-1.0 to 1.0', 'yes']
    assert page['precision'][:3] == ['`fp32`', '`fp32`, `fp16`, `int8`', '']
    assert page['mean'][0] == '`[.nan]`'
    # YAML reads on and off as true and false.
    assert page['zero_copy'][1] == "`auto`, `'on'`, `'off'`"
    assert {name for name, row in page.items() if row[2]} == {name for name, row in PARAMETERS.items() if row.live}


def test_the_file_of_detections_3d_node():
    rclpy = pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
    from trt_perception.node.lifecycle import parameters
    from trt_perception.node.process.rclpy_internals import parameter_overrides

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain_id())
    try:
        node = rclpy.create_node(
            'reader', context=context, cli_args=['--ros-args', '--params-file', str(CONFIG / DEPTH_FILE)])
        parameters.declare(node, DEPTH_PARAMETERS)
        given = parameter_overrides(node)
        assert not parameters.unknown_overrides(node, given, DEPTH_PARAMETERS)
        assert set(DEPTH_PARAMETERS) <= set(given)
        values = {name: node.get_parameter(name).value for name in DEPTH_PARAMETERS}
        assert DepthSettings().changed(values) == DepthSettings()
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def test_wrong_values_of_detections_3d_node_are_named():
    with pytest.raises(ParameterError, match=r'core_fraction is 2\.0: expected 0\.05 to 1\.0'):
        DepthSettings().changed({'core_fraction': 2.0})
    with pytest.raises(ParameterError, match=r"reliability is 'relible': .* \(did you mean 'reliable'\?\)"):
        DepthSettings().changed({'reliability': 'relible'})


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
