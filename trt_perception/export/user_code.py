# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A network that a function of the user returns: 'package.module:function' or 'folder/file.py:function'."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ..dependencies import require
from ..errors import ModelError, one_line, printable
from .network import Network, in_evaluation_mode


def user_network(place: str) -> Network:
    """Import the module, call the function without arguments, and return its torch.nn.Module as a network.

    A module is looked for in the current folder first, as Python does. A class and a module that is there already are
    accepted too. Raises ModelError, with the reason, if the user's code fails.
    """
    torch = require('torch')
    where, _, name = place.rpartition(':')
    source = _imported(where)
    try:
        found: Any = source
        for part in name.split('.'):
            found = getattr(found, part)
    except AttributeError:
        raise ModelError(f'{printable(where)} has no {printable(name)!r}: expected module:function') from None
    if not isinstance(found, torch.nn.Module):
        if not callable(found):
            raise ModelError(
                f'{printable(place)} is {type(found).__name__}: expected a function that returns a torch.nn.Module')
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise ModelError(
                f'{printable(place)} raised {type(error).__name__}: {one_line(error, 300)}; expected a function '
                'without arguments that returns a torch.nn.Module') from error
    if not isinstance(found, torch.nn.Module):
        raise ModelError(
            f'{printable(place)} returned {type(found).__name__}: expected a function that returns a torch.nn.Module')
    is_script = isinstance(found, torch.jit.ScriptModule)
    return Network(
        in_evaluation_mode(found), name.rpartition('.')[2] or 'network', printable(place), is_script=is_script)


def file_of(place: str) -> Path | None:
    """Return the Python file of 'folder/file.py:function', None for a module's name."""
    where = place.rpartition(':')[0]
    return Path(where) if where.endswith('.py') else None


def _imported(where: str) -> ModuleType:
    path = file_of(f'{where}:')
    folder = str(Path.cwd() if path is None else path.resolve().parent)
    # A file of the user imports its neighbours.
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if path is None:
            return importlib.import_module(where)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ModelError(f'no Python file at {printable(path)}')
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module
    except ModelError:
        raise
    except SystemExit as error:
        raise ModelError(
            f'{printable(where)} ended with SystemExit ({one_line(error, 100)}) when it was imported: expected a '
            "module that only defines functions and classes; put the rest under if __name__ == '__main__'") from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and where.startswith(error.name):
            raise ModelError(
                f'there is no Python module {printable(where)!r} in this folder or in the path of Python: expected '
                'module:function') from error
        raise ModelError(
            f'{printable(where)} cannot be imported: {type(error).__name__}: {one_line(error, 300)}') from error
