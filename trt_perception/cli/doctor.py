# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Check this machine, its packages and ROS, and show what is missing or wrong and the line that fixes it.

ok: fine; note: good to know; warning: slower or less than possible; error: something cannot run. Exit code 0 without
an error, otherwise 1. Nothing is changed, and nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .. import __version__
from ..doctor.examine import as_dict, as_text, examine, prevented
from ..doctor.system import System


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument('--json', action='store_true', help='print the findings as one JSON object')
    parser.add_argument(
        '--root', type=Path, default=Path('/'), metavar='DIR',
        help='read files such as DIR/proc and DIR/sys instead of those of this machine (for tests)')


def run(options: argparse.Namespace) -> int:
    """Print the report."""
    findings = examine(System(options.root))
    print(json.dumps(as_dict(findings, __version__), indent=2) if options.json else as_text(findings))
    return 1 if prevented(findings) else 0
