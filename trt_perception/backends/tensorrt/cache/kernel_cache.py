# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the CUDA kernels for one GPU architecture and keeps the result.

Compiled kernels are code, so they are stored in a private folder. A file that another user could have written, or whose
SHA-256 does not match, is compiled again.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.resources
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ....advice.packages import install_line
from ....advice.platform import this_platform
from ....errors import EngineError, PerceptionError, one_line, reason
from ....file_cache import cache_root
from ....monitor import LogCallback, unlogged
from ....unfinished import remove_leftovers, temporary_file, temporary_folder
from ..library.engine_log import INFO, WARNING
from .private_files import UntrustedFileError, make_private_folder, read_private, replace_private

_MAIN_SOURCE = 'kernels.cu'
_TIMEOUT_S = 300.0
_NVCC_FOLDERS = ('/usr/local/cuda/bin', '/opt/cuda/bin')


def kernel_cubin(compute_capability: tuple[int, int], log: LogCallback | None = None) -> bytes:
    """Return the kernels as machine code for the GPU, from the cache if they were compiled before.

    log: called with a severity of engine_log and a line
    Raises EngineError, which lists what was tried, if no compiler here works.
    """
    log = log or unlogged
    architecture = f'sm_{compute_capability[0]}{compute_capability[1]}'
    sources = kernel_sources()
    try:
        path = cache_root() / 'kernels' / f'{architecture}-{_digest(sources)}.cubin'
        make_private_folder(path.parent)
        cubin = _cached(path)
    except PerceptionError as error:
        log(WARNING, f'compiled CUDA kernels are not cached: {error}')
        return _compiled(sources, architecture, log)
    if cubin is None:
        remove_leftovers(path.parent)
        cubin = _compiled(sources, architecture, log)
        try:
            replace_private(path, hashlib.sha256(cubin).digest() + cubin)
        except EngineError as error:
            log(WARNING, f'compiled CUDA kernels are not cached: {error}')
    return cubin


def kernel_sources() -> dict[str, str]:
    """Return the kernels' source files by name."""
    folder = importlib.resources.files(f'{__package__.rpartition(".")[0]}.cuda') / 'kernels'
    return {
        file.name: file.read_text(encoding='utf-8')
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(('.h', '.cu'))}


def compile_with_nvcc(sources: dict[str, str], architecture: str) -> bytes:
    """Compile with the CUDA toolkit's nvcc; EngineError if nvcc is missing or fails."""
    nvcc = find_nvcc()
    if nvcc is None:
        raise EngineError(f'nvcc was not found ({install_line("nvcc", this_platform())}, or set CUDA_HOME)')
    with temporary_folder() as folder:
        for name, text in sources.items():
            with temporary_file(folder / name) as file:
                file.write(text.encode())
        result = folder / 'kernels.cubin'
        command = [nvcc, '-cubin', '-O3', f'-arch={architecture}', '-o', str(result), str(folder / _MAIN_SOURCE)]
        try:
            # nvcc's own temporary files are left over in this folder too if it is killed.
            environment = {**os.environ, 'TMPDIR': str(folder)}
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f'{nvcc} failed: {reason(error)}') from error
        if done.returncode != 0 or not result.is_file():
            raise EngineError(f'{nvcc} failed for {architecture}: {_first_error(done.stderr + done.stdout)}')
        return result.read_bytes()


def compile_with_nvrtc(sources: dict[str, str], architecture: str) -> bytes:
    """Compile with NVRTC through cuda-python; EngineError if NVRTC is missing or fails."""
    nvrtc = _nvrtc()
    headers = {name: text for name, text in sources.items() if name != _MAIN_SOURCE}

    def checked(result: Any) -> Any:
        code, *values = result
        if int(code) != 0:
            raise EngineError(f'NVRTC failed for {architecture}: {code.name}')
        return values[0] if values else None

    program = checked(nvrtc.nvrtcCreateProgram(
        sources[_MAIN_SOURCE].encode(), _MAIN_SOURCE.encode(), len(headers),
        [text.encode() for text in headers.values()], [name.encode() for name in headers]))
    try:
        options = [f'--gpu-architecture={architecture}'.encode()]
        code = nvrtc.nvrtcCompileProgram(program, len(options), options)[0]
        if int(code) != 0:
            log = b' ' * checked(nvrtc.nvrtcGetProgramLogSize(program))
            checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise EngineError(
                f'NVRTC failed for {architecture}: {_first_error(log.rstrip(bytes(1)).decode(errors="replace"))}')
        cubin: bytes = b' ' * checked(nvrtc.nvrtcGetCUBINSize(program))
        checked(nvrtc.nvrtcGetCUBIN(program, cubin))
        return cubin
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def find_nvcc() -> str | None:
    """Return the path of nvcc from PATH, CUDA_HOME, CUDA_PATH or the folders of the CUDA packages, or None."""
    roots = [os.environ.get(name) for name in ('CUDA_HOME', 'CUDA_PATH')]
    folders = [str(Path(root, 'bin')) for root in roots if root]
    for path in (None, *folders, *_NVCC_FOLDERS):
        found = shutil.which('nvcc', path=path)
        if found:
            return found
    return None


def has_nvrtc() -> bool:
    """Return whether NVRTC, which compiles the kernels without nvcc, is installed."""
    try:
        _nvrtc()
    except EngineError:
        return False
    return True


def _compiled(sources: dict[str, str], architecture: str, log: LogCallback) -> bytes:
    tried = []
    for compiler in (compile_with_nvcc, compile_with_nvrtc):
        try:
            cubin = compiler(sources, architecture)
        except EngineError as error:
            tried.append(str(error))
            continue
        log(INFO, f'compiled the CUDA kernels for {architecture}')
        return cubin
    raise EngineError('the CUDA kernels cannot be compiled: ' + '; '.join(tried))


def _nvrtc() -> Any:
    reason = install_line('cuda', this_platform())
    # cuda-python 12 and newer, then older ones.
    for name in ('cuda.bindings.nvrtc', 'cuda.nvrtc'):
        try:
            nvrtc = importlib.import_module(name)
            # If the library itself is missing, cuda-python raises RuntimeError at the import or at the first call.
            nvrtc.nvrtcVersion()
        except ImportError:
            continue
        except RuntimeError as error:
            reason = (
                f'cuda-python is installed, its library is not: {one_line(error)}; '
                f'{install_line("nvrtc", this_platform())}')
            continue
        return nvrtc
    raise EngineError(f'NVRTC was not found ({reason})')


def _cached(path: Path) -> bytes | None:
    try:
        content = read_private(path)
    except (FileNotFoundError, UntrustedFileError):
        return None
    digest, cubin = content[:32], content[32:]
    return cubin if hashlib.sha256(cubin).digest() == digest else None


def _digest(sources: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in sources.items():
        digest.update(f'{name}\0{len(text)}\0{text}'.encode())
    return digest.hexdigest()[:16]


def _first_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if 'error' in line.lower() or 'fatal' in line.lower()]
    return (errors or lines or ['no message'])[0][:300]
