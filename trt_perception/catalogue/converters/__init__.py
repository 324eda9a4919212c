# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Published weights to ONNX, with NumPy and onnx alone: no training framework is imported."""
