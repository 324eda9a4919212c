# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages and files as checked pixels."""
