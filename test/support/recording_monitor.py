# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A Monitor that keeps what it is told."""

from trt_perception.monitor import Monitor


class Told:
    """`monitor` to hand over; `progress` (text, done, total) and `log` (severity, text) that it was told since.

    when: called with each report of the progress; cancel: the monitor's event
    """

    def __init__(self, when=lambda text, done, total: None):
        self.progress, self.log = [], []

        def progress(text, done, total):
            self.progress.append((text, done, total))
            when(text, done, total)

        self.monitor = Monitor(progress, lambda severity, text: self.log.append((severity, text)))
        self.cancel = self.monitor.cancel

    @property
    def texts(self):
        """What was said to be done, in its order."""
        return [text for text, _, _ in self.progress]

    @property
    def warnings(self):
        """What was logged as a warning."""
        return [text for severity, text in self.log if severity == 'warning']
