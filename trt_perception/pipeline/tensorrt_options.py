# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a user may say about how an engine is built and run."""

from __future__ import annotations

from dataclasses import dataclass

HARDWARE_COMPATIBILITIES = ('none', 'ampere_plus', 'same_compute_capability')
SWITCHES = ('auto', 'on', 'off')


@dataclass(frozen=True)
class BuildOptions:
    """What decides which plan comes out of a build; part of the cache key.

    precision: fp32, fp16 or int8
    input_size: width, height in pixels for a model whose input size is dynamic
    batch: smallest, usual and largest batch of the optimisation profile of a model with a dynamic batch
    workspace_mib: memory the builder's tactics may use, 0 for a part of what is free
    optimization_level: 0 (fastest build) to 5 (fastest engine)
    dla_core: core of the deep learning accelerator to run on, -1 for the GPU
    hardware_compatibility: none, ampere_plus or same_compute_capability
    compute_capabilities: targets such as '8.6' of TensorRT for RTX on a machine without a GPU, () for this GPU
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
    """How an engine is run; not part of the cache key.

    device_index: which GPU
    cuda_graph: capture the whole frame as one CUDA graph where that works
    zero_copy: the GPU reads the frame from page-locked host memory instead of a copy of its own; auto: on integrated
        GPUs, and for frames that are not made larger
    """

    device_index: int = 0
    cuda_graph: bool = True
    zero_copy: str = 'auto'
