# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Timing caches: what the builder measured of kernels, kept between builds.

One file for each model, TensorRT and GPU, beside the engines. Without it the next build measures anew, which takes
longer. Not one for all models: TensorRT 8.6.0 refuses the timings of another model's build.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .private_files import has_private_folder

_SUFFIX = '.timings'


@dataclass(frozen=True)
class TimingCache:
    """One file with the timings of a model's builds by a TensorRT on a GPU."""

    path: Path
    size: int


def timing_cache_path(folder: Path, tensorrt: str, gpu: str, compute_capability: str, model_sha256: str) -> Path:
    """Return where the timings of this TensorRT (its identity), GPU and ONNX file are kept."""
    words = f'{tensorrt} {gpu} {compute_capability} {model_sha256[:16]}'
    return folder / f'{"".join(c if c.isalnum() or c in ".-" else "_" for c in words)}{_SUFFIX}'


def timing_caches(folder: Path) -> list[TimingCache]:
    """Return those in the folder of the engines, by name; EngineError where that is not this user's own."""
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
    """Remove the timings of each model, TensorRT and GPU for which there is no engine; returns the removed.

    engines: the keys of the engines that are there, as their sidecars have them
    warn: told of each that cannot be removed
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
                warn(f'{cache.path} cannot be removed: {error.strerror}')
                continue
            removed.append(cache)
    return removed
