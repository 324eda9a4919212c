# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All parameters of the node, each declared once. Does not import ROS."""
