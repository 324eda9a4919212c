# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad a finding is. Only an error prevents something from running."""

    OK = 'ok'
    NOTE = 'note'
    WARNING = 'warning'
    ERROR = 'error'


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    check: what was looked at, such as 'tensorrt'; text: what was found
    advice: what to do, for this platform; '' if there is nothing to do
    """

    check: str
    level: Level
    text: str
    advice: str = ''
