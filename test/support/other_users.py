# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of other users."""

import os

import pytest

SOMEBODY = 12345


def give_away(path):
    """Give a file to somebody else; skip the test if this user namespace has no other users. Needs root."""
    try:
        os.chown(path, SOMEBODY, -1)
    except OSError as error:
        pytest.skip(f'cannot give a file to somebody else here: {error.strerror}')
