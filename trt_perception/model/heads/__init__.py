# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Output heads: what a network's raw outputs mean, and how they become results."""
