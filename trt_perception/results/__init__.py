# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections and classifications, and how they are drawn and written as text."""
