# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import importlib
import os
import stat
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from support.subprocesses import python_environment

from trt_perception.backends.tensorrt.cache import kernel_cache
from trt_perception.backends.tensorrt.cache.kernel_cache import kernel_cubin, kernel_sources
from trt_perception.errors import EngineError

# An nvcc that writes the requested architecture and counts its calls: only the cache is tested.
COMPILER = """#!/bin/sh
for argument in "$@"; do
  case "$previous" in -o) output=$argument;; esac
  case "$argument" in -arch=*) printf 'code for %s' "${argument#-arch=}" >"$0.code";; esac
  previous=$argument
done
echo call >>"$0.calls"
cp "$0.code" "$output"
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    folder = tmp_path / 'bin'
    folder.mkdir()
    nvcc = folder / 'nvcc'
    nvcc.write_text(COMPILER, encoding='utf-8')
    nvcc.chmod(0o755)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    calls = folder / 'nvcc.calls'
    return lambda: len(calls.read_text(encoding='utf-8').splitlines()) if calls.exists() else 0


def kept(tmp_path):
    return sorted((tmp_path / 'cache' / 'trt_perception' / 'kernels').glob('*.cubin'))


def test_compiles_once_for_each_architecture(tmp_path, compiler):
    log = []
    for _ in range(2):
        assert kernel_cubin((8, 7), lambda *line: log.append(line)) == b'code for sm_87'
    assert compiler() == 1
    assert kernel_cubin((9, 0)) == b'code for sm_90'
    assert compiler() == 2
    assert log == [('info', 'compiled the CUDA kernels for sm_87')]
    assert len(kept(tmp_path)) == 2


def test_other_sources_are_compiled_anew(compiler, monkeypatch):
    kernel_cubin((8, 7))
    sources = {**kernel_sources(), 'source.h': '// changed'}
    monkeypatch.setattr(kernel_cache, 'kernel_sources', lambda: sources)
    kernel_cubin((8, 7))
    assert compiler() == 2


def test_the_files_are_private(tmp_path, compiler):
    kernel_cubin((8, 7))
    [file] = kept(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize('damage', [
    lambda file: file.write_bytes(b''), lambda file: file.write_bytes(file.read_bytes()[:-1]),
    lambda file: file.write_bytes(b'\x7fELF' * 100), lambda file: file.chmod(0o666)])
def test_a_file_that_cannot_be_trusted_is_compiled_again(tmp_path, compiler, damage):
    kernel_cubin((8, 7))
    damage(kept(tmp_path)[0])
    assert kernel_cubin((8, 7)) == b'code for sm_87'
    assert compiler() == 2
    kernel_cubin((8, 7))
    assert compiler() == 2


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path, compiler, monkeypatch):
    blocked = tmp_path / 'file'
    blocked.write_text('', encoding='utf-8')
    monkeypatch.setenv('XDG_CACHE_HOME', str(blocked))
    log = []
    assert kernel_cubin((8, 7), lambda *line: log.append(line)) == b'code for sm_87'
    assert log[0][0] == 'warning' and 'not cached' in log[0][1]


def test_without_a_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(kernel_cache, 'find_nvcc', lambda: None)
    monkeypatch.setitem(__import__('sys').modules, 'cuda', None)
    with pytest.raises(EngineError, match=(
            r'nvcc was not found.*; NVRTC was not found \(run .*install cuda-bindings.*\)')):
        kernel_cubin((8, 7))


@pytest.fixture
def no_library(tmp_path, monkeypatch):
    """cuda-python without NVIDIA's library: it can be imported, but its functions raise this error."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(kernel_cache, 'find_nvcc', lambda: None)
    package = tmp_path / 'cuda' / 'bindings'
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / '__init__.py').write_text('', encoding='utf-8')
    (package / 'nvrtc.py').write_text(
        'class DynamicLibNotFoundError(RuntimeError):\n    pass\n\n\n'
        'def nvrtcVersion():\n    raise DynamicLibNotFoundError("Failure finding \\"libnvrtc.so\\":\\nno such file")\n',
        encoding='utf-8')
    for name in [name for name in sys.modules if name.partition('.')[0] == 'cuda']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition('.')[0] == 'cuda']:
        del sys.modules[name]


