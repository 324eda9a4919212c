# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""HostPipeline."""

from .interface import HostPipeline

__all__ = ['HostPipeline']
