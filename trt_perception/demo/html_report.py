# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the demo's results as one HTML file: video, plots and table. It loads nothing from elsewhere."""

from __future__ import annotations

import base64
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from .. import __version__
from ..html_page import html_page, section, tiles
from ..node.monitoring.statistics import PERCENTILES
from ..results.video_file import PLAYED_BY_BROWSERS
from . import plots
from .html_page import SCRIPT, STYLE
from .report import DROPS, STAGES, Figures
from .verdict import is_too_slow

# Base64 makes it a third longer. Browsers read a page of this size at once; a longer video stays a file beside it.
EMBED_BYTES = 24_000_000
_CLASSES_SHOWN = 8
# Stages that overlap no other one.
_PARTS = ('receive_age', 'convert', 'preprocess', 'infer', 'postprocess', 'publish')


@dataclass(frozen=True)
class ReportData:
    """The content of the report.

    model, video_name: file names, shown as they are; video, sheet: written files, in the report's folder
    verdict: one sentence; interval_ms: time between two frames as they were played; fps: of the video
    ages_ms: time from stamp to arrival, by frame number; window_s: seconds that the node's percentiles cover
    """

    model: str
    video_name: str
    video: Path
    sheet: Path
    verdict: str
    figures: Figures
    interval_ms: float
    fps: float
    ages_ms: Mapping[int, float]
    window_s: float


def write_html(path: Path, data: ReportData) -> None:
    """Write the report. Raises OSError."""
    figures = data.figures
    parts = [
        f'<h1>{escape(data.model)} on {escape(data.video_name)}</h1>'
        f'<p class="soft">trt_perception {escape(__version__)}: player, node and consumer were separate processes and '
        'talked over DDS.</p>'
        f'<p class="verdict{" bad" if is_too_slow(figures) else ""}">{escape(data.verdict)}</p>',
        _video(data), _tiles(data), '<div class="grid2">', *_plots(data), '</div>', _table(data), _machine(data),
        '<footer>detections.jsonl has every box of every processed frame; node.log has the log of the node.</footer>']
    path.write_text(html_page(f'{data.model} on {data.video_name}', parts, STYLE, SCRIPT), encoding='utf-8')


def _video(data: ReportData) -> str:
    if data.video.suffix != PLAYED_BY_BROWSERS:
        sheet = base64.b64encode(data.sheet.read_bytes()).decode()
        return (
            f'<section><img class="sheet" alt="Frames of the video with results" src="data:image/png;base64,{sheet}">'
            f'<p class="note">The video is in {escape(data.video.name)}, beside this page. Browsers do not play it: '
            'this OpenCV has no VP8 encoder (libvpx), so it is MPEG-4 Part 2. VLC and mpv play it.</p></section>')
    size = data.video.stat().st_size
    beside = ''
    if size <= EMBED_BYTES:
        source = 'data:video/webm;base64,' + base64.b64encode(data.video.read_bytes()).decode()
    else:
        source = escape(data.video.name)
        beside = (f' The video has {size / 1e6:.0f} MB, so it is not in this page: keep {source} in the same folder.')
    skipped = data.figures.sent - len(data.ages_ms)
    dimmed = ' Dimmed results are from the last processed frame, because this frame was skipped.' if skipped else ''
    return (f'<section><video controls muted loop autoplay playsinline preload="auto" src="{source}"></video>'
            f'<p class="note">Every frame with its results, at the speed of the video.{dimmed}{beside}</p></section>')


def _tiles(data: ReportData) -> str:
    figures = data.figures
    p50, p95 = (float(value) for value in np.percentile(figures.ages_ms, (50, 95)))
    return tiles([
        (f'{figures.sent}', 'frames sent'), (f'{figures.count("processed")}', 'frames processed'),
        (f'{figures.sent - figures.count("processed")}', 'frames skipped or lost'),
        (f'{p50:.1f} ms', 'stamp to detection, median'), (f'{p95:.1f} ms', 'stamp to detection, p95'),
        (f'{data.interval_ms:.1f} ms', 'between two frames')])


