# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Precision as a property of the graph: ONNX in, ONNX out."""
