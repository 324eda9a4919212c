# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Modules with only the names of a recorded TensorRT version (test/data/tensorrt_api).

The tests check which names compat uses: reading or setting a name that a version lacks raises AttributeError, as in its
bindings.
"""

import json
import types
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / 'data' / 'tensorrt_api'
VERSIONS = ('8.6.0', '10.3.0', '10.13.3', '11.1.0', '11.4.0')


class Member:
    def __init__(self, name, value):
        self.name, self._value = name, value

    def __int__(self):
        return self._value


class Bound:
    """An object of a bound class: only recorded names can be set, and only set names can be read."""

    def __init__(self, names, **given):
        object.__setattr__(self, 'names', frozenset(names))
        for name, value in given.items():
            setattr(self, name, value)

    def __setattr__(self, name, value):
        if name not in self.names:
            raise AttributeError(name)
        object.__setattr__(self, name, value)


class Recorded:
    """One recorded version: `module` for compat, and objects of its classes."""

    def __init__(self, version):
        self.record = json.loads((RECORDINGS / f'{version}.json').read_text())
        self.module = types.ModuleType('tensorrt')
        self.module.__version__ = self.record['version']
        for name, members in self.record['enums'].items():
            setattr(self.module, name, types.SimpleNamespace(
                **{member: Member(member, index) for index, member in enumerate(members)}))
        for name in self.record['classes']:
            setattr(self.module, name, type(name, (), {}))

    def names(self, of):
        return self.record['classes'][of]

    def bound(self, of, **given):
        return Bound(self.names(of), **given)

    def config(self):
        """An IBuilderConfig that stores flags (initially TF32), limits and tactic_sources."""
        config = self.bound('IBuilderConfig')
        kept = types.SimpleNamespace(flags={'TF32'}, limits={}, tactic_sources=None, targets={})
        config.set_flag = lambda flag: kept.flags.add(flag.name)
        config.clear_flag = lambda flag: kept.flags.discard(flag.name)
        config.set_memory_pool_limit = lambda pool, size: kept.limits.__setitem__(pool.name, size)
        config.set_tactic_sources = lambda bits: setattr(kept, 'tactic_sources', bits) or True
        config.builder_optimization_level = 3
        return config, kept
