# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The contents of a model file: its input, outputs and class names."""
