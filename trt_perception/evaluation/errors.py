# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room, and the name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from ..errors import PerceptionError, one_line, printable


class EvaluationError(PerceptionError):
    """The truth or the predictions cannot be read, or do not belong together."""


def suggested(names: Collection[str], known: Collection[str], most: int = 5) -> str:
    """Return names for a message, each with the known name that is most like it.

    Returns 'motorbike (did you mean motorcycle?), xyz and 3 more'.
    """
    lower = {name.lower(): name for name in known}
    shown = []
    for name in list(names)[:most]:
        close = difflib.get_close_matches(name.lower(), list(lower), 1, 0.6)
        meant = f' (did you mean {one_line(printable(lower[close[0]]), 80)}?)' if close else ''
        shown.append(f'{one_line(printable(name), 80)}{meant}')
    return f'{", ".join(shown)} and {len(names) - most} more' if len(names) > most else ', '.join(shown)
