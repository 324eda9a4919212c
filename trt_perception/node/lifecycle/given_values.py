# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Values that a client of the parameter services gives: which of them change something.

`ros2 param dump` writes all parameters of a node, and `ros2 param load` sets each of them. Most cannot change while the
node is configured, and some of rclpy's own never can: setting them to the value that they have must succeed.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from ...dependencies import require
from ...parameters.table import PARAMETERS
from .parameters import may_be_unset


def changes(node: Node, given: Sequence[Parameter]) -> list[Parameter]:
    """Return the given parameters without those that have the given value already. NaN equals NaN.

    `ros2 param load` and `ros2 param set` read the text of a value as YAML, which changes the type of some: the text
    off becomes a boolean, [nan] a list of texts, 1e-05 a text. Such a value is returned as the one that was meant, if
    it is the current value, the default or one of the choices of the parameter. An empty list, which has no type in
    YAML, is returned as one of the parameter's type: the default if that is what it means.
    """
    # For a name that is given twice the order counts.
    times = Counter(parameter.name for parameter in given)
    meant = [_as_meant(node, parameter) for parameter in given]
    return [
        parameter for parameter in meant
        if times[parameter.name] > 1 or not node.has_parameter(parameter.name)
        or not _same(parameter, node.get_parameter_or(parameter.name))]


def _as_meant(node: Node, given: Parameter) -> Parameter:
    if given.name not in PARAMETERS or not node.has_parameter(given.name):
        return given
    current = node.get_parameter_or(given.name)
    if given.type_ in (current.type_, Parameter.Type.NOT_SET):
        return given
    if _plain(given.value) == [] and isinstance(_plain(current.value), list):
        return Parameter(
            given.name, current.type_, _plain(PARAMETERS[given.name].default) if may_be_unset(given.name) else [])
    for value in _known_values(given.name, current.value):
        if _equal(_read_as_yaml(str(value)), _plain(given.value)):
            return Parameter(given.name, current.type_, value)
    return given


def _known_values(name: str, current: Any) -> Iterator[Any]:
    row = PARAMETERS[name]
    for value in (current, row.default, *row.choices):
        yield _plain(value)


@functools.lru_cache(maxsize=256)
def _read_as_yaml(text: str) -> Any:
    yaml = require('yaml')
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _same(first: Parameter, second: Parameter) -> bool:
    return first.type_ == second.type_ and _equal(_plain(first.value), _plain(second.value))


def _plain(value: Any) -> Any:
    """Return a list instead of a tuple or an array."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else value


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first) and math.isnan(second):
        return True
    return type(first) is type(second) and bool(first == second)
