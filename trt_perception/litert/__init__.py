# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""LiteRT (TensorFlow Lite), which runs .tflite files on the CPU."""
