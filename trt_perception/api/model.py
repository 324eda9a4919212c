# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Model: an open model that is called with images."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import numpy.typing as npt

from ..errors import EngineError
from ..pipeline.interface import Pipeline
from ..results.results import Classifications, Detections
from .images import frame_of


class Model:
    """An open model: call it with an image. `trt_perception.open` returns it.

    Use it with `with`, or call `close`. Call and close it only in the thread that opened it. If several threads process
    images, open one model in each thread.

    >>> with trt_perception.open('detector.onnx') as model:
    ...     found = model(cv2.imread('street.jpg'))
    ...     print(model.name_of(found.class_indices[0]), found.scores[0], found.boxes[0])
    """

    def __init__(self, pipeline: Pipeline, masks: bool = False) -> None:
        """Take an open pipeline. Programs call `trt_perception.open` instead."""
        self._pipeline: Pipeline | None = pipeline
        self._masks = masks
        self._spec = pipeline.spec
        self._owner = threading.current_thread()
        self._timings_ms: dict[str, float] = {}

    def __call__(self, image: npt.NDArray[Any], color_order: str = 'bgr') -> Detections | Classifications:
        """Run the model on one image.

        image: HxWx3 uint8, or HxW uint8 (grey), of any size; need not be contiguous, is not changed
        color_order: of `image`: bgr (OpenCV) or rgb (Pillow, matplotlib); has no effect on a grey image

        Returns Detections for a detector, Classifications for a classifier. Boxes are in pixels of `image`, and so are
        the masks of a model that was opened with `masks`. The result stays valid after the next call.

        Raises FrameError if `image` is anything else, ParameterError for another color_order, EngineError if the model
        is closed, belongs to another thread, or fails on the image. The model can be used again after a FrameError.
        """
        pipeline = self._opened()
        frame = frame_of(image, color_order)
        output = pipeline.run(frame, masks=True) if self._masks else pipeline.run(frame)
        self._timings_ms = dict(output.timings_ms)
        return output.result

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._spec.names

    def name_of(self, class_index: int) -> str:
        """Return the name of a class, or the index as text if the class has no name."""
        return self._spec.name_of(int(class_index))

    @property
    def task(self) -> str:
        """Return detection or classification."""
        return self._spec.task

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the network's input in pixels. Images of other sizes are resized."""
        return self._spec.width, self._spec.height

    @property
    def timings_ms(self) -> dict[str, float]:
        """Times of the last call in milliseconds: preprocess, infer, postprocess. Empty before the first call."""
        return dict(self._timings_ms)

    def describe(self) -> dict[str, str]:
        """Return how the model runs: backend, backend_version, device, precision_effective and others.

        Raises EngineError if the model is closed or belongs to another thread.
        """
        return self._opened().describe()

    def close(self) -> None:
        """Free the model. A second call does nothing.

        Raises EngineError in another thread than the one that opened the model, unless that thread has ended.
        """
        if self._pipeline is None:
            return
        if self._owner.is_alive():
            self._require_owner()
        pipeline, self._pipeline = self._pipeline, None
        pipeline.close()

    def __enter__(self) -> Model:
        """Return the model, which is open already."""
        self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __reduce__(self) -> Any:
        """Refuse pickle and copy: an open model stays in its process."""
        raise TypeError(
            f'{self!r} cannot be copied or sent to another process: open the model there with trt_perception.open')

    def __repr__(self) -> str:
        """Return the file, the task and whether the model is closed."""
        closed = ', closed' if self._pipeline is None else ''
        return f'<trt_perception.Model {self._spec.path.name}: {self.task}, {len(self.names)} classes{closed}>'

    def _opened(self) -> Pipeline:
        if self._pipeline is None:
            raise EngineError(f'{self._spec.path.name} is closed: open it again with trt_perception.open')
        self._require_owner()
        return self._pipeline

    def _require_owner(self) -> None:
        here = threading.current_thread()
        if here is not self._owner:
            raise EngineError(
                f"{self._spec.path.name} was opened in thread '{self._owner.name}', but is used in thread "
                f"'{here.name}'. One thread owns a model: open one in each thread, or pass the images to the thread "
                'that opened it')
