# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measurements of the running node, its health, and its diagnostics."""
