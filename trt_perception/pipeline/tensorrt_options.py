# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's options for building and running an engine."""

from __future__ import annotations

from dataclasses import dataclass

HARDWARE_COMPATIBILITIES = ('none', 'ampere_plus', 'same_compute_capability')
SWITCHES = ('auto', 'on', 'off')


@dataclass(frozen=True)
class BuildOptions:
    """Options that change the built plan; part of the cache key.

    precision: fp32, fp16 or int8
    input_size: width, height in pixels for a model with a dynamic input size
    batch: smallest, usual and largest batch of the optimisation profile, for a model with a dynamic batch
    workspace_mib: memory that the builder's tactics may use, 0 for a part of the free memory
    optimization_level: 0 (fastest build) to 5 (fastest engine)
    dla_core: core of the deep learning accelerator, -1 for the GPU
    hardware_compatibility: none, ampere_plus or same_compute_capability
    compute_capabilities: target GPUs such as '8.6' for TensorRT for RTX, also without a GPU; () for this GPU
    """

    precision: str = 'fp32'
    input_size: tuple[int, int] = (0, 0)
    batch: tuple[int, int, int] = (1, 1, 1)
    workspace_mib: int = 0
    optimization_level: int = 3
    dla_core: int = -1
    hardware_compatibility: str = 'none'
    compute_capabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunOptions:
    """Options for running an engine; not part of the cache key.

    device_index: index of the GPU
    cuda_graph: capture the whole frame as one CUDA graph if possible
    zero_copy: the GPU reads the frame from page-locked host memory instead of from a copy in GPU memory; auto: on
        integrated GPUs, and with one run at a time for frames that are not enlarged
    concurrent_runs: threads that run frames at the same time, each with a stream and memory of its own
    max_batch: largest number of frames that run together, if the model has a dynamic batch; the engine's profile must
        go so far
    """

    device_index: int = 0
    cuda_graph: bool = True
    zero_copy: str = 'auto'
    concurrent_runs: int = 1
    max_batch: int = 1
