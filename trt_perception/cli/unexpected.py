# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Explains an error that this program does not expect, in one line."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from ..errors import one_line

TRACEBACK = 'TRT_PERCEPTION_TRACEBACK'
_MOST_CHARACTERS = 300


def explanation(error: Exception) -> str:
    """Return one line about an unexpected error. Prints the traceback first if the user wants it."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    try:
        text = one_line(error, _MOST_CHARACTERS)
    except Exception:
        text = ''
    places = traceback.extract_tb(error.__traceback__)
    place = f' in {Path(places[-1].filename).name}, line {places[-1].lineno}' if places else ''
    return (f'unexpected {type(error).__name__}{place}{": " if text else ""}{text}; a file may be damaged, or this is '
            f'a fault of trt_perception: {TRACEBACK}=1 shows the traceback for a report')
