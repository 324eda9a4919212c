# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Caches engines and compiled kernels on disk."""
