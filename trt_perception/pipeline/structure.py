# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Nested tuples, lists and dicts of tensors: taken apart into a list of tensors, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from ..errors import ModelError

# Index of a tensor in the list, None for an entry that is None, or a container.
Node = Union[int, None, 'Container']


@dataclass(frozen=True)
class Container:
    """A tuple, list or dict.

    kind: its class, such as tuple, list, dict, OrderedDict or a class of typing.NamedTuple
    keys: of a dict, in its order; () otherwise
    """

    kind: type
    keys: tuple[Any, ...]
    parts: tuple[Node, ...]


def flatten(value: Any, is_tensor: Callable[[Any], bool]) -> tuple[list[Any], Node]:
    """Return (the tensors in their order, the structure around them).

    Raises ModelError if `value` has anything else than tensors, None, tuples, lists and dicts.
    """
    tensors: list[Any] = []
    return tensors, _node(value, is_tensor, tensors)


def _node(value: Any, is_tensor: Callable[[Any], bool], tensors: list[Any]) -> Node:
    if is_tensor(value):
        tensors.append(value)
        return len(tensors) - 1
    if value is None:
        return None
    if isinstance(value, Mapping):
        parts = tuple(_node(part, is_tensor, tensors) for part in value.values())
        return _usable(Container(type(value), tuple(value), parts))
    if isinstance(value, (tuple, list)):
        return _usable(Container(type(value), (), tuple(_node(part, is_tensor, tensors) for part in value)))
    name = f'{type(value).__module__}.{type(value).__qualname__}'.removeprefix('builtins.')
    raise ModelError(f'the network returns {name}: expected a tensor, or a tuple, list or dict of tensors')


def _usable(container: Container) -> Container:
    """Return the container with its own class if that can be made of its parts, otherwise with the plain one."""
    try:
        if type(_made(container, container.parts)) is container.kind:
            return container
    except Exception:  # a class of the user or of a library, with a constructor of its own
        pass
    plain = dict if issubclass(container.kind, Mapping) else list if issubclass(container.kind, list) else tuple
    return Container(plain, container.keys, container.parts)


def rebuild(node: Node, tensors: Sequence[Any]) -> Any:
    """Return the structure with these tensors in it."""
    if node is None:
        return None
    if isinstance(node, int):
        return tensors[node]
    return _made(node, [rebuild(part, tensors) for part in node.parts])


def _made(container: Container, parts: Sequence[Any]) -> Any:
    kind: Any = container.kind
    if issubclass(container.kind, Mapping):
        return kind(zip(container.keys, parts))
    # A NamedTuple takes its parts as arguments.
    return kind(*parts) if hasattr(kind, '_fields') else kind(parts)


def to_json(node: Node) -> Any:
    """Return the structure as JSON values; classes of libraries become tuple, list or dict, keys become text."""
    if node is None or isinstance(node, int):
        return node
    parts = [to_json(part) for part in node.parts]
    if issubclass(node.kind, Mapping):
        return {'dict': [[str(key), part] for key, part in zip(node.keys, parts)]}
    return {'list' if issubclass(node.kind, list) else 'tuple': parts}


def from_json(value: Any, tensors: int) -> Node:
    """Return the structure of `to_json`; ValueError if it is not one, or if it names other tensors than 0..tensors - 1.
    """
    found: list[int] = []
    node = _read(value, found, 0)
    if sorted(found) != list(range(tensors)):
        raise ValueError('not each tensor once')
    return node


_DEEPEST = 32


def _read(value: Any, found: list[int], depth: int) -> Node:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        found.append(value)
        return value
    if depth > _DEEPEST or not isinstance(value, dict) or len(value) != 1:
        raise ValueError('not a structure')
    (kind, parts), = value.items()
    if not isinstance(parts, list):
        raise ValueError('not a structure')
    if kind == 'dict':
        if any(not isinstance(part, list) or len(part) != 2 or not isinstance(part[0], str) for part in parts):
            raise ValueError('not a structure')
        return Container(
            dict, tuple(key for key, _ in parts), tuple(_read(part, found, depth + 1) for _, part in parts))
    if kind not in ('list', 'tuple'):
        raise ValueError('not a structure')
    return Container(
        list if kind == 'list' else tuple, (), tuple(_read(part, found, depth + 1) for part in parts))
