# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""python -m trt_perception: the command line, also if its command is in a folder that is not on PATH."""

import sys

from .cli.main import main

if __name__ == '__main__':
    sys.exit(main())
