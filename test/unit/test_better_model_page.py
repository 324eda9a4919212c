# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every trt_perception command of docs/how-to/better_model.md, as it stands and in its order, with tiny models."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
pytest.importorskip('faster_coco_eval')
from support.bag_storage import write_stored
from support.driver_bags import PERIOD_NS, START_NS, VARIANTS, message, pictures
from support.tiny_models import color_detector, fixed_outputs
from test_docs_commands import code_lines, our_commands

from trt_perception.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'how-to' / 'better_model.md'
NAMES = {'names': {0: 'red', 1: 'green', 2: 'blue'}, 'task': 'detect'}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The bags of step 1, and the models that the page names."""
    monkeypatch.chdir(tmp_path)
    variant = next(entry for entry in VARIANTS if entry.name == 'humble_compressed_jpeg')
    for day, frames in (('day1', pictures(6)), ('day2', pictures(10)[6:])):
        # One in 0.33 s, so that one in a second is every third.
        times = [START_NS + number * 10 * PERIOD_NS for number in range(len(frames))]
        write_stored(Path(day), variant.topic, [
            (variant.type, time, time, message(variant, frame)) for time, frame in zip(times, frames)], 'mcap')
    color_detector(tmp_path / 'large.onnx')
    nothing = np.zeros((1, 7, 64), np.float32)
    nothing[0, :4] = [[12], [12], [8], [8]]
    nothing[0, 4, 0] = 0.3
    fixed_outputs(tmp_path / 'robot.onnx', nothing, metadata=NAMES)
    shutil.copy('large.onnx', 'new.onnx')
    return tmp_path


def coco(path):
    return json.loads(Path(path, 'coco/annotations/instances_default.json').read_text())


def test_the_round(folder, capsys):
    text = PAGE.read_text()
    done = []
    for command in our_commands(PAGE, in_sentences=False):
        code = main(shlex.split(command))
        assert code == 0, (command, capsys.readouterr().err)
        done.append((command, capsys.readouterr().out))
        if '--coco-missed-by' in command:
            # The labeller takes a wrong box away.
            labels = coco('results/day2')
            # All but the box that the robot's model finds too.
            missed = [entry['attributes']['missed'] for entry in labels['annotations']]
            assert missed.count(False) <= len(labels['images']) < missed.count(True)
            del labels['annotations'][0]
            Path('day2.json').write_text(json.dumps(labels))
    assert [command.split()[0] for command, _ in done] == [
        'annotate', 'annotate', 'annotate', 'inspect', 'predict', 'predict', 'evaluate', 'evaluate',
        'annotate', 'annotate', 'compare']
    for name in ('results', 'sampled', 'unsure'):
        assert f'--output {name}' in text and coco(f'{name}/day1')['images'], name
    # The photos of a second in both bags: one in three images.
    assert [image['file_name'][-10:] for image in coco('results/day1')['images']] == ['000000.jpg', '000003.jpg']
    figures = [float(re.search(r'^mAP50 +([\d.]+)', out, re.M).group(1)) for command, out in done
               if command.startswith('evaluate')]
    assert Path('difference.html').stat().st_size > 10_000 and '4 images' in done[-1][1]
    assert figures[0] < 0.1 < 0.9 < figures[1]


def test_the_labels_for_cvat(folder):
    """The line of Python, as a shell runs it."""
    [line] = [line for line in code_lines(PAGE.read_text()) if line.startswith('python3 -c')]
    place = Path('results/day1/coco/annotations')
    place.mkdir(parents=True)
    (place / 'instances_default.json').write_text(json.dumps({'categories': [{'id': 1, 'name': 'red'}]}))
    block = re.search(r'^(python3 -c .*?)\n```', PAGE.read_text(), re.M | re.S).group(1)
    for command in (line, block):
        subprocess.run(['bash', '-c', command], check=True)
        assert json.loads(Path('labels_cvat.json').read_text()) == [{'name': 'red', 'attributes': [{
            'name': 'missed', 'mutable': True, 'input_type': 'checkbox', 'default_value': 'false',
            'values': ['false']}]}]
