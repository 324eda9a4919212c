# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT library: versions, log, reports."""
