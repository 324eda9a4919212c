# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shows the graph of a model: its nodes, the fused groups, a picture, and Netron."""
