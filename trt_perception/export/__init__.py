# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From PyTorch to an ONNX file that is complete: preprocessing, class names and source are in its metadata."""
