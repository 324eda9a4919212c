# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The child process that optimises one model.

`python -m trt_perception.ort.optimize_worker MODEL FD THREADS EXACT_SUMS PARENT_PID` writes the model, optimised by
ONNX Runtime, to the inherited file descriptor. EXACT_SUMS is 1 or 0. The exit code is 1 if ONNX Runtime rejects the
model.
"""

from __future__ import annotations

import os
import sys

from ..child_process import serve
from ..dependencies import require

# Only fatal messages are logged: the parent process loads the model next and reports errors.
_SEVERITY_FATAL = 4
# The entry of a session that computes sums of int8 products with instructions that do not saturate
# (onnxruntime_session_options_config_keys.h: kOrtSessionOptionsAvx2PrecisionMode). On other CPUs it changes nothing.
EXACT_SUMS = ('session.x64quantprecision', '1')


def main(model: str, target_fd: int, num_threads: int, exact_sums: int, parent_pid: int) -> int:
    """Optimise the model; returns 0 if it was written, 1 if ONNX Runtime rejects it."""
    serve(parent_pid)
    ort = require('onnxruntime')
    options = ort.SessionOptions()
    options.log_severity_level = _SEVERITY_FATAL
    options.intra_op_num_threads = num_threads
    if exact_sums:
        options.add_session_config_entry(*EXACT_SUMS)
    options.optimized_model_filepath = f'/proc/self/fd/{target_fd}'
    try:
        ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    except Exception:  # ONNX Runtime's exceptions share no public base
        return 1
    return 0


if __name__ == '__main__':
    code = main(sys.argv[1], *map(int, sys.argv[2:]))
    # The model is written already. A normal exit would take time to free the session.
    os._exit(code)
