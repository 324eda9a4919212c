# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The implementation of the files in launch/. Only they import it; it needs the ROS packages launch and launch_ros."""
