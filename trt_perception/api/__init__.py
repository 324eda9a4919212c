# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The Python API without ROS: open a model, call it with an image. Its names are available from `trt_perception`."""
