# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports optional packages when they are used, and reports how to install a missing one."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from .advice.packages import LEAST, install_line, numpy_1_line, too_old
from .advice.platform import this_platform
from .advice.recorded import is_bare_folder, recorded_package
from .errors import MissingDependencyError, one_line
from .numpy_notice import numpy_notice

# module -> environment variable that it reads at import, and the value to set unless the user has set one.
# PyPI's ONNX Runtime 1.29 and later reports what it runs to Microsoft and stores a device id in ~/.cache. Ray reports
# the use of a cluster that it starts.
# disable_telemetry_events() is too late for both.
# OpenCV refuses larger images of any format before it decodes them: the largest max_image_pixels (image/size.py).
_VARIABLES = {
    'onnxruntime': ('ORT_DISABLE_TELEMETRY', '1'), 'cv2': ('OPENCV_IO_MAX_IMAGE_PIXELS', str(1 << 28)),
    'ray': ('RAY_USAGE_STATS_ENABLED', '0')}
# module -> module that it imports to report its use. OpenVINO sends an event to Google Analytics when it is imported,
# and keeps a client id in ~/intel. If this package cannot be imported, OpenVINO uses a stub.
_REPORTING = {'openvino': 'openvino_telemetry'}

# The words of NumPy 2.
_BUILT_FOR_NUMPY_1 = '_ARRAY_API not found'
# The loader of glibc says this for both. The same files would be installed again.
_NOT_MAPPED = 'give the process more memory (see ulimit -v), or mount this folder without noexec'


# Cached, because it is called for every frame and Python 3.10 takes a lock for each import.
@functools.cache
def require(module: str) -> ModuleType:
    """Import and return `module` (dotted names allowed).

    Raises MissingDependencyError with the install command for this platform.
    """
    top = module.split('.', maxsplit=1)[0]
    if top in _VARIABLES:
        name, value = _VARIABLES[top]
        # An empty one would count as not set: for Ray, that its use may be reported.
        os.environ[name] = os.environ.get(name) or value
    with numpy_notice() as notice:
        try:
            with _without(_REPORTING.get(top)):
                found = _import(module, top)
            if notice.is_about(top):
                raise ImportError(_BUILT_FOR_NUMPY_1)
            return found
        except (MissingDependencyError, MemoryError):
            raise
        except Exception as error:  # packages that do not fit raise AttributeErrors, missing libraries OSErrors
            if built_for_numpy_1(error):
                notice.drop()
            raise _why(top, error) from error


def _import(module: str, top: str) -> ModuleType:
    package = importlib.import_module(top)
    old = too_old(top, _version(top, package)) if top in LEAST else ''
    if old:
        raise MissingDependencyError(f'{old}; {install_line(top, this_platform(), upgrade=True)}')
    found = importlib.import_module(module)
    if is_bare_folder(found):
        raise ModuleNotFoundError(f'the folder of {module} has no code', name=module)
    return found


def _why(top: str, error: Exception) -> MissingDependencyError:
    """Return the error for the user: why the import of a package failed, and what to do."""
    platform = this_platform()
    if built_for_numpy_1(error):
        return MissingDependencyError(
            f"the Python package '{top}' was built for NumPy 1 and cannot be imported with NumPy 2: run "
            f'{back_to_numpy_1()}')
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split('.', maxsplit=1)[0] == top:
        package = recorded_package(top)
        if package:
            return MissingDependencyError(
                f"files of the Python package '{top}' are missing, but it is installed as {package}; "
                f'run {platform.pip_files(package)}')
        return MissingDependencyError(f"the Python package '{top}' is not installed; {install_line(top, platform)}")
    # It is installed, but one of its own imports fails.
    reason = error if isinstance(error, ImportError) else f'{type(error).__name__}: {error}'
    advice = _NOT_MAPPED if 'failed to map segment' in str(error) else install_line(top, platform, again=True)
    return MissingDependencyError(
        f'{top} is installed but cannot be imported: {one_line(reason, 300)}; {advice}')


def _version(name: str, package: ModuleType) -> str:
    """Return the version of an imported package, '' if it is not known."""
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return str(getattr(package, '__version__', '') or metadata.version(name))
    return ''


def back_to_numpy_1() -> str:
    """Return the command that makes packages work again that were built for NumPy 1."""
    return numpy_1_line(this_platform())


@contextlib.contextmanager
def _without(module: str | None) -> Iterator[None]:
    """Let an import of this module fail in the block."""
    if module is None:
        yield
        return
    found = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if found is not None:
            sys.modules[module] = found


def built_for_numpy_1(error: Exception) -> bool:
    """Return whether an import failed because the module was built for NumPy 1 and NumPy 2 is installed."""
    return 'numpy.core.multiarray failed to import' in str(error) or _BUILT_FOR_NUMPY_1 in str(error)
