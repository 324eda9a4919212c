# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a frame to its result: the interface, and the pipeline on the host."""
