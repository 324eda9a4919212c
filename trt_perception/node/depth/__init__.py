# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""detections_3d_node: gives detections a place in space, with a depth image."""
