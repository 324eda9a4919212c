# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the node, declared once; no ROS in here."""
