# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Backends, which run a network on an input tensor."""
