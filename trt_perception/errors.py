# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Typed errors: each message says what was expected, what was found and what to do."""


class PerceptionError(Exception):
    """Base of every error this package raises for something a user can mend."""


class ModelError(PerceptionError):
    """The model file is missing, broken, or of a kind that is not supported."""


class LabelsError(ModelError):
    """The class names are missing, unreadable, or do not match the model."""


class EngineError(PerceptionError):
    """A backend could not load or run the model.

    fatal: this process can use the device no more, as after an illegal memory access; a new process can
    """

    def __init__(self, *args: object, fatal: bool = False) -> None:
        super().__init__(*args)
        self.fatal = fatal


class PlanError(EngineError):
    """A TensorRT plan that is none, or that this TensorRT or this GPU cannot load: it has to be built anew."""


class CalibrationError(PerceptionError):
    """Calibration data for int8 is missing or unusable."""


class FrameError(PerceptionError):
    """An image is malformed or has an encoding that is not supported."""


class SourceError(PerceptionError):
    """An image, folder, video or bag cannot be read."""


class FetchError(PerceptionError):
    """A catalogue model could not be downloaded, verified or converted."""


class ParameterError(PerceptionError):
    """A parameter has a value that is not allowed."""


class MissingDependencyError(PerceptionError):
    """A Python package that the requested function needs is not installed."""


def printable(text: object) -> str:
    """Return a name or path with what would break a line, or is no character, as escapes: file names may hold anything.

    Unlike one_line it keeps all spaces, so that what is printed can be copied.
    """
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in str(text))


def one_line(what: object, most: int = 0) -> str:
    """Return the text of an error as one line, for logs, diagnostics and the console.

    most: number of characters after which it is cut off, 0 for all: part of it may be somebody else's
    """
    text = ' '.join(str(what).split())
    return f'{text[:most]} ...' if 0 < most < len(text) else text
