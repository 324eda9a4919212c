# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The words for damaged bags: each command says the same of the same bag."""

from __future__ import annotations

from ..errors import SourceError

NOT_CLOSED = 'the recording was not closed, or the copy was not finished'
CUT_OFF = f'is cut off: {NOT_CLOSED}'


class MissingMessages(SourceError):
    """The files of a bag have fewer messages than its index counts. All that are there were read."""


def read_up_to(place: int) -> str:
    """Return what is said of a file that is cut off and was read up to a byte, as the rest of a sentence."""
    return f'{CUT_OFF}; what is before byte {place} was read'
