# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The progress of `annotate` over several bags: what is done and left of all of them, not only of the bag in work."""

import re
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bags import write_bag
from support.tiny_models import color_detector
from test_annotate import images

from trt_perception import progress
from trt_perception.annotate import rate
from trt_perception.cli import annotate as command
from trt_perception.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model and bags of 2, 3, 4 and 5 images; each step of the progress is a line."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    for count in range(2, 6):
        write_bag(Path(f'day{count}'), {'/image': list(images('coffee', count)), '/chatter': None})
    monkeypatch.setattr(command, 'ConsoleProgress', partial(progress.ConsoleProgress, delay=0.0))
    monkeypatch.setattr(progress, '_LINE_SECONDS', 0.0)
    monkeypatch.setattr(rate, '_UPDATE_S', 0.0)
    return tmp_path


def steps(capfd, *bags):
    """(exit code, each step of the progress, without rate and times)."""
    code = main(['annotate', *bags, '--model', 'm.onnx', '--output', 'out', '--formats', 'json'])
    found = capfd.readouterr().err.splitlines()
    return code, [
        re.sub(r', [\d.]+ images/s', '', re.sub(r'[\d.]+ (?:s|min|h) left', 'T left', line)) for line in found]


def test_one_bag(capfd):
    code, found = steps(capfd, 'day3')
    assert code == 0 and found == [
        'day3: 0 of 3 images', *(f'day3, T left: {done} of 3 images' for done in (1, 2)),
        'day3, writing the results: 3 images']


def test_all_bags_that_are_left_count(capfd):
    """A bag that is finished is done from the start, wherever it is in the list; its images do not count."""
    steps(capfd, 'day4')
    code, found = steps(capfd, 'day2', 'day4', 'day5')
    assert code == 0 and found == [
        'day2 (1 of 3 bags done): 0 of 7 images',
        *(f'day2 (1 of 3 bags done), T left: {done} of 7 images' for done in (1, 2)),
        *(f'day5 (2 of 3 bags done), T left: {done} of 7 images' for done in range(2, 7)),
        'day5 (2 of 3 bags done), writing the results: 7 images']


def test_a_copy_of_a_bag_is_found_in_its_turn(capfd):
    """It is known when it is read: then its images do not count any longer."""
    Path('copy').mkdir()
    Path('copy/day3.mcap').write_bytes(Path('day3/day3.mcap').read_bytes())
    _, found = steps(capfd, 'day3', 'copy/day3.mcap', 'day2')
    assert found[0] == 'day3 (0 of 3 bags done): 0 of 8 images'
    assert found[-2] == 'day2 (2 of 3 bags done), T left: 4 of 5 images'


def test_a_bag_whose_number_of_images_is_not_known(capfd):
    """Of a bag that is cut off, it is known in its turn: until then, the time is a lower limit."""
    write_bag(Path('long'), {'/image': list(images('coffee', 40))})
    Path('cut.mcap').write_bytes(Path('long/long.mcap').read_bytes()[:1_500_000])
    code, found = steps(capfd, 'day2', 'cut.mcap', 'missing', 'day3')
    lines = [line for line in found if not line.startswith('trt_perception: ')]
    read = len(Path('out/cut/results.jsonl').read_text().splitlines())
    assert code == 1 and 0 < read < 40
    assert lines[:3] == [
        'day2 (0 of 4 bags done)',
        *(f'day2 (0 of 4 bags done), at least T left: {done} images' for done in (1, 2))]
    # The one that is missing could be there by its turn.
    assert lines[3] == 'cut.mcap (1 of 4 bags done), at least T left: 2 images'
    assert lines[-2] == f'day3 (3 of 4 bags done), T left: {4 + read} of {5 + read} images'
