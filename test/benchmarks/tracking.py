# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares the tracker with that of the package `trackers` (Roboflow, Apache-2.0) on MOT sequences.

    python3 -m venv tracking-venv && tracking-venv/bin/pip install trackers motmetrics
    PYTHONPATH=. tracking-venv/bin/python test/benchmarks/tracking.py FOLDER

FOLDER has NAME.gt.txt and NAME.det.txt for each sequence, in the format of the MOT challenge: frame, id, left, top,
width, height, score. docs/tracking.md says where they come from, and has the results. `motmetrics` computes MOTA, IDF1
and the number of id switches.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import motmetrics
import numpy as np

from trt_perception.results.results import Detections
from trt_perception.tracking.overlap import iou
from trt_perception.tracking.tracker import Tracker

RATES = {
    'ADL-Rundle-6': 30, 'ADL-Rundle-8': 30, 'ETH-Bahnhof': 14, 'ETH-Pedcross2': 14, 'ETH-Sunnyday': 14, 'KITTI-13': 10,
    'KITTI-17': 10, 'PETS09-S2L1': 7, 'vtest': 7, 'TUD-Campus': 25, 'TUD-Stadtmitte': 25, 'Venice-2': 30}
# Share of the frames that are kept, at random: the frames of a busy machine.
SHARES = (1.0, 0.5, 0.25)
SEEDS = 3


def read(path: Path) -> dict[int, np.ndarray]:
    """Return (N, 6) id, x_min, y_min, x_max, y_max, score by frame number."""
    table = np.loadtxt(path, delimiter=',', usecols=range(7), ndmin=2)
    table[:, 4:6] += table[:, 2:4]
    return {int(frame): table[table[:, 0] == frame, 1:] for frame in np.unique(table[:, 0])}


def ours(frames, rate, high, low):
    tracker = Tracker()
    for number, rows in frames:
        rows = rows[rows[:, 5] >= low]
        rows = rows[np.argsort(-rows[:, 5], kind='stable')]
        found = tracker.update(
            Detections(rows[:, 1:5].astype(np.float32), rows[:, 5].astype(np.float32), np.zeros(len(rows), np.int64)),
            round(number / rate * 1e9), (1920, 1080), high)
        yield found.boxes[found.ids > 0], found.ids[found.ids > 0]


def theirs(frames, rate, high, low, share, timestamps, defaults=False):
    import supervision
    from trackers import ByteTrackTracker
    given = {} if defaults else {'track_activation_threshold': high, 'high_conf_det_threshold': high}
    tracker = ByteTrackTracker(frame_rate=rate * share, **given)
    for number, rows in frames:
        rows = rows[rows[:, 5] >= low]
        found = tracker.update(
            supervision.Detections(
                xyxy=rows[:, 1:5], confidence=rows[:, 5], class_id=np.zeros(len(rows), int)),
            **({'timestamp': number / rate} if timestamps else {}))
        # As for ours, only what is published.
        kept = (found.tracker_id >= 0) & (found.confidence >= high) if len(found) else np.zeros(0, bool)
        yield found.xyxy[kept], found.tracker_id[kept]


def accumulate(truth, frames, tracks):
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for (number, _), (boxes, ids) in zip(frames, tracks):
        real = truth.get(number, np.zeros((0, 6)))
        # motmetrics.distances.iou_matrix fails with NumPy 2.
        far = 1 - iou(real[:, 1:5], boxes.astype(float))
        accumulator.update(real[:, 0], ids, np.where(far > 0.5, np.nan, far))
    return accumulator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--high', type=float, default=0.6)
    parser.add_argument('--low', type=float, default=0.1)
    parser.add_argument('--only', nargs='*')
    parser.add_argument('--ours', action='store_true', help='leave `trackers` out')
    options = parser.parse_args()
    warnings.simplefilter('ignore')
    names = options.only or sorted(path.name[:-7] for path in options.folder.glob('*.gt.txt'))
    print(f'{"":32} {"MOTA":>6} {"IDF1":>6} {"switches":>8} {"fragm.":>7} {"s":>6}')
    for share in SHARES:
        scores = {'high': options.high, 'low': options.low}
        ways = {'trt_perception': partial(ours, **scores)}
        if not options.ours:
            ways |= {
                'trackers, counting frames': partial(theirs, **scores, share=share, timestamps=False),
                'trackers, with timestamps': partial(theirs, **scores, share=share, timestamps=True),
                'trackers, its defaults': partial(theirs, **scores, share=share, timestamps=False, defaults=True)}
        for way, track in ways.items():
            accumulators, started = [], time.process_time()
            for seed in range(1 if share == 1 else SEEDS):
                for name in names:
                    truth = read(options.folder / f'{name}.gt.txt')
                    found = read(options.folder / f'{name}.det.txt')
                    last = max(max(truth), max(found))
                    rng = np.random.default_rng(seed)
                    chosen = [n for n in range(1, last + 1) if rng.random() < share]
                    frames = [(n, found.get(n, np.zeros((0, 6)))) for n in chosen]
                    accumulators.append(accumulate(truth, frames, track(frames, RATES.get(name, 30))))
            seconds = time.process_time() - started
            host = motmetrics.metrics.create()
            summary = host.compute_many(
                accumulators, metrics=['mota', 'idf1', 'num_switches', 'num_fragmentations'], generate_overall=True)
            total = summary.loc['OVERALL']
            print(
                f'{share:4.0%} of the frames {way:28.28} {total["mota"]:6.3f} {total["idf1"]:6.3f} '
                f'{int(total["num_switches"]):8} {int(total["num_fragmentations"]):7} {seconds:6.1f}', flush=True)


if __name__ == '__main__':
    main()
