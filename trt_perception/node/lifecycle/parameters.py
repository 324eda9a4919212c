# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Declares, reads and changes the parameters of the table as ROS parameters of the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...errors import ParameterError, printable
from ...parameters.checks import check_value, closest
from ...parameters.settings import Settings
from ...parameters.table import PARAMETERS, Kind, Row
from ..process.rclpy_internals import parameter_overrides

_RECONFIGURE = 'Read on configure: a change needs cleanup and configure.'
_LIVE = 'May change while active.'
_EMPTY = {
    Kind.INTEGERS: Parameter.Type.INTEGER_ARRAY, Kind.NUMBERS: Parameter.Type.DOUBLE_ARRAY,
    Kind.TEXTS: Parameter.Type.STRING_ARRAY}
_LISTS = {
    Kind.INTEGERS: ' (write a list of whole numbers, also for one: [90] instead of 90)',
    Kind.NUMBERS: ' (write a list of numbers with a decimal point, also for one: [1.0] instead of 1)',
    Kind.TEXTS: ' (write a list of texts, also for one: [image] instead of image)'}


def declare(node: Node, table: Mapping[str, Row] = PARAMETERS) -> None:
    """Declare the table's parameters. Raises ParameterError for a given value of the wrong type or out of range."""
    overrides = parameter_overrides(node)
    for name, row in table.items():
        given = overrides.get(name)
        # rcl gives an empty list without its type. rclpy would declare the parameter as not set, and `ros2 param dump`
        # would be empty.
        empty = given is not None and given.type_ == Parameter.Type.NOT_SET
        if empty and row.kind not in _EMPTY:
            raise ParameterError(f"parameter '{name}': expected a value of type {row.kind.value}, found an empty list")
        try:
            node.declare_parameter(name, row.default, _descriptor(row), ignore_override=empty)
        except InvalidParameterTypeException as error:
            raise ParameterError(f"parameter '{name}': {error}{_type_hint(row)}") from error
        except InvalidParameterValueException as error:
            raise ParameterError(f"parameter '{name}': {error}") from error
        if empty and not may_be_unset(name):
            # Configure says what is wrong with it.
            node.set_parameters([Parameter(name, _EMPTY[row.kind], [])])


def unknown_overrides(node: Node, given: Iterable[str], table: Mapping[str, Row] = PARAMETERS) -> list[str]:
    """Return a warning for each given name that is not a parameter of the node."""
    return [
        f"parameter '{name}' does not exist and has no effect{_meant(name, table)}" for name in given
        if not node.has_parameter(name) and not name.startswith('qos_overrides.')]


def undeclared(node: Node, given: Iterable[str], table: Mapping[str, Row] = PARAMETERS) -> str:
    """Return why these parameters cannot be set: the first name that the node does not have, '' if it has all."""
    name = next((name for name in given if not node.has_parameter(name)), None)
    return '' if name is None else f"parameter '{printable(name)}' is not declared{_meant(name, table)}"


def wrong_type(node: Node, given: Iterable[Parameter], table: Mapping[str, Row] = PARAMETERS) -> str:
    """Return why these parameters cannot be set: the first value of another type, '' if there is none."""
    for parameter in given:
        row, current = table.get(parameter.name), node.get_parameter_or(parameter.name)
        if row is not None and parameter.type_ not in (current.type_, Parameter.Type.NOT_SET):
            return (
                f"parameter '{parameter.name}': expected a value of type {row.kind.value}, found "
                f'{parameter.type_.name.lower()}{_type_hint(row)}')
    return ''


def read(node: Node) -> Settings:
    """Return the current values. Raises ParameterError that names the first wrong one."""
    return Settings().changed({name: node.get_parameter_or(name).value for name in PARAMETERS})


def changed(settings: Settings, parameters: Sequence[Parameter]) -> Settings:
    """Return `settings` with these parameters changed. Raises ParameterError for a wrong value."""
    return settings.changed({
        parameter.name: parameter.value for parameter in parameters if parameter.name in PARAMETERS})


def check(parameter: Parameter) -> None:
    """Raise ParameterError if this value is wrong for every model."""
    if parameter.name in PARAMETERS:
        check_value(parameter.name, parameter.value)


def _meant(name: str, table: Mapping[str, Row]) -> str:
    close = closest(name, table)
    return f": did you mean '{close}'?" if close else ''


def may_be_unset(name: str) -> bool:
    """Whether an empty list is right for this parameter: then it means the default."""
    try:
        check_value(name, None)
    except ParameterError:
        return False
    return True


def _descriptor(row: Row) -> ParameterDescriptor:
    """Return the descriptor; `ros2 param describe` shows it."""
    descriptor = ParameterDescriptor(description=f'{row.explanation} {_LIVE if row.live else _RECONFIGURE}')
    if row.choices:
        descriptor.additional_constraints = f'one of: {row.named_choices}'
    if row.limits:
        low, high = row.limits
        if row.kind is Kind.NUMBER:
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor


def _type_hint(row: Row) -> str:
    if row.kind is Kind.NUMBER:
        return ' (write numbers with a decimal point, 1.0 instead of 1)'
    return _LISTS.get(row.kind, '')
