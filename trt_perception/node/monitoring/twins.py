# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Notices another node with the same name. Does not import ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

# A node that ends and starts again may be listed twice for a moment.
_LASTING_S = 2.0


class Twins:
    """Compares the names of all nodes with the node's own name."""

    def __init__(self, warn: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare. warn: called once for each time that a second node with the name appears."""
        self._warn = warn
        self._clock = clock
        self._since: float | None = None
        self._told = False

    def update(self, own: str, nodes: Iterable[str]) -> str:
        """Return a sentence about a second node with this name, '' if there is none.

        own: the full name of this node; nodes: the full names of all nodes, with this one
        """
        others = sum(name == own for name in nodes) - 1
        if others < 1:
            self._since, self._told = None, False
            return ''
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since < _LASTING_S:
            return ''
        count = 'another node is' if others == 1 else f'{others} other nodes are'
        reason = (
            f'{count} also named {own}: a service or parameter call may reach either, and results mix on one topic; '
            'end one of them, or give it another namespace or name')
        if not self._told:
            self._told = True
            self._warn(reason)
        return reason
