# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs pip in a child process: python -m ... PARENT_PID WORKING_FOLDER TEMPORARY_FOLDER PIP_ARGUMENT...

The process ends when its parent ends.
"""

from __future__ import annotations

import os
import runpy
import sys

from ...child_process import serve

# The user's pip settings are used, except these: they would break a download that installs nothing, and pip has no
# arguments that undo them. Environment variables win over pip's configuration files.
_OVERRULED = {
    # A constraint on the package's version would contradict the version in the catalogue.
    'PIP_CONSTRAINT': os.devnull,
    'PIP_REQUIRE_VIRTUALENV': '0',
    # The caller parses pip's output.
    'PIP_QUIET': '0',
    'PIP_VERBOSE': '0',
}


def main() -> None:
    """Run pip and exit with its code."""
    parent_pid, working_folder, temporary_folder, *arguments = sys.argv[1:]
    serve(int(parent_pid))
    # pip's settings may contain relative paths.
    os.chdir(working_folder)
    os.environ.update(_OVERRULED, TMPDIR=temporary_folder)
    sys.argv[1:] = arguments
    runpy.run_module('pip', run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
