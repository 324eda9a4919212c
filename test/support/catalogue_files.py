# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of the catalogue, for tests with real models and videos."""

import os

import pytest

from trt_perception.catalogue.resolve import resolve_model, resolve_video
from trt_perception.errors import FetchError


def fetched_model(name):
    """Return the file of a model; see _fetched."""
    return _fetched(resolve_model, name)


def fetched_video(name):
    """Return the file of a video; see _fetched."""
    return _fetched(resolve_video, name)


def _fetched(resolve, name):
    """Return the file. Without network and cache, skip the test, but not in CI: that would hide all failures."""
    try:
        return resolve(name)
    except FetchError as error:
        if os.environ.get('CI') or 'could not be downloaded' not in str(error):
            raise
        pytest.skip(f'needs the network once: {error}')
