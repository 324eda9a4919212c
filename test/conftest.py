# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Skips where a package is missing, Hypothesis without deadlines, and pytest's own way of collecting modules.

A test, or a module of tests, that runs into the lack of a package of _OPTIONAL is skipped with that reason.

pytest's own way, except in test/launch: launch_testing's pytest plugin imports every test module itself. There, a
module that skips itself (importorskip) ends the collection: the whole run then counts as one skipped test.
"""

import importlib.util
import math
import os
import signal
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

# What a machine with NumPy and pytest may lack.
_OPTIONAL = ('cv2', 'hypothesis', 'onnx', 'onnxruntime', 'psutil', 'rosbags', 'simplejpeg', 'yaml')
_LAUNCH_TESTS = Path(__file__).parent / 'launch'
_WITH_NODES = ('node', 'reliability', 'launch')

# Tests import ONNX Runtime themselves too, and this package turns its telemetry off only before its own import.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')


@pytest.fixture(autouse=True)
def _auto_without_progress(request, monkeypatch):
    """In this process, only the tests of progress see its lines: on a busy machine many a command takes so long."""
    if 'progress' not in request.path.name:
        from trt_perception.progress import ConsoleProgress

        defaults = ConsoleProgress.__init__.__kwdefaults__
        monkeypatch.setattr(ConsoleProgress.__init__, '__kwdefaults__', {**defaults, 'delay': math.inf})


@pytest.fixture(autouse=True)
def _auto_without_openvino(request, monkeypatch):
    """In this process, `auto` chooses OpenVINO only in the tests of OpenVINO, also if it is installed."""
    if importlib.util.find_spec('openvino') is not None and 'openvino' not in request.path.name:
        monkeypatch.setattr('trt_perception.backends.create._openvino_runs', lambda monitor: False)


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


def pytest_collection_modifyitems(items):
    # Last: Fast DDS 2 reads its profile once a process, and those of test/launch begin without the one that the cameras
    # of test/node need.
    items.sort(key=lambda item: _LAUNCH_TESTS in Path(item.fspath).parents)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One worker runs all tests that start nodes, one after the other: they mostly wait. The other one computes.

    Not both start nodes: then Fast DDS 3 sometimes cannot open a port in shared memory, and messages are lost. The
    tests of one file stay together: they share fixtures. (xdist_group does nothing with pytest 9.2.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.split('::', 1)[0]
            folders = Path(path).parts[:-1]
            return 'nodes' if any(name in folders for name in _WITH_NODES) else path

    return Scheduling(config, log)


def _missing_package(error):
    """The package of _OPTIONAL whose absence this error, or what caused it, is about; '' for other errors."""
    while error is not None:
        package = (getattr(error, 'name', None) or '').split('.')[0] if isinstance(error, ModuleNotFoundError) else ''
        if package in _OPTIONAL and importlib.util.find_spec(package) is None:
            return package
        error = error.__cause__
    return ''


def _skip_where_missing(report, excinfo, path, line):
    package = _missing_package(excinfo.value) if report.failed and excinfo is not None else ''
    if package:
        report.outcome = 'skipped'
        report.longrepr = (str(path), line, f'Skipped: needs {package}: make setup')


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    report = outcome.get_result()
    call = getattr(report, 'call', None)
    _skip_where_missing(report, call and call.excinfo, collector.fspath, 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    _skip_where_missing(outcome.get_result(), call.excinfo, *item.location[:2])


def pytest_configure() -> None:
    """Heed signals that a shell ignores for jobs in the background: the processes of the tests inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
