# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Object detection and image classification for ROS 2 with TensorRT or ONNX Runtime."""

__version__ = '0.1.0'
