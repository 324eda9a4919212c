# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Timing caches: kernel timings that the builder measured, kept between builds.

There is one file for each model, TensorRT and GPU, beside the engines. Without it the next build measures again, which
takes longer. One file for all models does not work: TensorRT 8.6.0 rejects the timings of another model.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import reason
from .private_files import has_private_folder

_SUFFIX = '.timings'


@dataclass(frozen=True)
class TimingCache:
    """One file with the timings of a model for a TensorRT and a GPU; size in bytes."""

    path: Path
    size: int


def timing_cache_path(folder: Path, tensorrt: str, gpu: str, compute_capability: str, model_sha256: str) -> Path:
    """Return the path of the timings for this TensorRT (its identity), GPU and ONNX file."""
    words = f'{tensorrt} {gpu} {compute_capability} {model_sha256[:16]}'
    return folder / f'{"".join(c if c.isalnum() or c in ".-" else "_" for c in words)}{_SUFFIX}'


def timing_caches(folder: Path) -> list[TimingCache]:
    """Return the timing caches in the engine folder, by name; EngineError if the folder is another user's or a link."""
    found: list[TimingCache] = []
    if not has_private_folder(folder):
        return found
    for path in sorted(folder.glob(f'*{_SUFFIX}')):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                found.append(TimingCache(path, status.st_size))
    return found


def prune_timings(
    folder: Path, engines: Iterable[Mapping[str, Any]], warn: Callable[[str], None] = lambda text: None,
) -> list[TimingCache]:
    """Remove the timings of each model, TensorRT and GPU without an engine; return the removed timings.

    engines: keys of the existing engines, from their sidecars
    warn: called with an error text for each file that cannot be removed
    """
    used = {
        timing_cache_path(folder, *(
            str(key.get(name)) for name in ('tensorrt', 'gpu', 'compute_capability', 'model_sha256')))
        for key in engines}
    removed = []
    for cache in timing_caches(folder):
        if cache.path not in used:
            try:
                cache.path.unlink(missing_ok=True)
            except OSError as error:
                warn(f'{cache.path} cannot be removed: {reason(error)}')
                continue
            removed.append(cache)
    return removed
