# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that an engine depends on: any difference makes another engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ....pipeline.tensorrt_options import BuildOptions

# Increase it if plans of older versions of this package must no longer be used.
_FORMAT = 1


@dataclass(frozen=True)
class EngineKey:
    """The identity of an engine.

    model_sha256: SHA-256 of the ONNX file, with its external data
    tensorrt: 'tensorrt 8.6.0' or 'tensorrt_rtx 1.7.1'
    gpu, compute_capability, multiprocessors, memory_mib: the GPU; not the driver, because plans outlive it
    calibration_sha256: SHA-256 of the calibration data and method, '' without calibration
    """

    model_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    multiprocessors: int
    memory_mib: int
    options: BuildOptions
    calibration_sha256: str = ''

    def as_dict(self) -> dict[str, Any]:
        """Return the key as JSON values, with the fields of the options at the same level."""
        values = asdict(self)
        values.update(values.pop('options'))
        if self.options.batch[0] != self.options.batch[2]:
            # Since these plans may be used by several execution contexts, which TensorRT 8.6 does not do by default.
            values['shares_profile'] = True
        # JSON turns tuples into lists, and the key must equal the one that is read back.
        return {'format': _FORMAT, **json.loads(json.dumps(values))}

    def digest(self) -> str:
        """Return the key's name in the cache: the first 32 hexadecimal digits of its SHA-256."""
        return digest_of(self.as_dict())


def digest_of(values: Mapping[str, Any]) -> str:
    """Return the digest of a key from as_dict, possibly of another version of this package."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def differences(key: EngineKey, other: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each difference from the key of a stored engine, the most important first."""
    mine = key.as_dict()
    order = ['format', *(f.name for f in fields(EngineKey) if f.name != 'options')]
    names = [*order, *(name for name in mine if name not in order)]
    return [
        f'{name} was {_short(other.get(name))}, is {_short(mine[name])}'
        for name in names if other.get(name) != mine[name]]


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
