# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole demo: model, video, one session, and the files in the output folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..catalogue.catalog import find_entry
from ..catalogue.fetch import is_fetched
from ..catalogue.resolve import resolve_model, resolve_video
from ..errors import reason
from ..file_cache import file_sha256
from ..file_state import file_state
from ..home import expanded
from ..node.monitoring.statistics import WINDOW_S
from ..progress import ConsoleProgress
from ..results.json_lines import result_record
from ..results.results import Classifications, Result
from ..results.video_file import PLAYED_BY_BROWSERS
from .environment import demo_environment, free_domain_id
from .errors import DemoError
from .folder_lock import locked_folder
from .html_report import ReportData, write_html
from .installation import large_images_profile
from .pictures import write_pictures
from .recording import Recording, check_video, record
from .report import Figures, table
from .results import class_counts, result_from_message
from .session import Session, run_session
from .verdict import verdict

DETECTIONS = 'detections.jsonl'
# With the suffix of the format: see results/video_file.py.
VIDEO = 'annotated'
SHEET = 'contact_sheet.png'
REPORT = 'report.txt'
PAGE = 'report.html'
BAG = 'video_bag'
STALE = (
    DETECTIONS, f'{VIDEO}.webm', f'{VIDEO}.mp4', SHEET, REPORT, PAGE, 'node.log', 'player.log', 'frames_sent.jsonl',
    'perception_node.yaml')


@dataclass(frozen=True)
class DemoOptions:
    """Options of the demo.

    output: folder; video: file or catalogue name; model: ONNX file or catalogue name
    labels, score: the node's labels_file and score_threshold, None for the model's own
    rate: speed of playing; seconds: length of the video to use, 0 for all; domain_id: None for a free one
    tracking: whether objects get ids that stay; a model that classifies has none
    """

    output: Path
    video: str
    model: str
    labels: str
    score: float | None
    rate: float
    seconds: float
    domain_id: int | None
    tracking: bool = False


def _print_now(text: str) -> None:
    # Without flush, output to a pipe or a file appears only at exit: too late, and after the progress on stderr.
    print(text, flush=True)


def run_demo(options: DemoOptions, say: Callable[[str], None] = _print_now) -> None:
    """Run everything and print the table. Raises PerceptionError. No process is left, even after an error."""
    was_there = _is_cached(options.model)
    with ConsoleProgress() as progress:
        model = resolve_model(options.model, progress=progress).resolve()
    say(f'model        {options.model}{was_there}: {model}')
    was_there = _is_cached(options.video)
    with ConsoleProgress() as progress:
        video = resolve_video(options.video, progress=progress)
    check_video(video)
    say(f'video        {options.video}{was_there}: {video}')
    with _prepared(options.output) as folder:
        _run_in(folder, model, video, options, say)


def _run_in(folder: Path, model: Path, video: Path, options: DemoOptions, say: Callable[[str], None]) -> None:
    domain = free_domain_id() if options.domain_id is None else options.domain_id
    environment = demo_environment(domain, large_images_profile())
    recordings: list[Recording] = []

    def make_recording() -> Recording:
        state = file_state(video)
        with ConsoleProgress() as progress:
            sha256 = file_sha256(video, progress)
        with ConsoleProgress(unit='frames') as progress:
            recording = record(video, folder / BAG, options.seconds, sha256, progress, state)
        say(f'bag          {recording.bag}: {recording.frames} frames of {recording.width}x{recording.height} at '
            f'{recording.fps:.4g} Hz{" (reused)" if recording.reused else ""}')
        for note in recording.notes:
            say(f'note         {note}')
        recordings.append(recording)
        return recording

    session = run_session(_parameters(options, model), make_recording, options.rate, environment, folder, say)
    recording = recordings[0]
    results = _by_frame(session, options.tracking)
    _write_records(folder / DETECTIONS, results, session, recording, video)
    with ConsoleProgress(unit='frames') as progress:
        names = [session.class_names.get(index, str(index)) for index in range(max(session.class_names) + 1)]
        annotated = write_pictures(
            recording.bag, recording.fps, {frame: result for frame, (result, _) in results.items()}, names,
            folder / VIDEO, folder / SHEET, f'{video.name}, {model.name}', progress)
    figures = _figures(session, results)
    interval_ms = 1e3 / (recording.fps * options.rate)
    sentence = verdict(figures, interval_ms)
    text = f'{sentence}\n\n{table(figures, WINDOW_S)}'
    (folder / REPORT).write_text(text + '\n')
    write_html(folder / PAGE, ReportData(
        model=model.name, video_name=video.name, video=annotated, sheet=folder / SHEET, verdict=sentence,
        figures=figures, interval_ms=interval_ms, fps=recording.fps,
        ages_ms={frame: age for frame, (_, age) in sorted(results.items())}, window_s=WINDOW_S))
    if annotated.suffix != PLAYED_BY_BROWSERS:
        say(f'note         {annotated}: browsers do not play it, because this OpenCV has no VP8 encoder (libvpx)')
    say(f'\n{text}\n')
    for path in (folder / PAGE, annotated, folder / SHEET, folder / DETECTIONS, folder / REPORT, folder / 'node.log'):
        say(f'{path}')


