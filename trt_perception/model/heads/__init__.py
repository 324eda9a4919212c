# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Output heads: the meaning of a network's raw outputs, and their conversion to results."""
