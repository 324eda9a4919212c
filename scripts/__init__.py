# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Scripts of the repository. They are not installed."""