def _is_cached(name: str) -> str:
    """Return a text that says whether a catalogue name is already fetched; '' for a path."""
    entry = None if Path(name).exists() else find_entry(name)
    return '' if entry is None else ' (from the cache)' if is_fetched(entry) else ' (fetched now)'


@contextlib.contextmanager
def _prepared(folder: Path) -> Iterator[Path]:
    """Make the folder, lock it, and remove the files of an earlier run, so they cannot be mistaken for new ones."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked_folder(folder))
            for name in STALE:
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise DemoError(f'--output {folder}: {reason(error)}') from error
        yield folder


def _parameters(options: DemoOptions, model: Path) -> dict[str, object]:
    labels = Path(expanded(options.labels))
    return {
        'model_file': str(model),
        'labels_file': str(labels.resolve()) if options.labels and labels.exists() else options.labels,
        'score_threshold': -1.0 if options.score is None else options.score,
        # With the default depth of 1, a new frame overwrites an unread one while the node is busy, and this is not
        # counted. With a depth of one second, only real losses are missing.
        'image_depth': 30,
        'tracking': options.tracking,
        # Two classes may share a name (ImageNet's crane, the bird and the machine); label_info has the names.
        'class_id_format': 'index'}


def _by_frame(session: Session, tracked: bool) -> dict[int, tuple[Result, float]]:
    """Return (result, ms from stamp to arrival) by frame number. The stamp of a result identifies its frame."""
    frame_of = {stamp: frame for frame, stamp in session.stamps_sent.items()}
    unknown = [received.stamp_ns for received in session.results if received.stamp_ns not in frame_of]
    if unknown:
        raise DemoError(
            f'{len(unknown)} results have stamps that the player did not send ({unknown[0]} ns): does another '
            f'player publish in this ROS_DOMAIN_ID?')
    return {
        frame_of[received.stamp_ns]: (result_from_message(received.message, tracked), received.age_ms)
        for received in session.results}


def _write_records(
    path: Path, results: dict[int, tuple[Result, float]], session: Session, recording: Recording, video: Path,
) -> None:
    def name_of(index: int) -> str:
        return session.class_names.get(index, str(index))

    with path.open('w', encoding='utf-8') as file:
        for frame, (result, age_ms) in sorted(results.items()):
            file.write(json.dumps(result_record(
                str(video), frame, recording.width, recording.height, result, name_of,
                {'stamp_to_detection': age_ms}, session.stamps_sent[frame])) + '\n')


def _figures(session: Session, results: dict[int, tuple[Result, float]]) -> Figures:
    found = [result for result, _ in results.values()]
    is_classification = any(isinstance(result, Classifications) for result in found)
    return Figures(
        sent=len(session.stamps_sent), diagnostics=session.diagnostics,
        ages_ms=[received.age_ms for received in session.results],
        classes=class_counts(found, session.class_names),
        counted='images by their best class' if is_classification else 'objects, over all images')
