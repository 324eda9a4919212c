# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares two annotations of the same images: what a new model, precision or version finds otherwise."""
