# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the machine, its packages and ROS: what is missing or wrong, and the line that fixes it."""
