# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole chain on one machine: a bag, the node and a consumer in three processes, and what they did."""
