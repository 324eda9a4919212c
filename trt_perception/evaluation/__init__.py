# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares results with a labelled data set: mAP, precision and recall, top-1 and top-5."""