def _plots(data: ReportData) -> Iterable[str]:
    figures = data.figures
    skipped = sorted(set(range(figures.sent)) - set(data.ages_ms))
    yield section(
        'Stamp to detection, frame by frame', plots.timeline(
            [frame / data.fps for frame in data.ages_ms], list(data.ages_ms.values()),
            [frame / data.fps for frame in skipped], figures.sent / data.fps, data.interval_ms),
        '<span class="together"><span class="key"></span> processed frame, ms</span> &ensp; '
        '<span class="together"><span class="key skip"></span> skipped frame</span> &ensp; '
        '<span class="together"><span class="key line"></span> time between two frames.</span> '
        'Click to go there in the video.')
    yield section(
        'Stamp to detection, distribution', plots.histogram(figures.ages_ms, PERCENTILES),
        'From the stamp of the image to the arrival of its result at another process, all results.')
    stages: list[tuple[str, float, float | None]] = [
        (stage, values[0], values[1]) for stage in _PARTS if (values := _percentiles(figures, stage))]
    if stages:
        yield section(
            'Time of each stage', plots.bars(stages, ' ms', 'Time of each stage'),
            f'In the node, last {data.window_s:g} s. Bar: median; thin line: up to p95; numbers: median / p95.')
    if figures.classes:
        rows: list[tuple[str, float, float | None]] = [
            (name, float(count), None) for name, count in figures.classes[:_CLASSES_SHOWN]]
        rest = figures.classes[_CLASSES_SHOWN:]
        if rest:
            rows.append((f'{len(rest)} others', float(sum(count for _, count in rest)), None))
        title = figures.counted[0].upper() + figures.counted[1:]
        yield section(title, plots.bars(rows, '', title), 'As the model says; it can be wrong.')


def _table(data: ReportData) -> str:
    figures = data.figures
    heads = ''.join(f'<th>p{percentile}</th>' for percentile in PERCENTILES)
    rows = [
        f'<tr><th scope="rowgroup" colspan="5">In the node, last {data.window_s:g} s, from its diagnostics</th></tr>',
        *(_row(stage, what, values) for stage, what in STAGES.items() if (values := _percentiles(figures, stage))),
        '<tr><th scope="rowgroup" colspan="5">At the consumer, all results</th></tr>',
        _row('stamp to detection', '', [float(age) for age in np.percentile(figures.ages_ms, PERCENTILES)])]
    counts = [
        ('sent', figures.sent), ('processed', figures.count('processed')), ('lost between processes', figures.lost),
        *((what, figures.count(name)) for name, what in DROPS.items()), ('results received', len(figures.ages_ms))]
    return (
        '<div class="grid2 numbers"><section><h2>Milliseconds</h2><div class="scroll"><table><tr><th>stage</th>'
        f'<th class="wide"></th>{heads}</tr>{"".join(rows)}</table></div></section>'
        '<section><h2>Frames</h2><table>' + ''.join(
            f'<tr><td>{escape(what)}</td><td>{count}</td></tr>' for what, count in counts) + '</table></section></div>')


def _row(name: str, what: str, values: list[float]) -> str:
    numbers = ''.join(f'<td>{value:.2f}</td>' for value in values)
    return f'<tr><td>{escape(name)}</td><td class="text wide soft">{escape(what)}</td>{numbers}</tr>'


def _percentiles(figures: Figures, stage: str) -> list[float]:
    """Return the stage's percentiles in ms; an empty list if the node did not report them."""
    values = [figures.diagnostics.get(f'{stage}_ms_p{percentile}') for percentile in PERCENTILES]
    return [] if None in values else [float(value or 0) for value in values]


def _machine(data: ReportData) -> str:
    known = [(key.replace('_', ' '), data.figures.diagnostics[key]) for key in (
        'backend', 'device', 'precision', 'model_sha256') if data.figures.diagnostics.get(key)]
    rows = [*known, ('processor', f'{_processor()}, {os.cpu_count()} cores'), ('system', platform.platform())]
    return '<section><h2>Machine</h2><dl>' + ''.join(
        f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in rows) + '</dl></section>'


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        lines = []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()
