# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures backends and precisions of a model side by side, and the node over DDS."""
