# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Read a coco/ folder with a labelling tool, correct one box, and write the labels. coco_imports.py runs this.

  python labelling_tools.py TOOL FOLDER CORRECTED

TOOL is fiftyone, datumaro, cvat or pycocotools; it must be installed (cvat: Datumaro as CVAT has it). The first line of
stdout is the version, the second what was read, as JSON: the name of each image, and its objects as class, x, y, width
and height in pixels, score, and whether the other model misses it. CORRECTED is a folder for the tool's own COCO
export, without the first object of the image that comes first by name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

JSON = 'annotations/instances_default.json'
Images = dict[str, list[list[Any]]]


def with_fiftyone(folder: Path, corrected: Path) -> tuple[str, Images]:
    """FiftyOne with its database, and its own export."""
    import fiftyone as fo

    dataset = fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset, data_path=str(folder / 'images'), labels_path=str(folder / JSON))
    found: Images = {}
    for sample in dataset:
        size = sample.metadata.width, sample.metadata.height
        assert Path(sample.filepath).is_file()
        objects = sample.detections.detections if sample.has_field('detections') and sample.detections else []
        found[Path(sample.filepath).name] = [
            [label.label, *(value * size[axis % 2] for axis, value in enumerate(label.bounding_box)), label.confidence,
             label['missed'] if label.has_field('missed') else None] for label in objects]
    if any(found.values()):
        first = min((sample for sample in dataset if sample.detections), key=lambda sample: sample.filepath)
        first.detections.detections = first.detections.detections[1:]
        first.save()
        dataset.export(
            labels_path=str(corrected / JSON), dataset_type=fo.types.COCODetectionDataset, label_field='detections')
    return f'fiftyone {fo.__version__}', found


def with_datumaro(folder: Path, corrected: Path) -> tuple[str, Images]:
    """Datumaro; CVAT imports and exports COCO with it."""
    import datumaro.version
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(str(folder), 'coco_instances')
    # CVAT gets the file without the images too.
    if sys.argv[1] == 'cvat':
        alone = Dataset.import_from(str(folder / JSON), 'coco_instances')
        assert sorted(item.id for item in alone) == sorted(item.id for item in dataset)
    names = [category.name for category in dataset.categories()[AnnotationType.label]]
    found: Images = {}
    for item in dataset:
        assert item.media.data is not None
        found[f'{item.id}.jpg'] = [
            [names[box.label], *box.get_bbox(), box.attributes.get('score'), box.attributes.get('missed')]
            for box in item.annotations if box.type == AnnotationType.bbox]
        assert len(found[f'{item.id}.jpg']) == len(item.annotations)
    if any(found.values()):
        first = min((item for item in dataset if item.annotations), key=lambda item: item.id)
        lowest = min(box.id for box in first.annotations)
        dataset.put(first.wrap(annotations=[box for box in first.annotations if box.id != lowest]))
    dataset.export(str(corrected), 'coco_instances', **(
        {'save_images': False} if sys.argv[1] == 'cvat' else {'save_media': False}))
    number = getattr(datumaro.version, 'VERSION', None) or datumaro.version.__version__
    return f'{sys.argv[1]} (datumaro {number})', found


def with_pycocotools(folder: Path, corrected: Path) -> tuple[str, Images]:
    """Pycocotools, which has no export."""
    from importlib.metadata import version

    from pycocotools.coco import COCO

    coco = COCO(str(folder / JSON))
    found = {
        image['file_name']: [
            [coco.cats[entry['category_id']]['name'], *entry['bbox'], entry['score'],
             entry.get('attributes', {}).get('missed')] for entry in coco.loadAnns(coco.getAnnIds([number]))]
        for number, image in coco.imgs.items()}
    (corrected / JSON).parent.mkdir(parents=True)
    (corrected / JSON).write_text((folder / JSON).read_text())
    return f'pycocotools {version("pycocotools")}', found


if __name__ == '__main__':
    read = {'fiftyone': with_fiftyone, 'datumaro': with_datumaro, 'cvat': with_datumaro,
            'pycocotools': with_pycocotools}[sys.argv[1]]
    about, images = read(Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
    print(about)
    print(json.dumps(images))
