# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An image message or file as checked pixels."""
