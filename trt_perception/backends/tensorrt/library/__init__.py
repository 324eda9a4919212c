# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT library: its versions, its log, its reports."""
