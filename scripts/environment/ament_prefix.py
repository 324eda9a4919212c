# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the venv an ament prefix that works without sourcing a file."""

from __future__ import annotations

from pathlib import Path

_MODULE = '''\
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts this environment in front of AMENT_PREFIX_PATH, like sourcing setup.bash of ROS 2."""

import os
import sys

_paths = [path for path in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if path]
if sys.prefix not in _paths:
    os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join([sys.prefix, *_paths])
'''

_LOCAL_SETUP = """\
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
# A colcon workspace built in this environment sources this file as its underlay.
case ":${{AMENT_PREFIX_PATH:-}}:" in
    *":{prefix}:"*) ;;
    *) export AMENT_PREFIX_PATH="{prefix}${{AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}}" ;;
esac
case ":$PATH:" in
    *":{prefix}/bin:"*) ;;
    *) export PATH="{prefix}/bin:$PATH" ;;
esac
"""


def install_ament_prefix(prefix: Path, site_packages: Path) -> None:
    """Write the start-up files for every Python of the venv and every workspace on top of it.

    The .pth file runs before anything is imported, so `ros2 run`, `.venv/bin/python` and an IDE's
    interpreter find the same packages.
    """
    (site_packages / '_ament_prefix_path.py').write_text(_MODULE)
    (site_packages / 'ament_prefix_path.pth').write_text('import _ament_prefix_path\n')
    for shell in ('sh', 'bash', 'zsh'):
        (prefix / f'local_setup.{shell}').write_text(_LOCAL_SETUP.format(prefix=prefix))
