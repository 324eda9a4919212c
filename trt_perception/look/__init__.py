# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shows the graph of a model: its nodes, what is fused, a picture, and Netron."""
