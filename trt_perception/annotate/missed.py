# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which objects of one model another model misses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from ..errors import EngineError, FrameError, ParameterError, PerceptionError, listed
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..pipeline.interface import Pipeline
from ..results.results import Classifications, Detections, Result
from ..tracking.overlap import iou

MATCH_IOU = 0.5


def require_comparable(spec: ModelSpec, other: ModelSpec, option: str) -> None:
    """Raise ParameterError if two models have different tasks, or no class name in common.

    option: that names the other model
    """
    if spec.task != other.task:
        raise ParameterError(
            f'{option} {other.path.name} is a {other.task} model, and {spec.path.name} a {spec.task} model: choose a '
            f'{spec.task} model')
    if not set(spec.names) & set(other.names):
        raise ParameterError(
            f'{option} {other.path.name} and {spec.path.name} have no class name in common ({listed(other.names, 3)}; '
            f'{listed(spec.names, 3)}): choose a model with the same names')


def missed_objects(
    result: Result, names: Sequence[str], other: Result | None, other_names: Sequence[str],
) -> np.ndarray:
    """Return for each object of a result whether the other model misses it, (N,) bool.

    A detection is missed if the other model has no box of this class name with an IoU of at least MATCH_IOU. Of a
    classification, the first class is missed if it is not the first one of the other model. An object of a class that
    the other model does not know is not missed.

    other: its result of the same image, None if it has none; names: of the classes, by index
    """
    known = set(other_names)
    found = np.array([names[index] for index in result.class_indices], object)
    missed = np.array([name in known for name in found], bool)
    if isinstance(result, Classifications):
        missed[1:] = False
    if other is None or not len(other):
        return missed
    others = np.array([other_names[index] for index in other.class_indices], object)
    if isinstance(result, Detections):
        assert isinstance(other, Detections)
        same = (found[:, None] == others[None]) & (iou(result.boxes, other.boxes) >= MATCH_IOU)
        missed &= ~same.any(axis=1)
    else:
        missed &= found != others[0]
    return missed


class OtherModel:
    """The other model. It is opened, run and closed by a thread of its own, as a pipeline needs it.

    It runs only the images that it is asked for, one after the other. A context manager: the end closes the pipeline.
    """

    def __init__(
        self, spec: ModelSpec, other: ModelSpec, opened: Callable[[], AbstractContextManager[Pipeline]],
    ) -> None:
        """Store what is needed. opened: gives the open pipeline of the other model; called at the first image."""
        self._names, self._other_names = spec.names, other.names
        self._file = other.path.name
        self._opened = opened
        self._thread = ThreadPoolExecutor(1, 'missed-by')
        self._context: AbstractContextManager[Pipeline] | None = None
        self._pipeline: Pipeline | None = None

    def missed(self, frame: Frame, result: Result) -> np.ndarray:
        """Return for each object of a result whether the other model misses it, (N,) bool. Raises EngineError.

        An image that the other model cannot process is one in which it finds nothing.
        """
        return self._thread.submit(self._missed, frame, result).result()

    def describe(self) -> dict[str, str]:
        """Return the backend of the other model, with its version. Opens it."""
        return self._thread.submit(lambda: self._open().describe()).result()

    def __enter__(self) -> OtherModel:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipeline."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _open(self) -> Pipeline:
        if self._pipeline is None:
            context = self._opened()
            with self._named():
                self._pipeline = context.__enter__()
            self._context = context
        return self._pipeline

    def _missed(self, frame: Frame, result: Result) -> np.ndarray:
        pipeline = self._open()
        try:
            with self._named():
                other: Result | None = pipeline.run(frame).result
        except FrameError:
            other = None
        return missed_objects(result, self._names, other, self._other_names)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say which of the two models an error is about."""
        try:
            yield
        except FrameError:
            raise
        except PerceptionError as error:
            raise EngineError(f'{self._file}: {error}') from error

    def _close(self) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = self._pipeline = None
