# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""perception_node: from images to vision_msgs, through one network."""
