# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A short run of test/reliability/fuzz_images.py."""

import json
import subprocess
import sys

import pytest
from support.subprocesses import TESTS, python_environment

pytest.importorskip('cv2')
pytest.importorskip('simplejpeg')


def test_mutated_images():
    fuzzer = TESTS / 'reliability' / 'fuzz_images.py'
    done = subprocess.run(
        [sys.executable, fuzzer, '--count', '600', '--seed', '16', '--most-mib', '700'],
        capture_output=True, text=True, env=python_environment(), timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    summary = json.loads(done.stdout)
    # Each kind of outcome occurs, and together they are all images.
    outcomes = [summary[name] for name in ('decoded', 'kept', 'damaged', 'refused')]
    assert min(outcomes) > 20 and sum(outcomes) == 600
