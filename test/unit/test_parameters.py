# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, and the settings and command-line options that are made from it."""

import argparse
import math
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest
from support import tiny_models

from trt_perception.cli import benchmark, build, predict, quantize
from trt_perception.cli.model_arguments import pipeline_options, settings
from trt_perception.cli.ros_figures import node_parameters
from trt_perception.errors import ParameterError
from trt_perception.launching.values import PARSERS
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.model.thresholds import Thresholds
from trt_perception.parameters.checks import check_value, class_indices
from trt_perception.parameters.settings import Settings
from trt_perception.parameters.table import PARAMETERS, Kind, Values, as_yaml, text
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.options import PipelineOptions

PYTHON_TYPES = {
    Kind.BOOL: bool, Kind.INTEGER: int, Kind.NUMBER: float, Kind.TEXT: str, Kind.PATH: str,
    Kind.NUMBERS: tuple[float, ...] | None, Kind.TEXTS: tuple[str, ...]}


@pytest.fixture
def spec():
    return SimpleNamespace(names=('red', 'green', 'blue', 'red'), path=Path('colors.onnx'), thresholds=Thresholds())


def test_declared_types_are_those_of_the_defaults():
    hints = get_type_hints(Values)
    for name, row in PARAMETERS.items():
        if row.kind is Kind.INTEGERS:
            # Some lists grow with the number of cameras.
            assert hints[name] in (tuple[(int,) * len(row.default)], tuple[int, ...]), name
        else:
            assert hints[name] == PYTHON_TYPES[row.kind], name


def test_settings_are_the_table_and_nothing_else():
    assert [field.name for field in fields(Settings)] == list(PARAMETERS)


def test_every_default_is_allowed_and_means_itself():
    defaults = {name: row.default for name, row in PARAMETERS.items()}
    assert Settings().changed(defaults) == Settings()
    assert Settings(num_threads=7, mean=(0.5,), classes=('red',)).changed(defaults) == Settings()


def test_the_library_has_the_same_defaults(spec):
    """The default parameters give the same options as the package without any options."""
    assert Settings().model_options() == ModelOptions()
    assert Settings().pipeline_options() == PipelineOptions()
    assert Settings().postprocess(spec) == PostprocessSettings()


def test_texts_are_sentences_without_their_stop():
    for name, row in PARAMETERS.items():
        for words in (row.text, row.default_means):
            assert words == words.strip() and not words.endswith('.'), name
        assert len(row.text) > 10, name
    assert text('iou_threshold') == 'IoU above which the lower-scoring box of the same class is removed'


def test_values_of_ros_become_settings():
    changed = Settings().changed({
        'input_size': [320, 240], 'mean': [0.5], 'std': [math.nan], 'classes': ['red', ''], 'batch_profile': [1, 2, 4]})
    assert changed == Settings(input_size=(320, 240), mean=(0.5,), classes=('red',), batch_profile=(1, 2, 4))
    # rclpy reads an empty list given at the start as None.
    assert changed.changed({'mean': None, 'classes': None}) == Settings(input_size=(320, 240), batch_profile=(1, 2, 4))


@pytest.mark.parametrize('name, value, said', [
    ('backend', 'onnxruntim', r"backend is 'onnxruntim': expected one of auto, .* \(did you mean 'onnxruntime'\?\)"),
    ('score_threshold', 1.5, r'score_threshold is 1\.5: expected 0\.0 to 1\.0'),
    ('score_threshold', math.nan, r'score_threshold is nan: expected 0\.0 to 1\.0'),
    ('iou_threshold', -0.5, r"iou_threshold is -0\.5: expected 0\.0 to 1\.0, or -1\.0 for the model's value"),
    ('num_threads', 1025, 'num_threads is 1025: expected 0 to 1024'),
    ('input_size', [640], r'input_size is \[640\]: expected \[width, height\]'),
    ('input_size', None, r'input_size is \[\]: expected \[width, height\]'),
    ('batch_profile', [4, 2, 8], r'batch_profile is \[4, 2, 8\]: expected \[smallest, usual, largest\]'),
    ('mean', [0.1, 0.2], r'mean is \[0\.1, 0\.2\]: expected one or three numbers'),
    ('mean', [], r'mean is \[\]: expected one or three numbers'),
    ('std', [0.1, math.nan, 0.1], 'expected finite numbers, or only \\[.nan\\]'),
])
def test_wrong_values_are_named_with_what_is_expected(name, value, said):
    with pytest.raises(ParameterError, match=said):
        check_value(name, value)
    with pytest.raises(ParameterError, match=said):
        Settings().changed({'top_k': 3, name: value})


def test_class_names_become_indices(spec):
    assert class_indices((), spec) is None
    assert class_indices(('blue', 'red'), spec) == {0, 2, 3}
    with pytest.raises(ParameterError, match=r"classes names 'gren', which colors\.onnx .*: did you mean 'green'\?"):
        class_indices(('red', 'gren'), spec)


@pytest.mark.parametrize('value, expected', [
    (True, 'true'), (0.25, '0.25'), (-1, '-1'), ('', "''"), ('auto', 'auto'), ('on', "'on'"), ('Off', "'Off'"),
    ('8.6', "'8.6'"), ([0, 0], '[0, 0]'), ([math.nan], '[.nan]'), ([''], "['']")])
def test_values_in_yaml_read_as_they_are(value, expected):
    yaml = pytest.importorskip('yaml')
    assert as_yaml(value) == expected
    assert repr(yaml.safe_load(expected)) == repr(value)


