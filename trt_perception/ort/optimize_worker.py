# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The process that optimises one model.

`python -m trt_perception.ort.optimize_worker MODEL FD THREADS PARENT_PID` writes what ONNX Runtime makes of the
model to the inherited file descriptor. Exit code 1 if it refuses the model.
"""

from __future__ import annotations

import os
import sys

from ..child_process import serve
from ..dependencies import require

# Fatal ones only: who loads the model next tells of errors.
_SEVERITY_FATAL = 4


def main(model: str, target_fd: int, num_threads: int, parent_pid: int) -> int:
    """Optimise the model; 0 if it was written."""
    serve(parent_pid)
    ort = require('onnxruntime')
    options = ort.SessionOptions()
    options.log_severity_level = _SEVERITY_FATAL
    options.intra_op_num_threads = num_threads
    options.optimized_model_filepath = f'/proc/self/fd/{target_fd}'
    try:
        ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    except Exception:  # ONNX Runtime's exceptions share no public base
        return 1
    return 0


if __name__ == '__main__':
    code = main(sys.argv[1], *map(int, sys.argv[2:]))
    # It is written: freeing the session would take time.
    os._exit(code)
