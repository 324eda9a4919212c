# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of JSON lines and finished annotations, written by hand instead of by `annotate`."""

import json
from pathlib import Path

START = 1_700_000_000 * 10**9


def box(name, score, x_min, y_min, x_max, y_max):
    return {'class_id': name, 'score': score, 'bbox': [x_min, y_min, x_max, y_max]}


def line(frame, found, topic='/camera/image_raw', size=(640, 480), stamp_ns=None, **changes):
    """A line of annotate. found: boxes, or (class, score) of a classifier."""
    kind = 'classifications' if found and isinstance(found[0], tuple) else 'detections'
    entries = [{'class_id': one[0], 'score': one[1]} if isinstance(one, tuple) else one for one in found]
    return {
        'source': 'bag', 'frame': frame, 'width': size[0], 'height': size[1],
        'stamp_ns': START + frame * 40_000_000 if stamp_ns is None else stamp_ns, kind: entries, 'topic': topic,
        **changes}


def image(source, found, **changes):
    """A line of predict about an image."""
    record = line(0, found, **changes)
    del record['topic'], record['stamp_ns']
    return {**record, 'source': source}


def write_lines(path, records):
    path = Path(path)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records), encoding='utf-8')
    return path


def write_annotation(folder, records, content='c', names=('car', 'dog'), bag='/nowhere/bag.mcap', **settings):
    """A folder of one bag with results.jsonl and annotation.json."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    lines = write_lines(folder / 'results.jsonl', records)
    (folder / 'annotation.json').write_text(json.dumps({
        'run': 'r', 'bag': bag, 'content': content, 'settings': {'names': list(names), **settings}, 'counts': {},
        'files': [{'path': bag, 'state': [], 'sha256': content}], 'outputs': {'results.jsonl': lines.stat().st_size}}))
    return folder
