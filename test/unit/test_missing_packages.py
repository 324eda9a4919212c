# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""If a package is missing, the tests that need it are skipped with a reason, and other failures stay visible."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Python's path finder does not find the package, in this process and its child processes.
_HIDING = """
import importlib.machinery
real = importlib.machinery.PathFinder.find_spec.__func__
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *args: None if name.split('.')[0] == {package!r} else real(cls, name, *args))
"""


def run_without(package, folder, *arguments):
    (folder / 'sitecustomize.py').write_text(_HIDING.format(package=package))
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-rs', '-q', '-p', 'no:cacheprovider', *arguments], cwd=ROOT, env=environment,
        capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize('package, module', [
    ('onnx', 'test/unit/test_operations.py'), ('cv2', 'test/unit/test_sources.py'),
    ('onnxruntime', 'test/unit/test_gate.py')])
def test_a_module_that_cannot_be_imported_is_skipped(tmp_path, package, module):
    done = run_without(package, tmp_path, module)
    assert done.returncode == 5, done.stdout  # no tests collected, no error
    assert '1 skipped' in done.stdout
    assert f'needs {package}: make setup' in done.stdout or f"could not import '{package}'" in done.stdout


def test_a_test_that_runs_into_it_is_skipped_and_a_failing_one_fails(tmp_path):
    module = tmp_path / 'test_some.py'
    module.write_text(
        'import pytest\n'
        'from trt_perception.dependencies import require\n'
        'from trt_perception.errors import MissingDependencyError\n'
        'def test_needs():\n    require("rosbags.rosbag2")\n'
        'def test_looks():\n    with pytest.raises(MissingDependencyError):\n        require("rosbags")\n'
        'def test_fails():\n    assert 1 == 2\n'
        'def test_another():\n    import no_such_package_at_all\n'
        'def test_in_vain():\n    try:\n        require("rosbags")\n'
        '    except MissingDependencyError:\n        assert 3 == 4\n')
    (tmp_path / 'conftest.py').write_text((ROOT / 'test' / 'conftest.py').read_text())
    done = run_without('rosbags', tmp_path, str(module))
    assert done.returncode == 1
    assert '3 failed, 1 passed, 1 skipped' in done.stdout
    assert 'needs rosbags: make setup' in done.stdout
