# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversions of an fp32 ONNX file into an fp16 or int8 ONNX file, and measurements of what they cost."""
