# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""CUDA: the runtime and driver APIs, graphs, kernels, GPU properties."""
