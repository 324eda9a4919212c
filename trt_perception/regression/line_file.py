# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A file of JSON lines: scanned once, then read in order or by frame. Memory: some 16 bytes for each line."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import printable, reason
from ..progress import ProgressCallback, silent
from ..results.json_reader import LineError, LineResult, read_line
from .errors import CompareError

# A frame with 1,000 boxes has 0.1 MB.
_LONGEST_LINE = 64_000_000
_REPORT_EVERY = 1000

Key = tuple[str, int]


def key_of(result: LineResult) -> Key:
    """Return what a frame is found by: its topic, or without one the name of its file, and its number."""
    return result.topic or result.source.rstrip('/').rpartition('/')[2], result.frame


class LineFile:
    """The results of one file, open for reading; a context manager.

    frames: their number; detections: whether they are boxes; classes: the names that occur
    topics: frames of each topic, {'': frames} for lines of `predict`
    """

    def __init__(self, path: Path, progress: ProgressCallback = silent) -> None:
        """Open and scan the file. Raises CompareError if it is not one."""
        self.path = path
        self.detections = True
        self.classes: set[str] = set()
        self.topics: Counter[str] = Counter()
        try:
            self._size = path.stat().st_size
            self._file = path.open('rb')
        except OSError as error:
            raise CompareError(f'{path}: cannot be read: {reason(error)}') from error
        try:
            self._scan(progress)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self._hashes)

    def results(self) -> Iterator[LineResult]:
        """Yield all results in order. Other methods may be called meanwhile. Raises CompareError."""
        for offset in np.sort(self._offsets).tolist():
            yield self._read(offset)

    def find(self, key: Key) -> LineResult | None:
        """Return the result of a frame, None if it is not there."""
        wanted = hash(key)
        place = int(np.searchsorted(self._hashes, wanted))
        if place == len(self._hashes) or self._hashes[place] != wanted:
            return None
        result = self._read(int(self._offsets[place]))
        return result if key_of(result) == key else None

    def _scan(self, progress: ProgressCallback) -> None:
        hashes, offsets = array('q'), array('q')
        kinds: set[bool] = set()
        for number, (offset, line) in enumerate(self._lines(), 1):
            if not line.strip():
                continue
            try:
                result = read_line(line)
            except LineError as error:
                raise CompareError(f'{self.path} line {number}: {error}') from error
            hashes.append(hash(key_of(result)))
            offsets.append(offset)
            kinds.add(result.detections)
            self.topics[result.topic] += 1
            self.classes.update(found.name for found in result.found)
            if not number % _REPORT_EVERY:
                progress(f'reading {self.path.name}', offset, self._size)
        if not hashes:
            raise CompareError(f'{self.path}: it has no results; expected a JSON line for each image')
        if len(kinds) > 1:
            raise CompareError(f'{self.path}: detections and classifications in one file; compare one model')
        self.detections = kinds.pop()
        order = np.argsort(np.frombuffer(hashes, np.int64), kind='stable')
        self._hashes = np.frombuffer(hashes, np.int64)[order]
        self._offsets = np.frombuffer(offsets, np.int64)[order]
        twice = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        if len(twice):
            name, frame = key_of(self._read(int(self._offsets[twice[0]])))
            raise CompareError(
                f'{self.path}: two results for frame {frame} of {printable(name)}; expected one for each image: '
                'compare sources with the same file name in files of their own')

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        offset = 0
        while line := self._line(offset):
            yield offset, line
            offset += len(line)

    def _read(self, offset: int) -> LineResult:
        try:
            return read_line(self._line(offset))
        except LineError as error:
            raise CompareError(f'{self.path}: it was changed while it was read: compare again') from error

    def _line(self, offset: int) -> bytes:
        try:
            self._file.seek(offset)
            line = self._file.readline(_LONGEST_LINE + 1)
        except OSError as error:
            raise CompareError(f'{self.path}: cannot be read: {reason(error)}') from error
        if len(line) > _LONGEST_LINE:
            raise CompareError(f'{self.path}: a line has more than {_LONGEST_LINE // 10**6} MB; expected JSON lines')
        return line
