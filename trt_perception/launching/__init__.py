# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the files in launch/ are made of; imported by them only, needs the ROS packages launch and launch_ros."""
