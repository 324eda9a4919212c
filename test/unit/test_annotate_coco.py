# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What CVAT, Datumaro, FiftyOne and pycocotools need of the COCO folder: test/imports/coco_imports.py runs them."""

import json
from pathlib import Path

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bags import write_bag
from support.tiny_models import color_classifier, color_detector
from test_annotate import SIZE, images

from trt_perception.cli.main import main


@pytest.mark.parametrize('arguments', [[], ['--coco-missed-by', 'm.onnx', '--coco-every', '1'], ['--score', '1']])
@pytest.mark.parametrize('model', [color_detector, color_classifier])
def test_what_labelling_tools_need(tmp_path, monkeypatch, model, arguments):
    monkeypatch.chdir(tmp_path)
    model(tmp_path / 'm.onnx')
    front, back = list(images('coffee', 5)), list(images('rocket', 3))
    write_bag(Path('bag'), {'/front/image_raw': front, '/back/image_raw': back})
    assert main(['annotate', 'bag', '--output', 'out', '--model', 'm.onnx', '--formats', 'coco', '--coco-every', '2',
                 '--score', '0.4', *arguments]) == 0
    folder = Path('out/bag/coco')
    # Datumaro looks for this place; a ZIP file of the folder is a data set for CVAT.
    coco = json.loads((folder / 'annotations' / 'instances_default.json').read_text())
    assert list(coco) == ['info', 'licenses', 'categories', 'images', 'annotations'] and coco['licenses'] == []
    assert coco['categories'] == [
        {'id': number, 'name': name, 'supercategory': ''} for number, name in enumerate(('red', 'green', 'blue'), 1)]
    # No model misses what it finds itself.
    assert len(coco['images']) == (0 if '--coco-missed-by' in arguments else 5)
    assert [image['id'] for image in coco['images']] == list(range(1, len(coco['images']) + 1))
    for image in coco['images']:
        # The name is that of a file in images/, without folders: CVAT finds the frame of a task by it.
        picture = cv2.imread(str(folder / 'images' / image['file_name']))
        assert '/' not in image['file_name'] and picture.shape[1::-1] == (image['width'], image['height']) == SIZE
    assert len(list((folder / 'images').iterdir())) == len(coco['images'])
    assert [entry['id'] for entry in coco['annotations']] == list(range(1, len(coco['annotations']) + 1))
    for entry in coco['annotations']:
        # CVAT's reader refuses an annotation without iscrowd, area or bbox.
        assert set(entry) == {'id', 'image_id', 'category_id', 'iscrowd', 'bbox', 'area', 'segmentation', 'score'}
        assert 1 <= entry['image_id'] <= len(coco['images']) and 1 <= entry['category_id'] <= 3
        assert (entry['iscrowd'], entry['segmentation']) == (0, [])
        left, top, width, height = entry['bbox']
        assert min(entry['bbox']) >= 0 and left + width <= SIZE[0] + 1e-3 and top + height <= SIZE[1] + 1e-3
        assert entry['area'] == pytest.approx(width * height, abs=0.2) and 0 <= entry['score'] <= 1
