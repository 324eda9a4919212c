# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A Monitor that keeps what it is told."""

import threading

from trt_perception.pipeline.options import Monitor


class Told:
    """`monitor` to hand over; `progress` (fraction, text) and `log` (severity, text) that it was told since.

    when: called with each text of the progress; cancel: the monitor's event
    """

    def __init__(self, when=lambda text: None):
        self.progress, self.log, self.cancel = [], [], threading.Event()

        def on_progress(fraction, text):
            self.progress.append((fraction, text))
            when(text)

        self.monitor = Monitor(on_progress, lambda severity, text: self.log.append((severity, text)), self.cancel)
