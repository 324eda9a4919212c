# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of a part of a bag in a file, without the pixels: another process writes the outputs from it.

A JSON array in each line, and `"end"` in the last one. Numbers of results are stored as their bytes, so they come back
exactly.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..errors import SourceError
from ..image.frame import Frame
from ..results.results import Classifications, Detections, Result
from .item import BagImage
from .running import Answer, DamagedPlace

_END = 'end'


def write_answer(file: TextIO, answer: Answer) -> None:
    """Append an image with its result, or an error. Raises OSError."""
    image, result = answer
    if isinstance(result, SourceError):
        line: list[Any] = ['place' if isinstance(result, DamagedPlace) else 'message', str(result)]
    else:
        assert image is not None
        boxes = [_text(result.boxes)] if isinstance(result, Detections) else []
        line = [
            image.topic, image.index, image.log_ns, image.publish_ns, image.sec, image.nanosec, image.frame_id,
            image.frame.width, image.frame.height, image.frame.damage, _text(result.class_indices),
            _text(result.scores), *boxes]
    file.write(json.dumps(line, separators=(',', ':')) + '\n')


def write_end(file: TextIO) -> None:
    """Complete the file. Raises OSError."""
    file.write(json.dumps(_END) + '\n')


def stored_answers(paths: Sequence[Path]) -> Generator[Answer, None, None]:
    """Yield what is in the files of all parts, in order. The frames have sizes, but no pixels.

    Raises SourceError if a file is not complete, OSError.
    """
    for path in paths:
        ended = False
        with path.open(encoding='utf-8') as file:
            for line in file:
                content = json.loads(line)
                if content == _END:
                    ended = True
                elif len(content) == 2:
                    yield None, (DamagedPlace if content[0] == 'place' else SourceError)(content[1])
                else:
                    yield _answer(*content)
        if not ended:
            raise SourceError(f'{path}: expected the results of a part of a bag, but the end is missing')


def with_pixels(
    answers: Generator[Answer, None, None], images: Generator[BagImage | SourceError, None, None],
) -> Generator[Answer, None, None]:
    """Yield stored answers with the images that were read again.

    images: all of the bag, in order. Raises SourceError if they are others.
    """
    for (stored, result), image in _both(answers, images):
        if isinstance(result, SourceError):
            # Either the message cannot be read this time too, or the network could not run its image.
            yield None, result
        elif stored is None or not isinstance(image, BagImage) or (stored.topic, stored.index) != (
                image.topic, image.index):
            raise _changed()
        else:
            yield image, result


def _both(
    answers: Iterator[Answer], images: Iterator[BagImage | SourceError],
) -> Iterator[tuple[Answer, BagImage | SourceError]]:
    end = object()
    for image in images:
        answer: Any = next(answers, end)
        if answer is end:
            raise _changed()
        yield answer, image
    if next(answers, end) is not end:
        raise _changed()


def _changed() -> SourceError:
    return SourceError('the bag has changed while it was annotated: run the command again')


def _answer(
    topic: str, index: int, log_ns: int, publish_ns: int, sec: int, nanosec: int, frame_id: str, width: int,
    height: int, damage: str, classes: str, scores: str, boxes: str | None = None,
) -> Answer:
    # Its pixels are one byte of memory, repeated.
    frame = Frame(
        'mono8', width, height, width, False, np.broadcast_to(np.uint8(0), (width * height,)), damage=damage)
    found: Result = Classifications(_array(classes), _array(scores)) if boxes is None else Detections(
        _array(boxes).reshape(-1, 4), _array(scores), _array(classes))
    return BagImage(topic, index, log_ns, publish_ns, sec, nanosec, frame_id, frame), found


def _text(values: np.ndarray) -> str:
    return f'{values.dtype.str}:{base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()}'


def _array(text: str) -> np.ndarray:
    kind, _, data = text.partition(':')
    return np.frombuffer(base64.b64decode(data), kind)
