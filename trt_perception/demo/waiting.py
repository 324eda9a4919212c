# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Waits for other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .child import Child
from .errors import DemoError

_POLL_S = 0.02


def wait_until(
    done: Callable[[], bool], timeout_s: float, what: str, children: Sequence[Child] = (),
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Return once `done()` is true.

    what: name of the awaited event, for the message
    children: processes that must not end before that
    meanwhile: called while waiting, to show progress

    Raises DemoError after `timeout_s` seconds, or if one of the children ends.
    """
    deadline = time.monotonic() + timeout_s
    while not done():
        for child in children:
            child.check_running()
        if time.monotonic() > deadline:
            reason = f'waited {timeout_s:.0f} s for {what} without success'
            raise children[0].failure(reason) if children else DemoError(reason)
        meanwhile()
        time.sleep(_POLL_S)
