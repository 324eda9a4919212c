# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers between a network and its caller."""
