# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks without preprocessing and decoding: what they take and return, and what runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from .tensorrt_options import BuildOptions, RunOptions


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a network.

    shape: in calls with the usual batch
    batched: whether the first dimension is the batch, which may change from call to call
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    batched: bool = False

    def shape_for(self, batch: int) -> tuple[int, ...]:
        """Return the shape for a batch."""
        return (batch, *self.shape[1:]) if self.batched else self.shape

    def __str__(self) -> str:
        """Return name, dtype and shape, for messages."""
        shape = ', '.join(('batch', *map(str, self.shape[1:])) if self.batched else map(str, self.shape))
        return f'{self.name} {self.dtype} [{shape}]'


@dataclass(frozen=True)
class RawModel:
    """An ONNX file with its inputs and outputs, in the order of the network's arguments and results.

    sha256: of the file
    precision: in which it computes: fp32, fp16 or int8
    usual_batch, max_batch: of the batched tensors; both are 1 if no tensor is batched
    """

    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str
    usual_batch: int = 1
    max_batch: int = 1

    @property
    def has_batch(self) -> bool:
        """Whether the batch may change from call to call."""
        return any(spec.batched for spec in self.inputs)


@dataclass(frozen=True)
class RawOptions:
    """How to run a network.

    num_threads: CPU threads for one run, 0 for one on each physical core that the process may use
    build, run: TensorRT's options; precision and batch of `build` follow the model
    """

    num_threads: int = 0
    build: BuildOptions = field(default_factory=BuildOptions)
    run: RunOptions = field(default_factory=RunOptions)


class RawBackend(Protocol):
    """Runs a network. Open it first; a second `close` does nothing."""

    def open(self) -> None:
        """Load the network."""

    def run(self, arrays: Sequence[np.ndarray], batch: int) -> list[np.ndarray]:
        """Return the outputs for these inputs, all in the order of the model, in new arrays.

        arrays: with the dtypes and shapes of the model; batch: of the batched ones
        Raises EngineError.
        """

    def describe(self) -> dict[str, str]:
        """Return backend, backend_version, device and precision_effective."""

    def close(self) -> None:
        """Free everything."""


class DeviceBackend(RawBackend, Protocol):
    """A backend that also takes and fills memory of a GPU, without a copy through the host.

    device_index: of the GPU
    """

    device_index: int

    def enqueue(
        self, inputs: Sequence[int], outputs: Sequence[int], batch: int, stream: int | None, wait: bool = False,
    ) -> None:
        """Queue a run; return before it is done, or with `wait` after it.

        inputs, outputs: addresses on the GPU of contiguous tensors
        stream: handle of the caller's CUDA stream. The run starts when the work that is queued there is done, and
            later work of that stream waits for the run. None: the inputs are ready
        Raises EngineError.
        """

    def device_of(self, address: int) -> int:
        """Return the index of the GPU that an address belongs to; EngineError if it is not memory of a GPU."""

    def borrow(self, size: int) -> int:
        """Return the address of `size` bytes on the GPU, which are the caller's until `give_back`."""

    def give_back(self, address: int) -> None:
        """Let later calls of `borrow` return this memory. Any thread may call it at any time, also after `close`."""

    def download(self, address: int, array: np.ndarray) -> None:
        """Fill a contiguous array from the GPU; EngineError if the backend is closed."""
