# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The advice to take another backend, at the end of an error. `trt_perception build` has no other one."""

from __future__ import annotations

import re

_WORDS = ', or set backend to '
_ADVICE = re.compile(rf'{_WORDS}\w+( or \w+)*')


def or_backend(*names: str) -> str:
    """Return the end of an error: ', or set backend to onnxruntime'."""
    return _WORDS + ' or '.join(names or ('onnxruntime',))


def without_backend(text: str) -> str:
    """Return the text of an error without that advice."""
    return _ADVICE.sub('', text)