def test_cuda_python_without_its_library_is_not_a_compiler(no_library):
    with pytest.raises(EngineError, match=(
            r'NVRTC was not found \(cuda-python is installed, its library is not: Failure finding "libnvrtc.so": '
            r'no such file; '
            r'run .*install nvidia-cuda-nvrtc.*\)')):
        kernel_cubin((8, 7))


def test_without_a_compiler_the_rest_is_done_on_the_cpu_with_a_warning(no_library, tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    from support.precision_models import conv_detector

    from trt_perception.backends.tensorrt.run import choose
    from trt_perception.model.spec import load_model
    from trt_perception.pipeline.host import HostPipeline
    monkeypatch.setattr(choose, 'device_at', lambda index: SimpleNamespace(compute_capability=(8, 7)))
    log = []
    pipeline = choose.choose_pipeline(
        load_model(conv_detector(tmp_path / 'model.onnx')), lambda: b'', None, log=lambda *line: log.append(line))
    assert isinstance(pipeline, HostPipeline)
    [(severity, text)] = log
    assert severity == 'warning'
    assert text.startswith('preprocessing and decoding run on the CPU, which is slower: the CUDA kernels cannot')
    assert 'nvcc was not found' in text and 'NVRTC was not found' in text


def test_a_compiler_that_fails_is_quoted(tmp_path, compiler, monkeypatch):
    nvcc = tmp_path / 'bin' / 'nvcc'
    nvcc.write_text('#!/bin/sh\necho "nvcc fatal   : Unsupported gpu architecture" >&2\nexit 1\n', encoding='utf-8')
    monkeypatch.setitem(__import__('sys').modules, 'cuda', None)
    with pytest.raises(EngineError, match=r'nvcc failed for sm_87: nvcc fatal +: Unsupported gpu architecture'):
        kernel_cubin((8, 7))


def test_real_kernels_by_nvrtc(compiler):
    try:
        importlib.import_module('cuda.bindings.nvrtc').nvrtcVersion()
    except (ImportError, RuntimeError) as error:  # RuntimeError: its library is missing
        pytest.skip(f'NVRTC is not here: {error}')
    cubin = kernel_cache.compile_with_nvrtc(kernel_sources(), 'sm_87')
    assert cubin.startswith(b'\x7fELF') and b'preprocess_packed3' in cubin
    with pytest.raises(EngineError, match=r'NVRTC failed for sm_87: .*error'):
        kernel_cache.compile_with_nvrtc({**kernel_sources(), 'kernels.cu': 'no C++'}, 'sm_87')


def test_a_killed_compilation_leaves_nothing_after_the_next_one(tmp_path, compiler, monkeypatch):
    """nvcc is in the middle of its work; it writes temporary files too, where TMPDIR says."""
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setenv('TMPDIR', str(temporary))
    monkeypatch.setattr('tempfile.tempdir', None)
    nvcc = tmp_path / 'bin' / 'nvcc'
    nvcc.write_text('#!/bin/sh\ntouch "$TMPDIR/tmpxft_1"\necho $$\nexec sleep 60\n')
    with subprocess.Popen(
            [sys.executable, '-c', (
                'from trt_perception.backends.tensorrt.cache.kernel_cache import kernel_cubin\n'
                'kernel_cubin((8, 7))')], env=python_environment()) as process:
        while not list(temporary.rglob('tmpxft_1')):
            assert process.poll() is None
            time.sleep(0.01)
        children = [int(pid) for pid in subprocess.run(
            ['ps', '-o', 'pid=', '--ppid', str(process.pid)], capture_output=True, text=True,
            check=True).stdout.split()]
        process.kill()
    for child in children:
        os.kill(child, 9)
    assert list(temporary.iterdir())
    # What a killed process left between writing the file and its new name.
    kernels = tmp_path / 'cache' / 'trt_perception' / 'kernels'
    (kernels / '.sm_87-0.cubin.abc.part').mkdir()
    (kernels / '.sm_87-0.cubin.abc.part' / '.part.lock').touch()
    nvcc.write_text(COMPILER)
    assert kernel_cubin((8, 7)) == b'code for sm_87'
    assert list(temporary.iterdir()) == []
    assert [path.suffix for path in kernels.iterdir()] == ['.cubin']
