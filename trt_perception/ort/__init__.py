# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime itself: sessions, threads, and a model optimised in a child process."""
