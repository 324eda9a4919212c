# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotates bags one after the other into a folder, and goes on where an earlier run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SourceError
from ..pipeline.interface import Pipeline
from ..progress import ProgressCallback, silent
from ..sources.bag_reader import BagReader
from ..sources.bag_storage import ROS1, is_ros1_bag
from .annotate_bag import Counts, annotate_bag
from .missed import OtherModel
from .options import AnnotateOptions
from .reading import chosen_topics
from .store import Store, content_of, run_of

# More lines about one bag do not help; all are counted.
_MOST_LINES = 20


@dataclass(frozen=True)
class Outcome:
    """What became of a bag.

    folder: with the results; None if the bag could not be read
    counts: of this run or, if `skipped`, of the one that annotated it
    """

    bag: Path
    folder: Path | None
    counts: Counts
    skipped: bool = False


def annotate(
    bags: Sequence[Path], store: Store, open_pipeline: Callable[[], Pipeline], options: AnnotateOptions,
    report: Callable[[str], None], finished: Callable[[Outcome], None], progress: ProgressCallback = silent,
    other: OtherModel | None = None,
) -> None:
    """Annotate bags into the folder of a store; those that are there with the same settings are skipped.

    open_pipeline: returns the open pipeline; called at the first bag that is not skipped
    report: called with a line about each message, or bag, that cannot be read
    finished: called after each bag
    other: COCO takes only images of which this model misses an object; the settings have it

    Raises AnnotateError if the folder cannot be written, EngineError: both would come again with the next bag.
    """
    pipeline: Pipeline | None = None
    for number, path in enumerate(bags, 1):
        which = f' ({number} of {len(bags)})' if len(bags) > 1 else ''

        def shown(name: str, done: float, total: float | None, which: str = which) -> None:
            progress(f'{name}{which}', done, total)

        try:
            bag = BagReader(path, cut_off=True)
            topics = chosen_topics(bag, options.topics)
            settings = {**options.settings, 'topics': [topic.name for topic in topics], 'version': __version__}
            files = store.files_of(bag.storage_files)
            content, run = content_of(files), run_of(settings)
            found = store.finished(content, run)
            if found is not None:
                finished(Outcome(path, found.folder, Counts(**found.record['counts']), skipped=True))
                continue
            if pipeline is None:
                pipeline = open_pipeline()
            provenance: dict[str, Any] = {
                'run': run, 'bag': str(path), 'content': content, 'settings': settings, **options.about,
                'backend': pipeline.describe()}
            if other is not None:
                provenance['other_backend'] = other.describe()
            place = store.place_for(_name(path), content)
            lines = _Lines(report)
            with store.new(place) as folder:
                counts = annotate_bag(bag, topics, pipeline, folder, options, provenance, lines, shown, other)
                store.complete(folder, place, {
                    **provenance, 'counts': asdict(counts), 'problems': lines.shown,
                    'files': [
                        {'path': str(file.path.absolute()), 'state': file.state, 'sha256': file.sha256}
                        for file in files]})
            lines.end()
        except SourceError as error:
            report(str(error))
            finished(Outcome(path, None, Counts()))
        else:
            finished(Outcome(path, place, counts))


class _Lines:
    """Reports the first errors of a bag, and at the end how many more there were."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._count = 0
        self.shown: list[str] = []

    def __call__(self, error: SourceError) -> None:
        self._count += 1
        if self._count <= _MOST_LINES:
            self.shown.append(str(error))
            self._report(str(error))

    def end(self) -> None:
        if self._count > _MOST_LINES:
            self._report(f'and {self._count - _MOST_LINES} more of this bag')


def _name(path: Path) -> str:
    """Return the name for the results of a bag."""
    absolute = path.absolute()
    if is_ros1_bag(path):
        return absolute.name.removesuffix('.active')[:-len(ROS1)] or absolute.name
    return absolute.stem if path.is_file() and absolute.suffix in ('.mcap', '.db3', '.zstd') else absolute.name
