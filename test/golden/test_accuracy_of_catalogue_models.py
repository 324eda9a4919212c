# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of the catalogue's detector on labelled images: `predict`, then `evaluate` with a minimum."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.catalogue_files import fetched_model

from trt_perception.cli.main import main

pytest.importorskip('cv2')
BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'


@pytest.mark.skipif(find_spec('faster_coco_eval') is None, reason='needs faster_coco_eval: make setup')
def test_yolov3_tiny_on_pasted_objects(tmp_path, monkeypatch, capsys):
    model = fetched_model('yolov3-tiny')
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from make_evaluation_data import CLASSES, SIZE
    from pasted_objects import photo_cutouts, write_set

    write_set(tmp_path, 20, SIZE, photo_cutouts(CLASSES), 1, CLASSES)
    monkeypatch.chdir(tmp_path)
    assert main(['predict', str(model), 'images', '--score', '0.001', '--json', 'found.jsonl']) == 0
    arguments = ['evaluate', '--truth', 'truth.json', 'found.jsonl', '--ignore-other-classes', '--json', 'figures.json']
    assert main([*arguments, '--min-map50', '0.75', '--min-map', '0.4']) == 0
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['images'] == 20 and figures['precision'] >= 0.9
    capsys.readouterr()
    assert main([*arguments, '--min-map50', '0.999']) == 1
    assert 'mAP50 is ' in capsys.readouterr().err
