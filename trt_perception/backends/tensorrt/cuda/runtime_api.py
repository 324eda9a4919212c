# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One pipeline's use of a GPU: the primary context, a stream, and memory that is freed in order."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np

from ....errors import EngineError
from .driver import OUT_OF_MEMORY, CudaDriver, CudaFailure
from .provider import Context, Device, cuda_provider

# By index of the GPU, the error that made it unusable for this process. Later CUDA calls may crash.
_broken: dict[int, str] = {}
# Open sessions. Their GPU objects must be freed before the interpreter destroys the modules.
_open_sessions: set[CudaSession] = set()
_EXIT_PATIENCE_S = 2.0
_MIB = 1 << 20


class Resource(Protocol):
    """A GPU resource, which is freed with the context current."""

    def free(self) -> None:
        """Free the resource; does nothing the second time."""


R = TypeVar('R', bound=Resource)


class DeviceBuffer:
    """Memory on the GPU; `address` is valid until `free`."""

    def __init__(self, address: int, size: int, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free
        self.address = address
        self.size = size

    def free(self) -> None:
        """Free the memory; does nothing the second time."""
        free, self._free = self._free, None
        self.address = 0
        if free is not None:
            free()


class HostBuffer:
    """Page-locked host memory, which the GPU can read and write directly.

    array: (size,) uint8; invalid after `free`, so no view of it may outlive the session
    device_address: address of this memory for the GPU, 0 if it is not mapped
    """

    def __init__(self, array: np.ndarray, device_address: int, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free
        self.array = array
        self.device_address = device_address

    def free(self) -> None:
        """Free the memory; does nothing the second time."""
        free, self._free = self._free, None
        self.array = np.zeros(0, np.uint8)
        self.device_address = 0
        if free is not None:
            free()


class _Active:
    """The context manager of CudaSession.active. It runs for every frame: few calls, and not a generator."""

    __slots__ = ('_doing', '_session')

    def __init__(self, session: CudaSession, doing: str) -> None:
        self._session = session
        self._doing = doing

    def __enter__(self) -> None:
        session = self._session
        if not session._lock.acquire(blocking=False):
            raise EngineError('the GPU session is in use by another thread: use a pipeline in one thread only')
        try:
            if session._context is None:
                raise EngineError('the GPU session is closed')
            session._context.push()
        except BaseException:
            session._lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        session = self._session
        try:
            if error is not None and isinstance(error, session.errors):
                explained = session._explained(error, self._doing)
                if explained is not error:
                    raise explained from error
        finally:
            try:
                # Only close(), which needs the lock, forgets the context.
                session._context.pop()  # type: ignore[union-attr]
            except session._cuda.error:
                session._detach_unpopped()
            finally:
                session._lock.release()


class CudaSession:
    """The GPU resources of one pipeline. Only one thread at a time may use it: a second one gets an EngineError.

    The primary context is retained, and current only inside `active()`: pycuda aborts the process if a thread ends with
    a context on its stack. `close` frees all resources in reverse order.

    package: the Python package that calls CUDA, pycuda or cuda-bindings
    device_name, compute_capability, integrated: properties of the GPU
    errors: exceptions that CUDA calls raise inside `active()`
    stream_handle: the CUstream as an integer
    """

    def __init__(self, device_index: int = 0) -> None:
        """Retain the context and create the stream; EngineError without a usable GPU."""
        if device_index in _broken:
            raise EngineError(_broken[device_index], fatal=True)
        self._device_index = device_index
        self._context: Context | None = None
        self._stream: Any = None
        self._lock = threading.RLock()
        self._resources: list[Resource] = []
        self.driver = CudaDriver()
        device = device_at(device_index)
        self._cuda = cuda_provider()
        self.package = self._cuda.package
        self.errors = (self._cuda.error, CudaFailure, EngineError)
        self.device_name = device.name
        self.compute_capability = device.compute_capability
        self.integrated = device.integrated
        try:
            self._context = device.retain_context()
        except self._cuda.error as error:
            raise EngineError(
                f'no context can be created on {self.device_name} (device_index {device_index}): {error}; check with '
                'nvidia-smi which programs use it') from error
        _open_sessions.add(self)
        try:
            with self.active('creating a stream'):
                self.stream_handle, self._stream = self._cuda.create_stream()
        except BaseException:
            self.close()
            raise

    def active(self, doing: str) -> _Active:
        """Make the context current; a CUDA error inside becomes an EngineError that contains `doing`."""
        return _Active(self, doing)

    def allocate(self, size: int) -> DeviceBuffer:
        """Return GPU memory of `size` bytes, 256-byte aligned."""
        address, free = self._cuda.allocate(size)
        return self.adopt(DeviceBuffer(address, size, free))

    def allocate_host(self, size: int, mapped: bool = False, write_only: bool = False) -> HostBuffer:
        """Return page-locked memory of `size` bytes.

        mapped: the GPU can address it too
        write_only: the host never reads it. If the GPU is not integrated, the memory then bypasses the CPU's caches,
        which is faster for both; reading it takes many times as long.
        """
        return self.adopt(HostBuffer(*self._cuda.allocate_host(size, mapped, write_only and not self.integrated)))

    def adopt(self, resource: R) -> R:
        """Let `close` free `resource`, before those that were adopted earlier."""
        self._resources.append(resource)
        return resource

    def release(self, resource: Resource) -> None:
        """Free an adopted resource now. The work that uses it must be done."""
        self._resources.remove(resource)
        resource.free()

    def upload(self, target: int, source: np.ndarray) -> None:
        """Queue a copy to the device address; `source` must not change until it is done.

        If `source` is not page-locked, the thread waits for the copy.
        """
        self._cuda.upload(target, source, self._stream)

    def download(self, target: np.ndarray, source: int) -> None:
        """Queue a copy from the device address to page-locked `target`."""
        self._cuda.download(target, source, self._stream)

    def synchronize(self) -> None:
        """Wait for all queued work."""
        self._cuda.synchronize(self._stream)

    def memory(self) -> tuple[int, int]:
        """Return free and total bytes of the GPU's memory."""
        return self._cuda.memory()

    def close(self) -> None:
        """Free everything, then the context; safe in any state, repeatedly, and from any thread."""
        if not self._lock.acquire(timeout=_EXIT_PATIENCE_S):
            raise EngineError('the GPU session is in use by another thread and cannot be closed')
        try:
            if self._context is None:
                return
            self._context.push()
            broken = self._device_index in _broken
            if broken:
                # CUDA can free nothing any more, and pycuda would print each failure. Without a context it does not
                # try.
                self._detach()
            elif self._stream is not None:
                with contextlib.suppress(self._cuda.error):
                    self._cuda.synchronize(self._stream)
            while self._resources:
                with contextlib.suppress(self._cuda.error, CudaFailure):
                    self._resources.pop().free()
            stream, self._stream = self._stream, None
            if not broken:
                if stream is not None:
                    with contextlib.suppress(self._cuda.error):
                        self._cuda.destroy_stream(stream)
                # pycuda destroys a stream with its object, which needs the context.
                del stream
                self._detach()
            self._context = None
            _open_sessions.discard(self)
        finally:
            self._lock.release()

    def __enter__(self) -> CudaSession:
        """Return the open session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _detach(self) -> None:
        # pycuda forgets the context in detach, but leaves it current in the driver.
        with contextlib.suppress(CudaFailure):
            self.driver.pop_context()
        assert self._context is not None
        self._context.release()

    def _detach_unpopped(self) -> None:
        # With pycuda, a context that cannot be popped would abort the process when the thread ends.
        assert self._context is not None
        self._context.release()
        self._context = None
        _open_sessions.discard(self)

    def _explained(self, error: Exception, doing: str) -> EngineError:
        if isinstance(error, EngineError) and error.fatal:
            return error
        broken = self.driver.context_error()
        if broken:
            _broken[self._device_index] = message = (
                f'{self.device_name} failed while {doing}: {error}. This process cannot use the GPU any more '
                f'({broken}): restart it')
            return EngineError(message, fatal=True)
        if isinstance(error, EngineError):
            return error
        if self._cuda.is_out_of_memory(error) or (
                isinstance(error, CudaFailure) and error.code == OUT_OF_MEMORY):
            free, total = self.memory()
            return EngineError(
                f'{self.device_name} is out of memory while {doing}: {free // _MIB} of {total // _MIB} MiB are free '
                f'({error}); close other programs that use it, or run a smaller model or precision fp16')
        return EngineError(f'{self.device_name} failed while {doing}: {error}')


def device_at(index: int) -> Device:
    """Return a GPU; EngineError, which lists the available GPUs, if it does not exist."""
    # Raises if the driver is missing. The import of pycuda would fail too, but not say what to do.
    CudaDriver()
    cuda = cuda_provider()
    try:
        count = cuda.device_count()
    except cuda.error as error:
        raise EngineError(
            f'CUDA finds no GPU ({error}): check with nvidia-smi, and in a container start it with --gpus all '
            '(--runtime nvidia on a Jetson)') from error
    if not 0 <= index < count:
        names = ', '.join(f'{i}: {cuda.device(i).name}' for i in range(count)) or 'none'
        raise EngineError(
            f'device_index is {index}, but the available GPUs are: {names}; set device_index to one of them')
    return cuda.device(index)


def _close_all() -> None:
    for session in list(_open_sessions):
        # The process is ending: nobody can handle the error.
        with contextlib.suppress(Exception):
            session.close()


atexit.register(_close_all)
