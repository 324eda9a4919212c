# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the CUDA driver, compiled here: one GPU with the name 'Host GPU' and 8 GiB."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / 'native' / 'cuda_driver_on_host.c'


def built_driver(folder: Path) -> Path:
    """Write libcuda.so.1 into the folder, for LD_LIBRARY_PATH; return the folder. Skips without a C compiler."""
    compiler = os.environ.get('CC') or shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('no C compiler here')
    done = subprocess.run(
        [compiler, '-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-Wl,-soname,libcuda.so.1', '-o',
         str(folder / 'libcuda.so.1'), str(_SOURCE), '-ldl'], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder
