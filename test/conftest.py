# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Hypothesis without deadlines, and pytest's own way of collecting modules, except in test/launch.

For the latter: launch_testing's pytest plugin imports every test module itself. There, a module that skips itself
(importorskip) ends the collection: the whole run then counts as one skipped test.
"""

from pathlib import Path

import pytest

try:
    from hypothesis import settings
except ImportError:
    pass
else:
    # How long one example takes says nothing on a busy machine.
    settings.register_profile('untimed', deadline=None)
    settings.load_profile('untimed')

_LAUNCH_TESTS = Path(__file__).parent / 'launch'

if hasattr(pytest, 'version_tuple') and pytest.version_tuple >= (7,):
    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(module_path, parent):
        if _LAUNCH_TESTS in module_path.parents:
            return None
        return pytest.Module.from_parent(parent, path=module_path)
else:  # Ubuntu 22.04, of ROS 2 Humble
    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(path, parent):
        if _LAUNCH_TESTS in Path(path).parents:
            return None
        return pytest.Module.from_parent(parent, fspath=path)
