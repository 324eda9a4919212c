# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which classes are compared: those of both models must have the same names."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import listed
from .errors import CompareError
from .inputs import Annotation
from .line_file import LineFile


def compared_classes(
    first: tuple[Annotation, LineFile], second: tuple[Annotation, LineFile], common_only: bool,
) -> frozenset[str] | None:
    """Return the classes to compare, None for all.

    The names are those of annotation.json; without it, those that occur in the results.
    common_only: leave out classes that only one model has

    Raises CompareError if the names differ, unless `common_only`, and if no class is common.
    """
    known = [frozenset(annotation.names) for annotation, _ in (first, second)]
    names = [of_model or frozenset(lines.classes) for of_model, (_, lines) in zip(known, (first, second))]
    common = names[0] & names[1]
    paths = first[1].path, second[1].path
    if not common and all(names):
        raise CompareError(
            f'{paths[0]} and {paths[1]} have no class in common ({_listed(names[0])}; {_listed(names[1])}): compare '
            'models with the same class names')
    if names[0] == names[1]:
        return None
    if all(known) and not common_only:
        raise CompareError(
            f'{paths[0]} and {paths[1]} are of models with other class names: only in A: '
            f'{_listed(names[0] - common)}; only in B: {_listed(names[1] - common)}: compare models with the same '
            'names, or give --common-classes to leave these classes out')
    return common if common_only else None


def left_out(
    first: tuple[Annotation, LineFile], second: tuple[Annotation, LineFile], compared: frozenset[str] | None,
) -> list[str]:
    """Return the classes that are left out, sorted."""
    if compared is None:
        return []
    names = [set(annotation.names) | lines.classes for annotation, lines in (first, second)]
    return sorted((names[0] | names[1]) - compared)


def _listed(names: Collection[str]) -> str:
    return listed(sorted(names), 5) or 'none'
