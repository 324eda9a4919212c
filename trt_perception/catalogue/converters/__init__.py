# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts published weights to ONNX. Needs only NumPy and onnx, no training framework."""
