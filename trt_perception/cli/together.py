# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuses options that would do nothing: the user expects an effect."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ParameterError


def require_beside(needed: str, given: Mapping[str, bool]) -> None:
    """Raise ParameterError for an option that is given without what it belongs to.

    needed: such as '--tracking', which is not given; given: option -> whether it is given
    """
    for option, is_given in given.items():
        if is_given:
            raise ParameterError(f'{option} does nothing without {needed}: add {needed}, or leave {option} out')
