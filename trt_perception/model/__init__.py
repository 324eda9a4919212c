# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a model file is: its input, its outputs, its class names."""
