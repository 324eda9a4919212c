# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A mistyped option or command, or one of another tool, gives one line that names what was probably meant."""

import argparse
from pathlib import Path

import pytest

from trt_perception.cli import suggestions
from trt_perception.cli.main import SUBCOMMANDS, main
from trt_perception.cli.parser import make_parser


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def wrong(capsys, line):
    """Return the line about a wrong command line."""
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    out, err = capsys.readouterr()
    assert (stop.value.code, out, len(err.splitlines())) == (2, '', 1)
    return err


@pytest.mark.parametrize('line, says', [
    ('predict m.onnx a.png --conf 0.3', 'unknown option --conf: use --score'),
    ('predict m.onnx a.png --conf=0.3', 'unknown option --conf: use --score'),
    ('predict m.onnx a.png --conf-thres 0.3', 'unknown option --conf-thres: use --score'),
    ('predict m.onnx a.png --score_threshold 0.3', 'unknown option --score_threshold: use --score'),
    ('predict m.onnx a.png --iou-thres 0.3', 'use --iou'),
    ('predict m.onnx a.png --imgsz 640', 'use --input-size WIDTH HEIGHT'),
    ('predict --weights m.onnx --source a.png', 'unknown option --weights: MODEL is the first argument'),
    ('predict m.onnx --source a.png', 'unknown option --source: SOURCE is an argument after MODEL'),
    ('predict m.onnx a.png --half', 'use --precision fp16'),
    ('predict m.onnx a.png --device 0', 'use --backend tensorrt for the GPU, --backend onnxruntime for the CPU'),
    ('predict m.onnx a.png --agnostic-nms', 'use --class-agnostic'),
    ('predict m.onnx a.png --save-txt', 'use --json FILE'),
    ('predict m.onnx a.png --output out', 'use --draw DIR for pictures, --json FILE for the results'),
    ('predict m.onnx a.png --out out', 'use --draw DIR for pictures, --json FILE for the results'),
    ('predict m.onnx a.png --scroe 0.3', 'unknown option --scroe: did you mean --score?'),
    ('predict m.onnx a.png --input_size 64 64', 'did you mean --input-size?'),
    ('predict m.onnx a.png --zzz', 'unknown option --zzz (see trt_perception predict --help)'),
    ('build m.onnx --gpu 0', 'use --device-index N'), ('build --onnx=m.onnx', 'MODEL is the first argument'),
    ('build m.onnx --saveEngine=x.plan', 'use --output'), ('build m.onnx --fp16', 'use --precision fp16'),
    ('quantize m.onnx --data d', 'use --labels'), ('quantize m.onnx --source d', 'use --calibration SOURCE'),
    ('demo --weights m.onnx', 'use --model'), ('demo --source a.mp4', 'use --video'),
    ('benchmark m.onnx --video a.mp4', 'use --source'), ('cache prune --unsed-for 3', 'did you mean --unused-for?'),
    ('play b --loops', 'did you mean --loop?'), ('--verson', 'did you mean --version?'),
    # As Ultralytics takes them.
    ('predict model=m.onnx source=a.png', "found 'model=m.onnx': MODEL is the first argument"),
    ('predict m.onnx a.png conf=0.5', "an option is written as --name value, found 'conf=0.5': use --score"),
    ('predict m.onnx a.png precision=fp16', "found 'precision=fp16': use --precision"),
    # Commands
    ('pedict m.onnx', "invalid choice: 'pedict'"), ('pedict m.onnx', 'did you mean predict?'),
    ('detect m.onnx', 'did you mean predict?'), ('convert m.onnx', 'did you mean build?'),
    ('download x', 'did you mean fetch?'), ('cache lst', 'did you mean list?'),
    ('benchmrk m', 'did you mean benchmark?'),
    # Choices
    ('predict m.onnx a.png --backend tensort', 'did you mean tensorrt?'),
    ('predict m.onnx a.png --precision fp61', 'did you mean fp16?')])
def test_what_was_meant(capsys, line, says):
    assert says in wrong(capsys, line)


@pytest.mark.parametrize('words, says', [
    (['predict', 'm.onnx', 'a.png', '--json', ''], 'argument --json: expected the name of a file, found an empty text'),
    (['predict', 'm.onnx', 'a.png', '--draw', ''], 'argument --draw: expected the name of a folder'),
    (['predict', 'm.onnx', '--compare='], 'argument --compare: expected the name of a file'),
    (['benchmark', 'm.onnx', '--report', ''], 'argument --report: expected the name of a folder'),
    (['quantize', 'm.onnx', '--precision', 'fp16', '--output', ''], 'argument --output: expected the name of a file'),
    (['annotate', 'bag', '--model', 'm.onnx', '--output', ''], 'argument --output: expected the name of a folder'),
    (['annotate', '', '--model', 'm.onnx', '--output', 'd'], 'argument BAG: expected the name of a bag')])
def test_an_empty_name_is_not_the_current_folder_and_not_nothing(capsys, words, says):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2 and says in capsys.readouterr().err


def test_empty_labels_are_the_default():
    assert make_parser(SUBCOMMANDS).parse_args(['predict', 'm.onnx', 'a.png', '--labels', '']).labels == ''


def options_of(*words):
    parser = make_parser(SUBCOMMANDS)
    for word in words:
        [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        parser = commands.choices[word]
    return parser, {name for action in parser._actions for name in action.option_strings}


@pytest.mark.parametrize('line', [
    'predict m.onnx a.png --sco 0.3', 'predict m.onnx a.png --max-det 3', 'build m.onnx --device 0',
    'demo --output d', 'predict m.onnx a.png --max-f 3', 'demo --out d', 'predict m.onnx -- --conf',
    'predict m.onnx a.png --topic conf=1', 'predict m.onnx a.png --json model=x.json', 'play b --to /model=x'])
def test_what_argparse_takes_is_taken(line):
    """Beginnings of options, values that look like something else, and file names after --."""
    make_parser(SUBCOMMANDS).parse_args(line.split())


def test_a_file_with_such_a_name_is_a_file():
    Path('model=m.onnx').touch()
    options = make_parser(SUBCOMMANDS).parse_args(['predict', 'model=m.onnx', 'a.png'])
    assert options.model == 'model=m.onnx'


@pytest.mark.parametrize('command', SUBCOMMANDS)
def test_every_remedy_names_an_option_of_the_command(command):
    _, own = options_of(command)
    for foreign in suggestions._OPTIONS:
        remedy = suggestions.foreign_option(foreign, own)
        named = [word.rstrip(',') for word in remedy.split() if word.startswith('--')]
        assert all(name in own for name in named if name != '--json' or '--json' in own), (foreign, remedy)
        if foreign in own:
            assert remedy == ''


def test_words_of_other_tools_are_no_commands():
    assert set(suggestions._COMMANDS.values()) <= set(SUBCOMMANDS)
    assert not set(suggestions._COMMANDS) & set(SUBCOMMANDS)
