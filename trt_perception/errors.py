# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Typed errors: each message says what was expected, what was found and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection

# With the spaces around it, such as the indentation of the next line.
_LINE_BREAK = re.compile('[ \t]*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029][ \t]*')


class PerceptionError(Exception):
    """Base of all errors that a user can fix.

    Its text never has control characters or line breaks: a message may quote a class name, a topic or a file name, and
    it goes to terminals, logs and diagnostics. Spaces stay as they are. `args` has the text as it was given.
    """

    def __str__(self) -> str:
        return printable(_LINE_BREAK.sub(' ', super().__str__()).strip())


class ModelError(PerceptionError):
    """The model file is missing, damaged or not supported."""


class LabelsError(ModelError):
    """The class names are missing, unreadable, or do not match the model."""


class EngineError(PerceptionError):
    """A backend could not load or run the model.

    fatal: this process can no longer use the device, for example after an illegal memory access; a new process can
    """

    def __init__(self, *args: object, fatal: bool = False) -> None:
        super().__init__(*args)
        self.fatal = fatal


class PlanError(EngineError):
    """The file is not a TensorRT plan, or this TensorRT or GPU cannot load it: build it again."""


class CalibrationError(PerceptionError):
    """Calibration data for int8 is missing or unusable."""


class FrameError(PerceptionError):
    """An image is malformed or has an encoding that is not supported."""


class DamagedImageError(FrameError):
    """The data of an image is damaged or cut off."""


class SourceError(PerceptionError):
    """An image, folder, video or bag cannot be read."""


class FetchError(PerceptionError):
    """A catalogue model could not be downloaded, verified or converted."""


class ParameterError(PerceptionError):
    """A parameter has a value that is not allowed."""


class MissingDependencyError(PerceptionError):
    """A Python package that the requested function needs is not installed."""


def printable(text: object) -> str:
    """Return a name or path on one line: line breaks, control characters and undecodable bytes are escaped.

    So a name cannot move the cursor of a terminal, change its colours or its title, or begin a new line of a log.
    Keeps all spaces, unlike one_line, so a printed path can be copied.
    """
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in str(text))


def one_line(what: object, most: int = 0) -> str:
    """Return the text of an error as one line without control characters, for logs, diagnostics and the console.

    most: maximum number of characters, 0 for all; texts of other software may be very long
    """
    text = printable(' '.join(str(what).split()))
    return f'{text[:most]} ...' if 0 < most < len(text) else text


def reason(error: BaseException) -> str:
    """Return what went wrong, on one line: of an OSError without its number and path, which a message has already."""
    return one_line(getattr(error, 'strerror', None) or error)


def listed(names: Collection[object], most: int = 10, separator: str = ', ', longest: int = 80) -> str:
    """Return names for a message, 'a, b, c and 49 more': models have hundreds of layers, and their names are long.

    most: the largest number of names; longest: the largest number of characters of each, 0 for all
    """
    shown = separator.join(one_line(printable(name), longest) for name in list(names)[:most])
    return f'{shown} and {len(names) - most} more' if len(names) > most else shown
