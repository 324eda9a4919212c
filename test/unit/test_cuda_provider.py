# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which package calls CUDA. The packages are stand-ins here; test/gpu runs with the real ones."""

import sys
import types

import pytest

from trt_perception.backends.tensorrt.cuda.bindings_provider import BindingsError, BindingsProvider
from trt_perception.backends.tensorrt.cuda.provider import cuda_provider
from trt_perception.dependencies import require
from trt_perception.errors import MissingDependencyError


class Result:
    """As CUresult: a member has a name."""

    def __init__(self, name):
        self.name = name


BINDINGS = types.SimpleNamespace(
    CUresult=types.SimpleNamespace(
        CUDA_SUCCESS=Result('CUDA_SUCCESS'), CUDA_ERROR_OUT_OF_MEMORY=Result('CUDA_ERROR_OUT_OF_MEMORY')),
    cuMemGetInfo=lambda: (BINDINGS.CUresult.CUDA_SUCCESS, 3, 4),
    cuMemAlloc=lambda size: (BINDINGS.CUresult.CUDA_ERROR_OUT_OF_MEMORY, 0))


@pytest.fixture
def installed(monkeypatch):
    """Let these modules be installed, and no others of the two."""
    def let(**modules):
        for package, name in (('pycuda', 'pycuda.driver'), ('cuda', 'cuda.bindings.driver')):
            module = modules.get(package)
            monkeypatch.setitem(sys.modules, name, module)
            if module is not None:
                parts = name.split('.')[:-1]
                for end in range(1, len(parts) + 1):
                    monkeypatch.setitem(sys.modules, '.'.join(parts[:end]), types.ModuleType(parts[end - 1]))
        require.cache_clear()

    yield let
    monkeypatch.undo()
    require.cache_clear()


def test_pycuda_is_first(installed):
    installed(pycuda=types.SimpleNamespace(Error=ZeroDivisionError), cuda=BINDINGS)
    provider = cuda_provider()
    assert (provider.package, provider.error) == ('pycuda', ZeroDivisionError)


def test_cuda_bindings_stand_in_for_pycuda(installed):
    installed(cuda=BINDINGS)
    provider = cuda_provider()
    assert isinstance(provider, BindingsProvider)
    assert provider.memory() == (3, 4)


def test_without_both_the_message_has_both_commands(installed):
    installed()
    with pytest.raises(MissingDependencyError) as caught:
        cuda_provider()
    text = str(caught.value)
    assert 'pip install pycuda' in text and 'pip install cuda-bindings' in text


def test_a_failed_call_of_cuda_bindings_says_why(installed):
    installed(cuda=BINDINGS)
    provider = cuda_provider()
    with pytest.raises(BindingsError, match=r'^cuMemAlloc failed: out of memory$') as caught:
        provider.allocate(1 << 50)
    assert provider.is_out_of_memory(caught.value)
    assert not provider.is_out_of_memory(ValueError())
