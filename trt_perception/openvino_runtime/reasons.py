# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO's error messages on one line: the reason without places in the source, and what the user can do.

A message looks like this:

    Exception from src/inference/src/cpp/core.cpp:93:
    Check 'error_message.empty()' failed at src/frontends/onnx/frontend/src/frontend.cpp:452:
    FrontEnd API failed with OpConversionFailure:
    OpenVINO does not support the following ONNX operations: NonExistent
"""

from __future__ import annotations

import re

from ..errors import one_line

_PLACES = re.compile(
    r"Exception from [^\s:]+:\d+:|(?:Check '[^\n]*?' )?failed at [^\s:]+:\d+:|FrontEnd API failed with \w+:|\[ERROR\] "
    r'|\[ONNX Frontend\] ')
_LONGEST = 400


def reason_of(error: object) -> str:
    """Return the reason in a message of OpenVINO, on one line."""
    return one_line(_PLACES.sub(' ', str(error)), _LONGEST) or type(error).__name__


def remedy_of(error: object) -> str:
    """Return what the user can do about a model that OpenVINO does not load."""
    text = str(error)
    if 'does not support the following' in text or 'not supported' in text:
        return '; set backend to onnxruntime, or export the model without these operators'
    return '; set backend to onnxruntime, or export the model again'
