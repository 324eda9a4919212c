# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The child process that compiles one model.

`python -m trt_perception.openvino_runtime.compile_worker COMPILATION FD PARENT_PID` writes the compiled model to the
inherited file descriptor. COMPILATION is JSON, see Compilation. The exit code is 1 if OpenVINO rejects the model.
"""

from __future__ import annotations

import os
import sys

from ..child_process import serve
from ..dependencies import require
from .compilation import Compilation, compiled


def main(work: str, target_fd: int, parent_pid: int) -> int:
    """Compile the model; returns 0 if it was written, 1 if OpenVINO rejects it."""
    serve(parent_pid)
    openvino = require('openvino')
    try:
        content = compiled(openvino.Core(), Compilation.from_json(work)).export_model()
    except RuntimeError:
        # The parent process compiles the model itself then, and reports the error.
        return 1
    with open(target_fd, 'wb', closefd=False) as target:
        target.write(content.getbuffer())
    return 0


if __name__ == '__main__':
    code = main(sys.argv[1], *map(int, sys.argv[2:]))
    # The model is written already. A normal exit would take time to free it.
    os._exit(code)
