# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Progress and messages of long work, sent to Python's logger trt_perception."""

from __future__ import annotations

import logging

from ..monitor import Monitor
from ..progress import ProgressCallback

LOG = logging.getLogger('trt_perception')


def logged_monitor(phases: ProgressCallback | None = None) -> Monitor:
    """Return a monitor that logs the progress and the messages of a model that opens."""
    levels = {'debug': logging.DEBUG, 'info': logging.INFO, 'warning': logging.WARNING, 'error': logging.ERROR}
    return Monitor(
        progress=phases or LoggedPhases(),
        log=lambda severity, text: LOG.log(levels.get(severity, logging.INFO), '%s', text),
        debug_log=LOG.isEnabledFor(logging.DEBUG))


class LoggedPhases:
    """Logs progress: each phase of a long job once, not each percent."""

    def __init__(self) -> None:
        self._last = ''

    def __call__(self, text: str, *amount: object) -> None:
        """Log the text if it is another one than at the last call."""
        if text != self._last:
            self._last = text
            LOG.info('%s', text)
