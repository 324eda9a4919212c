# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT: builds engines from ONNX, caches them and runs them on an NVIDIA GPU."""