def test_a_row_tells_how_its_launch_argument_is_parsed():
    parsed = {
        name: PARSERS[PARAMETERS[name].kind]('x', given) for name, given in (
            ('publish_debug_image', 'true'), ('top_k', '3'), ('score_threshold', '1'), ('backend', 'auto'),
            ('model_file', '~/m.onnx'))}
    assert parsed == {
        'publish_debug_image': True, 'top_k': 3, 'score_threshold': 1.0, 'backend': 'auto',
        'model_file': str(Path.home() / 'm.onnx')}
    assert isinstance(parsed['score_threshold'], float)


def parser_of(command):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser


@pytest.mark.parametrize('command, options', [
    (predict, {
        '--labels': 'labels_file', '--task': 'task', '--head': 'head', '--output-name': 'output_name',
        '--input-size': 'input_size', '--color-order': 'color_order', '--scale': 'scale', '--mean': 'mean',
        '--std': 'std', '--resize-mode': 'resize_mode', '--crop-fraction': 'crop_fraction',
        '--interpolation': 'interpolation', '--backend': 'backend',
        '--threads': 'num_threads', '--precision': 'precision', '--calibration': 'calibration_source',
        '--calibration-topic': 'calibration_topic', '--calibration-samples': 'calibration_samples',
        '--calibration-method': 'calibration_method', '--min-agreement': 'min_agreement',
        '--score': 'score_threshold', '--iou': 'iou_threshold', '--top-k': 'top_k', '--classes': 'classes',
        '--class-agnostic': 'class_agnostic_nms', '--max-detections': 'max_detections',
        '--max-image-pixels': 'max_image_pixels', '--significant-bits': 'significant_bits',
        '--damaged-images': 'damaged_images'}),
    (build, {
        '--topic': 'calibration_topic', '--samples': 'calibration_samples', '--method': 'calibration_method',
        '--strict-precision': 'strict_precision', '--workspace-mib': 'workspace_mib',
        '--optimization-level': 'builder_optimization_level', '--batch': 'batch_profile', '--dla-core': 'dla_core',
        '--hardware-compatibility': 'hardware_compatibility', '--device-index': 'device_index'}),
    (quantize, {'--precision': 'precision', '--calibration': 'calibration_source', '--samples': 'calibration_samples'}),
])
def test_options_say_what_the_parameters_say(command, options):
    actions = {name: action for action in parser_of(command)._actions for name in action.option_strings}
    for option, parameter in options.items():
        said = re.sub(r' \(default[^()]*\)$', '', actions[option].help)
        assert said[1:] == text(parameter)[1:], option
        assert said[0].lower() == text(parameter)[0].lower(), option


def test_the_command_line_has_the_defaults_of_the_node(tmp_path):
    model = load_model(tiny_models.color_detector(tmp_path / 'm.onnx'))
    options = parser_of(predict).parse_args(['m.onnx', 'a.png'])
    assert pipeline_options(model, options) == PipelineOptions()
    assert settings(options, model) == PostprocessSettings()
    options = parser_of(build).parse_args(['m.onnx', '--batch', '1', '2', '4', '--dla-core', '-1'])
    assert (options.batch, options.optimization_level, options.workspace_mib, options.dla_core) == ([1, 2, 4], 3, 0, -1)


def test_the_room_needs_no_ros():
    code = (
        'import sys\n'
        'sys.modules.update(dict.fromkeys(("rclpy", "rcl_interfaces", "launch", "yaml", "cv2", "onnx")))\n'
        'import trt_perception.parameters.documents, trt_perception.parameters.settings\n')
    subprocess.run([sys.executable, '-c', code], check=True, timeout=600)


def test_the_node_of_a_benchmark_gets_every_option_of_the_model(tmp_path):
    """An option that is not passed on would measure another model without a word."""
    yaml = pytest.importorskip('yaml')
    names = tmp_path / "it's.txt"
    names.write_text('r\ng\nb\n')
    model = tiny_models.color_detector(tmp_path / 'm.onnx')
    parser = parser_of(benchmark)
    given = {
        '--labels': str(names), '--task': 'detection', '--head': 'yolov8', '--output-name': 'output0',
        '--color-order': 'bgr', '--scale': '0.5', '--mean': '1,2,3', '--std': '2', '--resize-mode': 'stretch',
        '--crop-fraction': '0.5', '--interpolation': 'linear', '--backend': 'onnxruntime', '--threads': '1',
        '--precision': 'fp16', '--score': '1', '--iou': '0.5', '--max-detections': '7', '--top-k': '2',
        '--calibration': str(tmp_path), '--calibration-topic': 't', '--calibration-samples': '9',
        '--calibration-method': 'mse', '--min-agreement': '0.5', '--max-image-pixels': '99', '--significant-bits': '12'}
    arguments = [
        str(model), '--input-size', '64', '32', '--class-agnostic', '--classes', 'red', "it's",
        *(word for option, value in given.items() for word in (option, value))]
    parameters = node_parameters(parser.parse_args(arguments), load_model(model))
    # The other options are about the measurement.
    assert set(parameters) == {
        'model_file', 'class_agnostic_nms', 'classes', 'input_size', 'labels_file', 'num_threads', 'score_threshold',
        'iou_threshold', 'calibration_source', *(
            option[2:].replace('-', '_') for option in given
            if option not in ('--labels', '--threads', '--score', '--iou', '--calibration'))}
    read = {name: yaml.safe_load(value) for name, value in parameters.items()}
    assert (read['classes'], read['labels_file']) == (['red', "it's"], str(names))
    assert (read['score_threshold'], read['mean'], read['input_size']) == (1.0, [1.0, 2.0, 3.0], [64, 32])
    assert type(read['score_threshold']) is float and read['class_agnostic_nms'] is True
    assert node_parameters(parser.parse_args([str(model)]), load_model(model)) == {'model_file': f'"{model}"'}
