# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What to type on this machine: the platform, and one table of commands for missing packages."""
