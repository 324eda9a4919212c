# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A Monitor that records all reports."""

from trt_perception.monitor import Monitor


class Told:
    """`monitor` is the Monitor to use; `progress` (text, done, total) and `log` (severity, text) are its reports.

    when: called with each progress report; cancel: the monitor's event
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
        """The texts of the progress reports, in order."""
        return [text for text, _, _ in self.progress]

    @property
    def warnings(self):
        """The logged warnings."""
        return [text for severity, text in self.log if severity == 'warning']
