# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag that is to be annotated, and what annotation.json says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SourceError
from ..pipeline.interface import Pipeline
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from ..sources.bag_storage import ROS1, is_ros1_bag
from .annotate_bag import Counts
from .known_files import BagFile, require_unchanged
from .missed import OtherModel
from .options import AnnotateOptions
from .reading import chosen_topics
from .store import run_of

# More lines about one bag do not help; all are counted.
_MOST_LINES = 20


@dataclass(frozen=True)
class OpenBag:
    """A bag and its settings. topics: that are annotated; run: the name of these settings (store.run_of)."""

    reader: BagReader
    topics: list[BagTopic]
    settings: Mapping[str, Any]
    run: str

    @classmethod
    def of(cls, path: Path, options: AnnotateOptions, counted: bool = False) -> OpenBag:
        """Open a bag. Raises SourceError, with `counted` also for a bag that must be read as a whole to count it."""
        reader = BagReader(path, cut_off=True)
        if counted and not reader.is_counted:
            raise SourceError(f'{path}: the number of its messages is not known')
        topics = chosen_topics(reader, options.topics)
        settings = {**options.settings, 'topics': [topic.name for topic in topics], 'version': __version__}
        return cls(reader, topics, settings, run_of(settings))

    @property
    def name(self) -> str:
        """The name for the results."""
        absolute = self.reader.path.absolute()
        if absolute.name == '..':
            absolute = absolute.resolve()
        if is_ros1_bag(self.reader.path):
            return absolute.name.removesuffix('.active')[:-len(ROS1)] or absolute.name
        is_file = self.reader.path.is_file() and absolute.suffix in ('.mcap', '.db3', '.zstd')
        return absolute.stem if is_file else absolute.name

    def provenance(
        self, content: str, options: AnnotateOptions, pipeline: Pipeline, other: OtherModel | None,
    ) -> dict[str, Any]:
        """Return what stands in all outputs. content: see store.content_of."""
        found: dict[str, Any] = {
            'run': self.run, 'bag': str(self.reader.path), 'content': content, 'settings': self.settings,
            **options.about, 'backend': _lasting(pipeline.describe())}
        if other is not None:
            found['other_backend'] = _lasting(other.describe())
        return found


def _lasting(description: Mapping[str, str]) -> dict[str, str]:
    """Return what is the same in each process that runs the same engine: results of all workers have the same bytes."""
    return {name: value for name, value in description.items() if name not in ('engine_from', 'engine_built')}


def record_of(
    provenance: Mapping[str, Any], counts: Counts, problems: Sequence[str], files: Sequence[BagFile],
) -> dict[str, Any]:
    """Return the record of a finished bag for the store. Raises SourceError if a file has changed since it was read."""
    require_unchanged(files)
    return {
        **provenance, 'counts': asdict(counts), 'problems': list(problems),
        'files': [
            {'path': str(file.path.absolute()), 'state': file.state, 'sha256': file.sha256} for file in files]}


class Lines:
    """Reports the first errors of a bag, and at the end how many more there were."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._count = 0
        self.shown: list[str] = []

    def __call__(self, error: SourceError) -> None:
        """Report an error, if there were not too many."""
        self._count += 1
        if self._count <= _MOST_LINES:
            self.shown.append(str(error))
            self._report(str(error))

    def end(self) -> None:
        """Report how many were left out."""
        if self._count > _MOST_LINES:
            self._report(f'and {self._count - _MOST_LINES} more of this bag')
