# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The outputs of one camera: publishers and messages."""
