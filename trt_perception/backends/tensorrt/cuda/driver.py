# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls of the CUDA driver library, by ctypes, that pycuda lacks or makes in another way.

pycuda has no graphs, uses deprecated calls to launch kernels, and leaves a released primary context on the driver's
stack.
"""

from __future__ import annotations

import ctypes
from typing import Any

from ....errors import MissingDependencyError

_LIBRARY = 'libcuda.so.1'
OUT_OF_MEMORY = 2
# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: allocations of other threads do not break the capture.
_CAPTURE_THREAD_LOCAL = 1
# CU_EVENT_DISABLE_TIMING: such events cost less.
_UNTIMED = 2
# CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
_DEVICE_ORDINAL = 9

_pointer, _text, _uint = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint
_out = ctypes.POINTER(ctypes.c_void_p)
# CUdeviceptr
_address = ctypes.c_uint64
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    'cuGetErrorString': (ctypes.c_int, ctypes.POINTER(_text)),
    'cuCtxPopCurrent_v2': (_out,),
    'cuCtxSynchronize': (),
    'cuModuleLoadData': (_out, _text),
    'cuModuleGetFunction': (_out, _pointer, _text),
    'cuModuleUnload': (_pointer,),
    'cuLaunchKernel': (_pointer, *[_uint] * 7, _pointer, _out, _pointer),
    'cuStreamBeginCapture_v2': (_pointer, ctypes.c_int),
    'cuStreamEndCapture': (_pointer, _out),
    'cuGraphInstantiateWithFlags': (_out, _pointer, ctypes.c_ulonglong),
    'cuGraphLaunch': (_pointer, _pointer),
    'cuGraphDestroy': (_pointer,),
    'cuGraphExecDestroy': (_pointer,),
    'cuEventCreate': (_out, _uint),
    'cuEventRecord': (_pointer, _pointer),
    'cuEventDestroy_v2': (_pointer,),
    'cuStreamWaitEvent': (_pointer, _pointer, _uint),
    'cuMemcpyDtoDAsync_v2': (_address, _address, ctypes.c_size_t, _pointer),
    'cuPointerGetAttribute': (_pointer, ctypes.c_int, _address),
}


class CudaFailure(Exception):
    """A driver call failed.

    code: its CUresult
    """

    def __init__(self, function: str, code: int, reason: str) -> None:
        super().__init__(f'{function} failed: {reason}')
        self.code = code


class CudaDriver:
    """Driver calls on the current context of the calling thread. Handles of streams, modules and graphs are integers.

    A call that fails raises CudaFailure.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise MissingDependencyError(
                f'the NVIDIA driver is missing: {_LIBRARY} cannot be loaded ({error}); install the driver, or in a '
                'container start it with --gpus all (--runtime nvidia on a Jetson)') from error
        self._functions: dict[str, Any] = {}
        for name, types in _SIGNATURES.items():
            try:
                function = getattr(library, name)
            except AttributeError as error:
                raise MissingDependencyError(
                    f'the NVIDIA driver is too old, it lacks {name}: install one for CUDA 11.4 or newer') from error
            function.argtypes = types
            function.restype = ctypes.c_int
            self._functions[name] = function

    def pop_context(self) -> None:
        """Take the current context off the thread's stack."""
        self._call('cuCtxPopCurrent_v2', ctypes.byref(ctypes.c_void_p()))

    def context_error(self) -> str:
        """Wait for the current context; return why it is unusable, or '' if it is usable."""
        code = self._functions['cuCtxSynchronize']()
        return self._reason(code) if code else ''

    def load_module(self, cubin: bytes) -> int:
        """Load a compiled module."""
        return self._handle('cuModuleLoadData', cubin)

    def module_function(self, module: int, name: str) -> int:
        """Return a kernel of the module."""
        return self._handle('cuModuleGetFunction', module, name.encode())

    def unload_module(self, module: int) -> None:
        """Unload a module."""
        self._call('cuModuleUnload', module)

    def launch(
        self, function: int, grid: tuple[int, int], block: tuple[int, int], argument: ctypes.Structure, stream: int,
    ) -> None:
        """Queue a kernel whose only parameter is a structure; the structure is copied before this returns."""
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        self._call('cuLaunchKernel', function, *grid, 1, *block, 1, 0, stream, arguments, None)

    def begin_capture(self, stream: int) -> None:
        """Start to record the work that this thread queues on the stream, instead of running it."""
        self._call('cuStreamBeginCapture_v2', stream, _CAPTURE_THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        """Stop recording and return the graph."""
        return self._handle('cuStreamEndCapture', stream)

    def instantiate_graph(self, graph: int) -> int:
        """Return an executable graph."""
        return self._handle('cuGraphInstantiateWithFlags', graph, 0)

    def destroy_graph(self, graph: int) -> None:
        """Free a graph."""
        self._call('cuGraphDestroy', graph)

    def launch_graph(self, executable: int, stream: int) -> None:
        """Queue an executable graph."""
        self._call('cuGraphLaunch', executable, stream)

    def destroy_executable_graph(self, executable: int) -> None:
        """Free an executable graph."""
        self._call('cuGraphExecDestroy', executable)

    def create_event(self) -> int:
        """Return an event that marks a point of a stream."""
        return self._handle('cuEventCreate', _UNTIMED)

    def destroy_event(self, event: int) -> None:
        """Free an event."""
        self._call('cuEventDestroy_v2', event)

    def let_wait(self, waiting: int, event: int, stream: int) -> None:
        """Let later work of stream `waiting` start after the work that is queued on `stream` now."""
        self.record_event(event, stream)
        self.wait_event(waiting, event)

    def record_event(self, event: int, stream: int) -> None:
        """Let the event mark the end of the work that is queued on the stream now."""
        self._call('cuEventRecord', event, stream)

    def wait_event(self, stream: int, event: int) -> None:
        """Let later work of the stream start after the work that the event marks now."""
        self._call('cuStreamWaitEvent', stream, event, 0)

    def copy(self, target: int, source: int, size: int, stream: int) -> None:
        """Queue a copy of `size` bytes between two addresses on the GPU."""
        self._call('cuMemcpyDtoDAsync_v2', target, source, size, stream)

    def device_of(self, address: int) -> int:
        """Return the index of the GPU that the address belongs to."""
        ordinal = ctypes.c_int(-1)
        self._call('cuPointerGetAttribute', ctypes.byref(ordinal), _DEVICE_ORDINAL, address)
        return ordinal.value

    def _handle(self, name: str, *arguments: Any) -> int:
        """Call a function that writes a handle to its first argument (cuStreamEndCapture: to its last argument)."""
        handle = ctypes.c_void_p()
        place = ctypes.byref(handle)
        if name == 'cuStreamEndCapture':
            self._call(name, *arguments, place)
        else:
            self._call(name, place, *arguments)
        if not handle.value:
            raise CudaFailure(name, 0, 'it returned no handle')
        return handle.value

    def _call(self, name: str, *arguments: Any) -> None:
        code = self._functions[name](*arguments)
        if code:
            raise CudaFailure(name, code, self._reason(code))

    def _reason(self, code: int) -> str:
        text = ctypes.c_char_p()
        if self._functions['cuGetErrorString'](code, ctypes.byref(text)) or not text.value:
            return f'CUDA error {code}'
        return text.value.decode(errors='replace')
