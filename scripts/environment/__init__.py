# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Creates the PyPI environment: ROS 2 wheels, vision_msgs and trt_perception in one venv."""
