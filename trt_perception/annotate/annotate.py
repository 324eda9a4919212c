# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotates bags one after the other into a folder, and goes on where an earlier run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from ..pipeline.interface import Pipeline
from .annotate_bag import Counts, annotate_bag
from .extent import Extent, StateCallback, no_state
from .missed import OtherModel
from .one_bag import Lines, OpenBag, record_of
from .options import AnnotateOptions
from .store import Store, content_of


@dataclass(frozen=True)
class Outcome:
    """What became of a bag.

    bag: its path, or its URL in object storage
    folder: with the results; None if the bag could not be read
    counts: of this run or, if `skipped`, of the one that annotated it
    """

    bag: Path | str
    folder: Path | str | None
    counts: Counts
    skipped: bool = False


def annotate(
    bags: Sequence[Path], store: Store, open_pipeline: Callable[[], Pipeline], options: AnnotateOptions,
    report: Callable[[str], None], finished: Callable[[Outcome], None], progress: StateCallback = no_state,
    other: OtherModel | None = None,
) -> None:
    """Annotate bags into the folder of a store; those that are there with the same settings are skipped.

    open_pipeline: returns the open pipeline; called at the first bag that is not skipped
    report: called with a line about each message, or bag, that cannot be read
    finished: called after each bag
    progress: called after each image
    other: COCO takes only images of which this model misses an object; the settings have it

    Raises AnnotateError if the folder cannot be written, EngineError: both would come again with the next bag.
    """
    pipeline: Pipeline | None = None
    extent = Extent.of(bags, store, options)
    for number, path in enumerate(bags):
        def shown(name: str, done: float, total: float | None, number: int = number) -> None:
            progress(extent.state(number, name, int(done), int(total or 0)))

        try:
            bag = OpenBag.of(path, options)
            files = store.files.files_of(bag.reader.storage_files)
            content = content_of(files)
            found = store.finished(content, bag.run)
            if found is not None:
                extent.finish(number)
                finished(Outcome(path, found.folder, Counts(**found.record['counts']), skipped=True))
                continue
            if pipeline is None:
                pipeline = open_pipeline()
            provenance = bag.provenance(content, options, pipeline, other)
            place = store.place_for(bag.name, content)
            lines = Lines(report)
            with store.new(place) as folder:
                counts = annotate_bag(
                    bag.reader, bag.topics, pipeline, folder, options, provenance, lines, shown, other)
                store.complete(folder, place, record_of(provenance, counts, lines.shown, files))
            lines.end()
        except SourceError as error:
            extent.finish(number)
            report(str(error))
            finished(Outcome(path, None, Counts()))
        else:
            extent.finish(number)
            finished(Outcome(path, place, counts))
