# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: sessions, threads, and model optimisation in a child process."""
