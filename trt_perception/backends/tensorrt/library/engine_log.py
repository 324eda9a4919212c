# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's log: one logger per process, which sends its messages to the sink that was set last."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any

from ....errors import one_line
from ....monitor import LogCallback

# Severities of this package. TensorRT's internal errors count as errors: the node continues.
DEBUG, INFO, WARNING, ERROR = 'debug', 'info', 'warning', 'error'

_SEVERITIES = {'INTERNAL_ERROR': ERROR, 'ERROR': ERROR, 'WARNING': WARNING, 'INFO': INFO, 'VERBOSE': DEBUG}
_KEPT_ERRORS = 20
_LOGGERS: dict[str, Any] = {}


class LogRecord:
    """Sends messages to the sink and keeps the last errors."""

    def __init__(self) -> None:
        self.sink: LogCallback | None = None
        self._errors: deque[str] = deque(maxlen=_KEPT_ERRORS)
        self._expecting = False

    def write(self, severity_name: str, text: str) -> None:
        """Forward one message; `severity_name` is TensorRT's spelling."""
        severity = _SEVERITIES.get(severity_name, INFO)
        if self._expecting:
            severity = DEBUG
        text = one_line(text)
        if severity == ERROR:
            self._errors.append(text)
        if self.sink is not None:
            # An exception that reaches TensorRT's C++ code ends the process.
            with contextlib.suppress(Exception):
                self.sink(severity, text)

    @contextlib.contextmanager
    def expecting_errors(self) -> Iterator[None]:
        """Log messages inside as debug: the caller handles the failure."""
        self._expecting = True
        try:
            yield
        finally:
            self._expecting = False

    def take_errors(self) -> list[str]:
        """Return the errors since the last call, in order and without duplicates."""
        errors = list(dict.fromkeys(self._errors))
        self._errors.clear()
        return errors


def process_logger(module: Any, sink: LogCallback | None) -> Any:
    """Return the process's tensorrt.ILogger, which now sends its messages to `sink`; `logger.record` is its LogRecord.

    TensorRT keeps using the first logger of a process, so it must never be freed.
    """
    logger = _LOGGERS.get(module.__name__)
    if logger is None:
        logger = _logger_class(module)()
        _LOGGERS[module.__name__] = logger
    if sink is not None:
        logger.record.sink = sink
    return logger


def _logger_class(module: Any) -> Any:
    # The module is found at run time, so its class has no type.
    class EngineLogger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.record = LogRecord()

        def log(self, severity: Any, text: str) -> None:
            self.record.write(severity.name, text)

    return EngineLogger
