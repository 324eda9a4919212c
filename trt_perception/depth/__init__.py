# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images, the camera that took them, and boxes in space."""
